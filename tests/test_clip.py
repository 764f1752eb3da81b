"""Clips as files: what is read and written, the command, a run that is stopped and taken up again."""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from clips import MARK, av, codecs, images, make
from oracles import noise
from torch import Tensor

from styletransfer import StyleTransferError, cli, extras, save_image
from styletransfer.engine import Engine, Lost
from styletransfer.pixels import resize
from styletransfer.video import Clip, Frame, Piece, check_installed, clip, scene_starts, work
from styletransfer.video.film import save_film

QUICK = ["--size", "64", "--scales", "1", "--iterations", "4", "--device", "cpu", "--quiet"]


def sound_packets(path: Path) -> list[bytes]:
    with av.open(str(path)) as container:
        return [bytes(packet) for packet in container.demux(audio=0) if packet.pts is not None and packet.pts >= 0]


# --- reading


@pytest.mark.parametrize(
    ("name", "codec", "sound"),
    [("a.mp4", "libx264", "aac"), ("a.mov", "libx264", ""), ("a.webm", "libvpx-vp9", "libopus"), ("a.gif", "gif", "")],
)
def test_frames_are_read_in_order_with_their_times(tmp_path: Path, name: str, codec: str, sound: str) -> None:
    made = images(10)
    frames = list(Clip(make(tmp_path / name, made, codec, sound)).frames())
    assert [frame.time for frame in frames] == pytest.approx([number / 10 for number in range(10)], abs=2e-3)
    for frame, values in zip(frames, made):
        assert frame.image.shape == (1, 3, 48, 64)
        wanted = torch.from_numpy(values).permute(2, 0, 1)[None] / 255
        assert float((frame.image - wanted).abs().mean()) < (0.1 if codec == "gif" else 0.03)


def test_only_what_is_wanted_is_read(tmp_path: Path) -> None:
    path = make(tmp_path / "a.mp4", images(20), fps=20)

    def times(**wanted: Any) -> list[int]:
        return [round(20 * frame.time) for frame in Clip(path, **wanted).frames(32)]

    assert times(seconds=0.25) == [0, 1, 2, 3, 4]
    assert times(keep_every=6) == [0, 6, 12, 18]
    assert times(fps=5.0) == [0, 4, 8, 12, 16]
    assert times(fps=60.0) == list(range(20))
    assert times(fps=10.0, keep_every=3, seconds=0.7) == [0, 6, 12]
    assert [round(20 * frame.time) for frame in Clip(path).frames(32, start=17)] == [17, 18, 19]
    assert next(Clip(path).frames(33)).image.shape == (1, 3, 24, 32)


def test_a_turned_clip_stands_upright(tmp_path: Path) -> None:
    """The matrix that a telephone held upright writes: a quarter turn to the right."""
    data = make(tmp_path / "a.mp4", images(3)).read_bytes()
    straight = struct.pack(">9i", 1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30)
    turned = struct.pack(">9i", 0, 1 << 16, 0, -1 << 16, 0, 0, 48 << 16, 0, 1 << 30)
    place = data.index(straight, data.index(b"tkhd"))
    (tmp_path / "b.mp4").write_bytes(data[:place] + turned + data[place + 36 :])
    image = next(Clip(tmp_path / "b.mp4").frames()).image
    assert image.shape == (1, 3, 64, 48)
    assert (image[0, :, 4, -4] * 255).tolist() == pytest.approx(MARK, abs=12)


def test_what_is_no_clip_is_refused_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "text.mp4").write_text("#EXTM3U\n#EXTINF:1,\nfile:///etc/hostname\n")
    for source in (tmp_path / "text.mp4", b"nothing", tmp_path / "missing.mp4"):
        with pytest.raises(StyleTransferError, match=r"cannot be read as a clip|there is no file"):
            list(Clip(source).frames())


def test_what_is_too_large_is_refused_before_it_is_decoded(tmp_path: Path) -> None:
    path = make(tmp_path / "a.mp4", images(10))
    assert len(list(Clip(path, max_pixels=48 * 64, max_frames=10).frames())) == 10
    assert len(list(Clip(path, seconds=0.85, max_frames=9).frames())) == 9
    for bounds, sentence in (({"max_pixels": 48 * 64 - 1}, "frames of 64x48 pixels"), ({"max_frames": 9}, "than 9 fr")):
        with pytest.raises(StyleTransferError, match=sentence):
            list(Clip(path, **bounds).frames())


@pytest.mark.parametrize("missing", [["av"], ["cv2"], ["av", "cv2"]])
def test_missing_packages_are_named_in_one_sentence(missing: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extras, "find_spec", lambda name: None if name in missing else object())
    packages = {"av": "'av>=15,<19'", "cv2": "'opencv-python-headless>=4.9,<6'"}
    wanted = " ".join(packages[module] for module in missing)
    with pytest.raises(StyleTransferError, match=f"^clips need extra packages: pip install {wanted}$"):
        check_installed()


# --- writing


def pieces(folder: Path, kind: str, frames: Sequence[Frame]) -> list[clip.Part]:
    parts = []
    for number, chunk in enumerate((frames[:4], frames[4:])):
        piece = Piece(folder / f"{number}.piece", kind, (48, 64), 10)
        for frame in chunk:
            piece.write(frame)
        piece.close()
        parts.append(clip.Part(folder / f"{number}.piece", len(chunk), chunk[0].time))
    return parts


@pytest.mark.parametrize(
    ("source", "sound", "kind", "names"),
    [
        ("a.mp4", "aac", ".mp4", ["h264", "aac"]),
        ("a.mov", "pcm_s16le", ".mp4", ["h264", "aac"]),
        ("a.mp4", "aac", ".webm", ["vp9", "opus"]),
        ("a.mp4", "", ".mp4", ["h264"]),
    ],
)
def test_pieces_are_joined_with_the_sound(tmp_path: Path, source: str, sound: str, kind: str, names: list[str]) -> None:
    original = make(tmp_path / source, images(10), sound=sound)
    frames = list(Clip(original).frames())
    output = tmp_path / f"out{kind}"
    clip.join(pieces(tmp_path, kind, frames), output, original, 1.0)
    assert codecs(output) == names
    back = list(Clip(output).frames())
    assert [frame.time for frame in back] == pytest.approx([frame.time for frame in frames], abs=2e-3)
    for before, after in zip(frames, back):
        assert float((before.image - after.image).abs().mean()) < 0.02
        assert float((before.image.mean((2, 3)) - after.image.mean((2, 3))).abs().max()) < 0.01
    if sound:
        with av.open(str(output)) as container:
            assert sum(frame.samples for frame in container.decode(audio=0)) / 48000 == pytest.approx(1, abs=0.06)
    if sound == "aac" and kind == ".mp4":
        assert sound_packets(output) == sound_packets(original)[: len(sound_packets(output))]


def test_a_sound_that_cannot_be_read_is_left_out(tmp_path: Path) -> None:
    frames = list(Clip(make(tmp_path / "a.mp4", images(10))).frames())
    (tmp_path / "text.mp4").write_text("no clip")
    clip.join(pieces(tmp_path, ".mp4", frames), tmp_path / "out.mp4", tmp_path / "text.mp4", 1.0)
    assert codecs(tmp_path / "out.mp4") == ["h264"] and len(list(Clip(tmp_path / "out.mp4").frames())) == 10


def test_a_piece_that_nobody_closed_has_its_frames(tmp_path: Path) -> None:
    frames = list(Clip(make(tmp_path / "a.mp4", images(6))).frames())
    piece = Piece(tmp_path / "piece", ".mp4", (48, 64), 10)
    for frame in frames:
        piece.write(frame)
    (tmp_path / "copy.mp4").write_bytes((tmp_path / "piece").read_bytes())
    assert len(list(Clip(tmp_path / "copy.mp4").frames())) == 5  # all but the last
    piece.close()


# --- scenes


def test_a_film_of_pictures_has_even_sides_and_holds_its_last_frame(tmp_path: Path) -> None:
    shades = [torch.full((1, 3, 25, 41), shade) for shade in (0.2, 0.5, 0.8)]
    save_film(shades, tmp_path / "film.mp4", seconds=0.2, hold=0.6)
    frames = list(Clip(tmp_path / "film.mp4").frames())
    assert [round(frame.time, 3) for frame in frames] == [0, 0.2, 0.4, 0.6, 0.8] and codecs(tmp_path / "film.mp4") == [
        "h264"
    ]
    assert all(frame.image.shape == (1, 3, 24, 40) for frame in frames)
    for frame, shade in zip(frames, (0.2, 0.5, 0.8, 0.8, 0.8)):
        assert float((frame.image - shade).abs().max()) < 0.02
    with av.open(str(tmp_path / "film.mp4")) as film:
        assert float(film.duration / av.time_base) == pytest.approx(1.0) and film.streams.video[0].pix_fmt == "yuv420p"
    for wrong in ([], [torch.zeros(1, 3, 2, 2), torch.zeros(1, 3, 2, 4)]):
        with pytest.raises(StyleTransferError, match="of one size"):
            save_film(wrong, tmp_path / "none.mp4")
    assert not (tmp_path / "none.mp4").exists()


def test_cuts_are_found_and_motion_is_none() -> None:
    def pan(seed: int) -> list[Tensor]:
        return [torch.from_numpy(values).permute(2, 0, 1)[None] / 255 for values in images(4, 96, 128, seed)]

    assert list(scene_starts([*pan(1), *pan(2)])) == [True, False, False, False] * 2


# --- the command


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A clip of two scenes with sound, and a style."""
    make(tmp_path / "a.mp4", [*images(3, seed=1), *images(3, seed=5)], sound="aac")
    save_image(resize(noise(1, 3, 5, 6).float(), (60, 72)), tmp_path / "s.png")
    return tmp_path


def run(folder: Path, *arguments: str, out: str = "out.mp4") -> int:
    return cli.main(
        [
            str(folder / "a.mp4"), str(folder / "s.png"), "-o", str(folder / out),
            "--json", str(folder / "report.json"), *QUICK, *arguments,
        ]
    )  # fmt: skip


def losses(folder: Path) -> dict[int, float]:
    return {
        entry["frame"]: entry["losses"]["total"] for entry in json.loads((folder / "report.json").read_text())["frames"]
    }


def test_a_clip_is_painted(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(folder) == 0
    assert capsys.readouterr().err == ""
    assert codecs(folder / "out.mp4") == ["h264", "aac"]
    frames = list(Clip(folder / "out.mp4").frames())
    assert len(frames) == 6 and frames[0].image.shape == (1, 3, 48, 64)
    report = json.loads((folder / "report.json").read_text())
    assert report["outcome"] == "done" and report["scenes"] == [0, 3]
    assert [entry["steps"] for entry in report["frames"]] == [4, 2, 2, 4, 2, 2]
    assert sorted(path.name for path in folder.iterdir()) == ["a.mp4", "out.mp4", "report.json", "s.png"]


def test_a_stopped_run_is_a_clip_and_is_taken_up_again(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run(folder, out="whole.mp4") == 0
    wanted = losses(folder)
    painted, left = cli.clip.painted, 2

    def stopped(*arguments: Any) -> Iterator[Any]:
        nonlocal left
        for frame in painted(*arguments):
            if not left:
                raise KeyboardInterrupt
            left -= 1
            yield frame

    with monkeypatch.context() as patch:
        patch.setattr(cli.clip, "painted", stopped)
        assert run(folder) == 1
    assert len(list(Clip(folder / "out.mp4").frames())) == 2
    with av.open(str(folder / "out.mp4")) as container:
        assert sum(frame.samples for frame in container.decode(audio=0)) / 48000 == pytest.approx(0.2, abs=0.05)

    assert run(folder, "--strength", "60") == 2  # of other settings
    assert run(folder) == 0
    assert losses(folder) == {number: loss for number, loss in wanted.items() if number >= 2}
    again, whole = (list(Clip(folder / name).frames()) for name in ("out.mp4", "whole.mp4"))
    assert len(again) == len(whole) == 6
    for a, b in zip(again, whole):
        assert float((a.image - b.image).abs().mean()) < 0.02
    assert not (folder / "out.mp4.parts").exists()


def test_a_folder_is_taken_over_only_where_nothing_is_lost(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    parts = folder / "out.mp4.parts"
    parts.mkdir()
    (parts / "diary").touch()
    assert run(folder) == 2 and "choose another output" in capsys.readouterr().err
    (parts / "diary").unlink()
    (parts / "inputs").write_text("a run that ended before its first frame")
    assert run(folder) == 0 and not parts.exists()


def test_a_damaged_state_costs_its_scene_only(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(work, "join", lambda *arguments: None)
        patch.setattr(work.shutil, "rmtree", lambda path: None)
        assert run(folder) == 0
    (folder / "out.mp4.parts" / "000003.safetensors").write_bytes(b"damaged")
    assert run(folder) == 0
    assert sorted(losses(folder)) == [3, 4, 5] and len(list(Clip(folder / "out.mp4").frames())) == 6


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["a.mp4", "s.png", "-o", "out.png"], "must end in .mp4 or .webm"),
        (["s.png", "s.png", "-o", "out.png", "--fps", "3"], "--fps is for clips"),
        (["a.mp4", "s.png", "-o", "out.mp4", "--keep-alpha"], "takes no --keep-alpha"),
        (["a.mp4", "s.png", "-o", "out.mp4", "--seconds", "-1"], "seconds must be a positive number"),
        (["a.mp4", "s.png", "-o", "out.mp4", "--keep-every", "0"], "keep-every must be at least 1"),
        (["a.mp4", "s.png", "-o", "a.mp4"], "would replace an input"),
        (["missing.mp4", "s.png", "-o", "out.mp4"], "there is no file"),
        (["s.txt", "s.png", "-o", "out.mp4"], "cannot be read as a clip"),
        (["a.mp4", "s.png", "-o", "out.mp4", "--size", "16"], "choose a larger size"),
        (["a.mp4", "s.png", "-o", "out.mp4", "--style-weights", "1,1"], "2 numbers for 1 style images"),
    ],
)
def test_what_does_not_fit_is_one_sentence(
    folder: Path, arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "s.txt").write_text("no clip")
    names = [str(folder / word) if "." in word and not word.startswith("-") else word for word in arguments]
    assert cli.main([*names, "--quiet"]) == 2
    error = capsys.readouterr().err
    assert sentence in error and error.startswith("error: ") and error.count("\n") == 1
    assert not list(folder.glob("out*"))


def test_missing_packages_are_named_before_anything_is_read(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(extras, "find_spec", lambda name: None)
    assert run(folder) == 2 and "opencv-python-headless" in capsys.readouterr().err


def test_a_dry_run_tells_frames_and_seconds(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(folder, "--dry-run") == 0
    assert capsys.readouterr().out.startswith("out.mp4: 6 frames of 64x48, 2 scenes; about ")
    assert not list(folder.glob("out*"))


class Given:
    """An engine that a command may use but not close; `lost` of its streams end before their second frame."""

    def __init__(self, engine: Engine, lost: int = 0) -> None:
        self.engine, self.workers, self.map, self.lost = engine, engine.workers, engine.map, lost

    @contextmanager
    def worker(self) -> Iterator[Any]:
        with self.engine.worker() as worker:
            yield _Losing(worker, self)

    def close(self) -> None:
        pass


class _Losing:
    def __init__(self, worker: Any, engine: Given) -> None:
        self.worker, self.engine = worker, engine

    def stream(self, *arguments: Any) -> Iterator[Any]:
        for number, frame in enumerate(self.worker.stream(*arguments)):
            if number and self.engine.lost:
                self.engine.lost -= 1
                raise Lost("gone")
            yield frame


@pytest.mark.usefixtures("one_thread")
def test_scenes_go_to_workers_and_a_lost_one_is_replaced(
    folder: Path, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(folder) == 0
    wanted = losses(folder)
    monkeypatch.setattr(cli.clip, "chosen", lambda options: Given(engine, lost=int(engine.workers == 1)))
    assert run(folder, out="again.mp4") == 0
    assert losses(folder).keys() == wanted.keys()
    assert all(math.isclose(losses(folder)[number], loss, rel_tol=1e-5) for number, loss in wanted.items())
    assert len(list(Clip(folder / "again.mp4").frames())) == 6


def test_a_link_as_the_output_stays_one(folder: Path) -> None:
    (folder / "out.mp4").symlink_to(folder / "real.mp4")
    assert run(folder) == 0
    assert (folder / "out.mp4").is_symlink() and len(list(Clip(folder / "real.mp4").frames())) == 6
