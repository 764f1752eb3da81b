"""Clips of the app: what may be asked for, what there is to show meanwhile, and what is left whenever one ends."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from clips import av, codecs, images, make
from small import _a_small_network, two_pictures  # noqa: F401

from styletransfer import StyleTransferError, extras, load_image
from styletransfer.engine import Here, Lost
from styletransfer.studio import clip as module
from styletransfer.studio.clip import Reel, check, left, ordered, paint
from styletransfer.studio.frames import network_for
from styletransfer.studio.server import Limits, Server
from styletransfer.studio.task import NEXT_TURN
from styletransfer.video import Clip, paint_frames

SETTINGS = {"size": 65, "scales": "1", "iterations": "4"}
PRIVATE = b"loci", b"diary", b"private", b"somebody"  # the first: the place that a telephone writes into a clip


@pytest.fixture
def both(tmp_path: Path) -> tuple[str, str]:
    """A clip of six frames with sound that says where it was taken, and a style."""
    plain = make(tmp_path / "plain.mp4", images(6), sound="aac")
    with av.open(str(plain)) as source, av.open(str(tmp_path / "clip.mp4"), "w") as copy:
        copy.metadata.update(title="diary", location="+48.8577+002.295/", comment="private")
        streams = {stream: copy.add_stream_from_template(stream) for stream in source.streams}
        for stream in streams.values():
            stream.metadata["handler_name"] = "somebody"
        for packet in source.demux():
            if packet.dts is not None:
                packet.stream = streams[packet.stream]
                copy.mux(packet)
    return str(tmp_path / "clip.mp4"), two_pictures(tmp_path)[1]


@pytest.fixture(autouse=True)
def _no_glimpses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether a frame is looked at while it is painted would depend on how busy the machine is."""
    monkeypatch.setattr("styletransfer.video.scenes.GLIMPSE_EVERY", math.inf)


def reel(both: tuple[str, str], limits: Limits = Limits(), **changes: Any) -> Reel:  # noqa: B008
    asked = {"clip": both[0], "style": both[1], "seconds": 2, "fps": 12, **changes}
    return ordered(Server(limits), SETTINGS, **asked)


def left_in(reel: Reel) -> list[str]:
    return sorted(path.name for path in Path(reel.folder.name).iterdir())


def test_a_clip_is_painted_frame_after_frame(both: tuple[str, str]) -> None:
    wanted, told, turns = reel(both), [], 0
    for item in paint(wanted):
        turns += item is NEXT_TURN
        told.append(wanted.progress_text)
        if wanted.shown:
            assert load_image(wanted.shown).shape == (1, 3, 48, 64)
    words = [text.split(" · ")[0] for text in dict.fromkeys(told)]
    assert list(dict.fromkeys(words)) == ["Getting ready", *(f"Frame {number} of 6" for number in range(2, 7))]
    assert all(" · about " in text for text in told if text.startswith("Frame"))
    assert turns == 6 and wanted.progress == 1 and wanted.ending.startswith("Done: 6 frames in ")
    assert wanted.file is not None and left_in(wanted) == ["clip-style-64.mp4", "frame.jpg"]
    assert codecs(Path(wanted.file)) == ["h264", "aac"]

    config, style = wanted.job.config, load_image(both[1])
    contents = [frame.image for frame in Clip(Path(both[0])).frames(64)]
    alike = [result.image for result, _ in paint_frames(contents, [style], config, network_for(config))]
    shown = [frame.image for frame in Clip(Path(wanted.file)).frames()]
    assert len(shown) == 6
    assert all(float((a - b).abs().mean()) < 0.03 for a, b in zip(alike, shown))


def test_nothing_that_the_clip_says_of_itself_is_in_the_painted_one(both: tuple[str, str]) -> None:
    assert all(word in Path(both[0]).read_bytes() for word in PRIVATE)
    wanted = reel(both)
    for _ in paint(wanted):
        pass
    assert not any(word in Path(str(wanted.file)).read_bytes() for word in PRIVATE)


@pytest.mark.parametrize("frames", [0, 2])
def test_a_stopped_clip_has_the_frames_that_are_done(both: tuple[str, str], frames: int) -> None:
    wanted = reel(both)
    items = paint(wanted)
    next(items)
    while wanted.number < frames:
        next(items)
    items.close()
    if not frames:
        assert wanted.file is None and wanted.ending == "Stopped: no frame is finished yet." and left_in(wanted) == []
        return
    assert wanted.ending == "Stopped: 2 of 6 frames." and left_in(wanted) == ["clip-style-64.mp4", "frame.jpg"]
    assert len(list(Clip(Path(str(wanted.file))).frames())) == 2
    with av.open(str(wanted.file)) as container:
        assert sum(frame.samples for frame in container.decode(audio=0)) / 48000 == pytest.approx(0.2, abs=0.05)


def test_a_clip_ends_when_its_time_is_over(both: tuple[str, str]) -> None:
    wanted = reel(both, Limits(seconds=1e-6))
    for _ in paint(wanted):
        pass
    assert wanted.ending == "Stopped after 0 s, the most that is allowed here: 1 of 6 frames."
    assert len(list(Clip(Path(str(wanted.file))).frames())) == 1


def test_a_frame_is_looked_at_while_it_is_painted(both: tuple[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("styletransfer.video.scenes.GLIMPSE_EVERY", -1.0)
    wanted, parts = reel(both), []
    for _ in paint(wanted):
        if wanted.number == 0 and wanted.shown:
            parts.append(wanted.part)
    assert parts == [0.25, 0.5, 0.75, 1.0] and wanted.number == 6


class Losing(Here):
    """An engine of another machine, so to say, whose first stream is lost before its third frame."""

    lost = False

    @contextmanager
    def worker(self) -> Iterator[Any]:  # type: ignore[override]
        yield self

    def stream(self, function: Any, *arguments: Any) -> Any:
        for number, item in enumerate(function(*arguments)):
            if number == 2 and not self.lost:
                self.lost = True
                raise Lost("gone")
            yield item


def test_a_lost_worker_costs_nothing_that_is_painted(both: tuple[str, str]) -> None:
    wanted, numbers = reel(both), []
    for _ in paint(wanted, Losing()):
        numbers.append(wanted.number)
    assert sorted(numbers) == numbers and wanted.number == 6
    assert len(list(Clip(Path(str(wanted.file))).frames())) == 6


def test_the_time_left_follows_from_the_frames_so_far() -> None:
    assert left({0: 6.0}, {0, 3}, 6) == pytest.approx(4 * module.FURTHER * 6 + 6)
    assert left({0: 6.0, 1: 1.0, 2: 3.0}, {0, 3}, 6) == pytest.approx(6 + 2 * 2)
    assert left({number: 1.0 for number in range(6)}, {0}, 6) == 0


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"clip": None}, "there is no clip yet"),
        ({"style": None}, "there is no style yet"),
        ({"seconds": 31}, "seconds must be a number above 0 and at most 30, got 31"),
        ({"seconds": math.nan}, "seconds must be a number"),
        ({"fps": "12"}, "frames a second must be a number"),
        ({"fps": 0}, "frames a second must be a number above 0"),
        ({"fps": True}, "frames a second must be a number"),
        ({"seconds": 30, "fps": 21}, "these are 630 frames: at most 600 are allowed here"),
        ({"limits": Limits(clip_size=64)}, "size is 65: at most 64 is allowed here for clips"),
        ({"limits": Limits(zero=True)}, "not painted on ZeroGPU"),
    ],
)
def test_what_is_not_allowed_is_one_sentence(both: tuple[str, str], changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(StyleTransferError, match=sentence):
        reel(both, **changes)


def test_without_the_packages_pictures_are_painted_and_clips_say_what_to_install(
    both: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(extras, "find_spec", lambda name: None)
    for ask in (lambda: reel(both), lambda: check(both[0], Limits())):
        with pytest.raises(StyleTransferError, match="pip install 'av"):
            ask()


def test_odd_clips_end_in_one_sentence(both: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = Path(both[0]).read_bytes()
    (tmp_path / "text.mp4").write_text("no clip")
    (tmp_path / "half.mp4").write_bytes(data[: len(data) // 2])
    (tmp_path / "list.mp4").write_text("#EXTM3U\n#EXTINF:1,\nfile:///etc/hostname\n")
    torch.save({}, tmp_path / "weights.webm")
    for name in ("text.mp4", "half.mp4", "list.mp4", "weights.webm"):
        with pytest.raises(StyleTransferError, match="cannot be read as a clip: it is damaged"):
            check(str(tmp_path / name), Limits())
        wanted = reel((str(tmp_path / name), both[1]))
        with pytest.raises(StyleTransferError, match="cannot be read as a clip"):
            list(paint(wanted))
        assert wanted.file is None and left_in(wanted) == []
    check(both[0], Limits(pixels=48 * 64))
    with pytest.raises(StyleTransferError, match="frames of 64x48 pixels"):
        check(both[0], Limits(pixels=48 * 64 - 1))
    monkeypatch.setattr(module, "READ_AT_MOST", 5)
    wanted = reel(both)
    with pytest.raises(StyleTransferError, match="has more than 5 frames"):
        list(paint(wanted))
    assert wanted.file is None
