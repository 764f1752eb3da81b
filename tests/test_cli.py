"""The command line: every setting a flag, pictures made and told about, errors in one sentence."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import weakref
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import torch

from styletransfer import Config, StyleTransferError, cli, load_image, save_image
from styletransfer.images import read_settings
from styletransfer.pixels import resize
from styletransfer.recipes import RECIPES
from styletransfer.transfer import Step, iterate

ROOT = Path(__file__).parents[1]
QUICK = ["--size", "64", "--scales", "1", "--iterations", "2", "--device", "cpu", "--quiet"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with two contents and two styles."""
    for seed, name in enumerate(("a", "b", "s", "t")):
        coarse = torch.rand(1, 3, 5, 6, generator=torch.Generator().manual_seed(seed))
        save_image(resize(coarse, (60, 72)), tmp_path / f"{name}.png")
    return tmp_path


def run(folder: Path, *arguments: str) -> int:
    return cli.main([str(folder / a) if a.endswith((".png", ".jpg", "_")) else a for a in arguments])


def test_every_setting_is_a_flag_with_its_name() -> None:
    options = vars(cli.build_parser().parse_args([]))
    assert {each.name for each in fields(Config)} <= set(options)
    assert cli.configured(cli.build_parser().parse_args([])) == RECIPES["balanced"]


def test_flags_reach_the_configuration_in_their_types() -> None:
    words = "--recipe neural-style --style-layers relu1_1,conv2_1 --style-layer-weights 1,0.5 --iterations 5,6 --no-box"
    words += " --size original --tv-weight 1e-4 --strength 70 --scales .5,1 --weights w.pth"
    config = cli.configured(cli.build_parser().parse_args(words.split()))
    assert config.network == "vgg19-caffe" and config.history == 100
    assert config.style_layers == ("relu1_1", "conv2_1") and config.style_layer_weights == (1, 0.5)
    assert config.iterations == (5, 6) and config.box is False and config.size == "original"
    assert config.tv_weight == 1e-4 and config.strength == 70 and config.weights == "w.pth"


def test_a_picture_is_painted_and_says_how(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(folder, "a.png", "s.png", "t.png", "-o", "out.png", "--json", "r_", *QUICK, "--strength", "60") == 0
    assert tuple(load_image(folder / "out.png").shape) == (1, 3, 53, 64)
    settings = read_settings(folder / "out.png")
    assert settings["config"]["strength"] == 60 and settings["network"]["name"] == "builtin"
    report = json.loads((folder / "r_").read_text())
    assert report["metadata"] == settings and report["outcome"] == "done"
    assert len(report["history"]) == 2 == len(report["seconds"]["steps"])
    assert sum(report["seconds"]["steps"]) == pytest.approx(report["seconds"]["scales"]["0"])
    assert report["peak_memory"]["process"] > 50 * 2**20
    assert report["machine"]["device"] == "cpu" and report["machine"]["threads"] == torch.get_num_threads()
    assert capsys.readouterr().err == ""


def test_verbose_says_how_the_machine_computes(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    flags = ["--precision", "float32", "--verbose", "--json", "r_"]
    assert run(folder, "a.png", "s.png", "-o", "out.png", *QUICK, *flags) == 0
    (line,) = capsys.readouterr().err.splitlines()
    machine = json.loads((folder / "r_").read_text())["machine"]
    pays = machine["measured"]["Winograd pays at 128 x 128 channels"]
    assert line.startswith(
        f"float32, {torch.get_num_threads()} threads, Winograd's algorithm in {machine['winograd']} of"
    )
    assert f"Winograd pays at 128 x 128 channels: {'yes' if pays else 'no'}" in line


def test_a_picture_can_be_made_again_from_itself(folder: Path) -> None:
    assert run(folder, "a.png", "s.png", "-o", "one.png", *QUICK, "--init", "noise", "--seed", "3") == 0
    assert run(folder, "a.png", "s.png", "-o", "two.png", "--settings", "one.png", "--quiet") == 0
    assert (folder / "one.png").read_bytes() == (folder / "two.png").read_bytes()


def test_the_three_tasks(folder: Path) -> None:
    assert run(folder, "a.png", "-o", "content.png", "--task", "content", *QUICK) == 0
    assert run(folder, "s.png", "-o", "style.jpg", "--task", "style", "--init", "noise", *QUICK) == 0
    assert tuple(load_image(folder / "style.jpg").shape) == (1, 3, 53, 64)


def test_frames_are_kept_on_the_way(folder: Path) -> None:
    assert (
        run(folder, "a.png", "s.png", "-o", "o.png", *QUICK, "--iterations", "5", "--frames", "f_", "--every", "2") == 0
    )
    assert sorted(path.name for path in (folder / "f_").iterdir()) == ["o-00002.png", "o-00004.png"]


def test_steps_are_let_go_of_on_the_way(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each holds pictures of its own: kept to the end, a long run would fill the memory."""
    alive: list[weakref.ref[Step]] = []
    most = 0

    def watched(*given: Any, **options: Any) -> Iterator[Step]:
        nonlocal most
        for step in iterate(*given, **options):
            alive.append(weakref.ref(step))
            yield step
            most = max(most, sum(each() is not None for each in alive))

    monkeypatch.setattr(cli.run, "iterate", watched)
    assert run(folder, "a.png", "s.png", "-o", "out.png", *QUICK, "--iterations", "6") == 0
    assert len(alive) == 6
    assert most <= 3


def test_several_contents_go_into_a_folder(folder: Path) -> None:
    assert run(folder, "a.png", "b.png", "--style", "s.png", "--output-dir", "d_", *QUICK) == 0
    alone = run(folder, "b.png", "s.png", "-o", "alone.png", *QUICK)
    assert alone == 0 and sorted(path.name for path in (folder / "d_").iterdir()) == ["a.png", "b.png"]
    assert torch.equal(load_image(folder / "d_" / "b.png"), load_image(folder / "alone.png"))


def test_a_mask_says_where_a_style_goes(folder: Path) -> None:
    mask = torch.zeros(1, 3, 60, 72)
    mask[..., :36] = 1
    save_image(mask, folder / "left.png")
    assert run(folder, "a.png", "s.png", "-o", "out.png", *QUICK, "--masks", "left.png") == 0
    photo, painted = resize(load_image(folder / "a.png"), (53, 64)), load_image(folder / "out.png")
    assert torch.allclose(painted[..., 36:], photo[..., 36:], atol=1 / 255)
    assert not torch.allclose(painted[..., :28], photo[..., :28], atol=4 / 255)
    both = ["a.png", "s.png", "t.png", "-o", "both.png", *QUICK, "--masks", "left.png", "-"]
    assert run(folder, *both) == 0
    assert not torch.allclose(load_image(folder / "both.png")[..., 36:], photo[..., 36:], atol=4 / 255)


def test_a_dry_run_tells_what_a_run_takes_and_takes_nothing(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(folder, "a.png", "s.png", "-o", "out.png", *QUICK, "--dry-run") == 0
    told = capsys.readouterr().out
    assert "64x53 2 steps" in told and " s\n" in told and " MB" in told and "in one piece" in told
    assert not (folder / "out.png").exists()


def test_a_stranger_s_picture_names_no_file(folder: Path) -> None:
    """The settings inside a picture are data: a path to weights in them is not followed."""
    settings = {"config": {**Config(size=64).to_dict(), "weights": str(folder / "secret.safetensors")}}
    save_image(load_image(folder / "a.png"), folder / "sent.png", settings=settings)
    options = cli.build_parser().parse_args(["--settings", str(folder / "sent.png")])
    assert cli.configured(options).weights is None and cli.configured(options).size == 64


def test_an_older_picture_s_settings_say_what_has_changed_since(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = {"config": {**Config(size=64).to_dict(), "octaves": 3}}
    save_image(load_image(folder / "a.png"), folder / "old.png", settings=settings)
    options = cli.build_parser().parse_args(["--settings", str(folder / "old.png")])
    assert cli.configured(options).size == 64
    assert capsys.readouterr().err == "old.png: the setting octaves, which was 3, no longer exists\n"


def test_transparency_is_restored_on_request(folder: Path) -> None:
    from styletransfer.images import load_alpha

    alpha = torch.zeros(1, 1, 60, 72)
    alpha[..., 36:] = 1
    save_image(load_image(folder / "a.png"), folder / "clear.png", alpha=alpha)
    assert run(folder, "clear.png", "s.png", "-o", "kept.png", "--keep-alpha", *QUICK) == 0
    kept = load_alpha(folder / "kept.png")
    assert kept is not None and float(kept[..., :28].max()) == 0 and float(kept[..., -28:].min()) == 1
    assert run(folder, "clear.png", "s.png", "-o", "flat.png", *QUICK) == 0
    assert load_alpha(folder / "flat.png") is None


@pytest.mark.parametrize(
    "words",
    [
        "",
        "a.png",
        "a.png s.png",
        "a.png s.png -o out.xyz",
        "a.png s.png -o out.png --output-dir x",
        "a.png s.png -o out.png --nonsense 3",
        "a.png s.png -o out.png --size huge",
        "a.png s.png -o out.png --size nan",
        "a.png s.png -o out.png --strength 101",
        "a.png s.png -o out.png --style-layers relu9_9",
        "a.png s.png -o out.png --recipe nobody",
        "a.png s.png -o out.png --recipe gatys",
        "a.png s.png -o out.png --network vgg19-caffe --weights s.png",
        "a.png s.png -o out.png --device abacus",
        "a.png s.png -o out.png --every 0",
        "a.png s.png -o out.png --settings s.png",
        "a.png missing.png -o out.png",
        "a.png s.png --task content -o out.png --style s.png",
        "a.png b.png --style s.png -o out.png",
        "a.png a.png --style s.png --output-dir d_",
    ],
)
def test_bad_usage_is_one_sentence_and_leaves_no_file(
    folder: Path, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    before = set(folder.iterdir())
    assert run(folder, *words.split(), "--quiet") == 2
    said = capsys.readouterr().err
    assert said.startswith("error: ") and said.count("\n") == 1 and "Traceback" not in said
    assert {path for path in folder.iterdir() if path.is_file()} == before


LONG = "n" * 300


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (f"a.png s.png -o {LONG}.png", "too long"),
        ("a.png s.png -o folder.png", "it is a folder"),
        ("a.png s.png -o none/o.png", "its folder does not exist"),
        ("a.png s.png -o o.png --json none/r.json", "its folder does not exist"),
        ("a.png s.png -o o.png --json folder.png", "it is a folder"),
        (f"a.png s.png -o {'n' * 250}.png --frames f", "too long"),
        ("a.png s.png -o o.png --frames a.png", "cannot make the folder"),
        ("a.png b.png --style s.png --output-dir a.png", "cannot make the folder"),
        ("a.png b.png --style s.png --output-dir .", "it would replace an input"),
        ("a.png s.png -o s.png", "it would replace an input"),
        ("a.png s.png -o link.png", "it would replace an input"),
        ("a.png s.png -o o.png --masks s.png --json s.png", "it would replace an input"),
        ("a.png s.png -o o.png --json o.png", "it would replace another output"),
        ("a-00010.png s.png -o a.png --frames .", "one of them would replace it"),
        ("clear.png s.png -o o.jpg --keep-alpha", "JPEG cannot hold transparency"),
        ("a.png s.png -o o.webp --size 16384", "too large for webp"),
        ("a.png s.png t.png -o o.png --masks black.png -", "'black.png' is black throughout"),
    ],
)
def test_an_output_that_could_not_be_written_is_told_before_the_first_step(
    folder: Path, words: str, sentence: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def begun(*_: Any, **__: Any) -> Iterator[Step]:
        raise AssertionError("a run began")

    monkeypatch.setattr(cli.run, "iterate", begun)
    monkeypatch.chdir(folder)
    (folder / "folder.png").mkdir()
    (folder / "link.png").symlink_to("a.png")
    (folder / "a-00010.png").write_bytes((folder / "a.png").read_bytes())
    clear = torch.zeros(1, 1, 60, 72)
    save_image(torch.zeros(1, 3, 8, 8), folder / "black.png")
    save_image(load_image(folder / "a.png"), folder / "clear.png", alpha=clear)
    before = {path: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    assert cli.main([*QUICK, *words.split()]) == 2
    said = capsys.readouterr().err
    assert sentence in said and said.count("\n") == 1 and len(said) < 300
    assert {path: path.read_bytes() for path in folder.iterdir() if path.is_file()} == before


@pytest.mark.parametrize("flag", ["-o", "--output-dir", "--frames", "--json", "--settings", "--style", "--masks"])
def test_an_empty_name_is_not_the_current_folder(flag: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["a.png", "s.png", flag, ""]) == 2
    assert "the name is empty" in capsys.readouterr().err
    assert cli.main(["", "s.png", "-o", "o.png"]) == 2
    assert "the name is empty" in capsys.readouterr().err


def test_a_link_stays_a_link_and_a_pipe_a_pipe(folder: Path) -> None:
    (folder / "target").mkdir()
    (folder / "out.png").symlink_to(Path("target", "real.png"))
    os.mkfifo(folder / "r_")
    reading = os.open(folder / "r_", os.O_RDONLY | os.O_NONBLOCK)
    try:
        assert run(folder, "a.png", "s.png", "-o", "out.png", "--json", "r_", *QUICK) == 0
        assert json.loads(os.read(reading, 2**16))["outcome"] == "done"
    finally:
        os.close(reading)
    assert (folder / "out.png").is_symlink() and (folder / "r_").is_fifo()
    assert tuple(load_image(folder / "target" / "real.png").shape) == (1, 3, 53, 64)


def test_a_frame_that_cannot_be_written_does_not_cost_the_picture(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(image: torch.Tensor, path: Path, **options: Any) -> None:
        if path.parent.name == "f_":
            raise StyleTransferError("no space left")
        save_image(image, path, **options)

    monkeypatch.setattr(cli.run, "save_image", full)
    assert run(folder, "a.png", "s.png", "-o", "out.png", "--frames", "f_", "--every", "1", *QUICK) == 0
    assert capsys.readouterr().err.count("no more frames are kept: no space left") == 1
    assert read_settings(folder / "out.png")["outcome"] == "done"


@pytest.mark.parametrize("words", ["a.png s.png -o d_/a-s.png", "a.png b.png --style s.png --each --output-dir d_"])
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a disk that is always full")
def test_a_report_that_cannot_be_written_does_not_cost_the_pictures(
    folder: Path, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "d_").mkdir()
    assert run(folder, *words.split(), "--json", "/dev/full", *QUICK) == 1
    assert capsys.readouterr().err.count("the report 'full' cannot be written: No space left on device") == 1
    for name in ("a", "b")[: words.count("b.png") + 1]:
        assert read_settings(folder / "d_" / f"{name}-s.png")["outcome"] == "done"


def test_ctrl_c_ends_a_batch(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def interrupted(*given: Any, **options: Any) -> Iterator[Step]:
        yield next(iter(iterate(*given, **options)))
        raise KeyboardInterrupt

    monkeypatch.setattr(cli.run, "iterate", interrupted)
    words = ["a.png", "b.png", "t.png", "--style", "s.png", "--output-dir", "d_", "--json", "r_"]
    assert run(folder, *words, *QUICK) == 1
    assert [path.name for path in (folder / "d_").iterdir()] == ["a.png"]
    assert [report["outcome"] for report in json.loads((folder / "r_").read_text())] == ["stopped"]
    assert "2 of 3 pictures are not painted" in capsys.readouterr().err


def test_hidden_files_of_a_folder_are_no_pictures(folder: Path) -> None:
    (folder / "in_").mkdir()
    (folder / "in_" / "a.png").write_bytes((folder / "a.png").read_bytes())
    (folder / "in_" / "._a.png").write_bytes(b"\0\5\x16\7 macOS")
    assert run(folder, "in_", "--style", "s.png", "--output-dir", "d_", *QUICK) == 0
    assert [path.name for path in (folder / "d_").iterdir()] == ["a.png"]


def test_pictures_of_a_folder_go_by_any_of_their_usual_endings(folder: Path) -> None:
    (folder / "in_").mkdir()
    for name in ("a.JPG", "b.jfif", "c.jpe", "d.apng"):  # the content, not the name, tells what a file is
        (folder / "in_" / name).write_bytes((folder / "a.png").read_bytes())
    assert run(folder, "in_", "--style", "s.png", "--output-dir", "d_", *QUICK) == 0
    assert sorted(path.stem for path in (folder / "d_").iterdir()) == ["a", "b", "c", "d"]


def test_lists(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--list-recipes"]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == list(RECIPES)
    assert cli.main(["--list-layers", "--network", "vgg16"]) == 0
    layers = capsys.readouterr().out.split()
    assert "relu5_3" in layers and "conv1_1" in layers and "relu3_4" not in layers
    with pytest.raises(StyleTransferError):
        cli.build_parser().parse_args(["--recipe"])


def test_ctrl_c_saves_what_there_is(folder: Path) -> None:
    command = [sys.executable, "-m", "styletransfer", str(folder / "a.png"), str(folder / "s.png")]
    command += ["-o", str(folder / "out.png"), "--frames", str(folder / "frames"), "--every", "1"]
    command += ["--size", "64", "--scales", "1", "--iterations", "100000", "--optimizer", "adam", "--device", "cpu"]
    process = subprocess.Popen(
        command, cwd=ROOT, stderr=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)}
    )
    deadline = time.monotonic() + 120
    while not list(folder.glob("frames/*.png")) and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    said = process.communicate(timeout=60)[1]
    assert process.returncode == 0, said
    assert "stopped: saved out.png" in said
    assert read_settings(folder / "out.png")["outcome"] == "stopped"
