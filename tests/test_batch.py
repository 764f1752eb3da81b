"""Folders: every content with every style, here and on Ray's workers, with one that dies and one that is no picture."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch

from styletransfer import cli, save_image
from styletransfer.cli import batch
from styletransfer.engine import Engine, Here, Lost
from styletransfer.pixels import resize

pytestmark = pytest.mark.usefixtures("one_thread")
QUICK = ["--size", "64", "--scales", ".5,1", "--iterations", "2", "--device", "cpu", "--quiet"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two contents of different shapes in a folder of their own, and two styles."""
    (tmp_path / "photos").mkdir()
    for seed, (name, size) in enumerate(
        {"photos/a": (60, 72), "photos/b": (80, 50), "s": (60, 60), "t": (64, 90)}.items()
    ):
        coarse = torch.rand(1, 3, 5, 6, generator=torch.Generator().manual_seed(seed))
        save_image(resize(coarse, size), tmp_path / f"{name}.png")
    return tmp_path


class Given:
    """An engine that a command may use but not close."""

    def __init__(self, engine: Engine) -> None:
        self.engine, self.workers, self.map = engine, engine.workers, engine.map

    @contextmanager
    def worker(self) -> Iterator[Any]:
        with self.engine.worker() as worker:
            yield self.changed(worker)

    def changed(self, worker: Any) -> Any:
        return worker

    def close(self) -> None:
        pass


def run(folder: Path, engine: Given, *arguments: str, out: str = "out") -> int:
    command = [str(folder / "photos"), "--style", str(folder / "s.png"), "--style", str(folder / "t.png"), "--each"]
    command += ["--output-dir", str(folder / out), "--json", str(folder / f"{out}.jsonl"), *QUICK, *arguments]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("styletransfer.cli.run.chosen", lambda options: engine)
        return cli.main(command)


def pictures(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def lines(report: Path) -> dict[str, Any]:
    entries = [json.loads(line) for line in report.read_text().splitlines()]
    assert len({entry["output"] for entry in entries}) == len(entries)
    return {entry["output"]: entry for entry in entries}


NAMES = {"a-s.png", "a-t.png", "b-s.png", "b-t.png"}


def test_every_content_is_painted_in_every_style_as_it_is_alone(folder: Path, engine: Engine) -> None:
    assert run(folder, Given(engine)) == 0
    made = pictures(folder / "out")
    assert set(made) == NAMES
    for name, picture in made.items():
        content, style = folder / "photos" / f"{name[0]}.png", folder / f"{name[2]}.png"
        assert cli.main([str(content), str(style), "-o", str(folder / "alone.png"), *QUICK]) == 0
        assert picture == (folder / "alone.png").read_bytes()
    assert all(entry["outcome"] == "done" for entry in lines(folder / "out.jsonl").values())


def test_what_is_there_stays_and_the_rest_is_painted(folder: Path, engine: Engine) -> None:
    (folder / "out").mkdir()
    (folder / "out" / "a-t.png").write_bytes(b"a picture from before")
    assert run(folder, Given(engine)) == 0
    assert set(pictures(folder / "out")) == NAMES == {"a-t.png", *lines(folder / "out.jsonl")}
    assert pictures(folder / "out")["a-t.png"] == b"a picture from before"


def test_a_picture_that_fails_spoils_nothing_and_is_told(
    folder: Path, engine: Engine, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "photos" / "c.png").write_bytes(b"no picture")
    assert run(folder, Given(engine)) == 1
    assert set(pictures(folder / "out")) == NAMES
    told = capsys.readouterr().err.splitlines()
    assert [line.split(": ")[1] for line in sorted(told)] == ["c-s.png", "c-t.png"]
    entries = lines(folder / "out.jsonl")
    assert set(entries) == {*NAMES, "c-s.png", "c-t.png"} and "error" in entries["c-s.png"]


def test_a_style_is_measured_once(folder: Path, engine: Engine) -> None:
    measured = []

    class Watched(Given):
        def changed(self, worker: Any) -> Any:
            class Worker:
                stream = worker.stream

                def keep(self, function: Any, style: bytes, *rest: Any) -> Any:
                    assert function is batch.statistics
                    measured.append(style)
                    return worker.keep(function, style, *rest)

            return Worker()

    assert run(folder, Watched(engine)) == 0
    assert sorted(measured) == sorted((folder / name).read_bytes() for name in ("s.png", "t.png"))


def test_statistics_measured_once_are_those_of_every_run(folder: Path) -> None:
    """A run with them computes none of its own: it would look for a size that they do not have."""
    options = cli.build_parser().parse_args(QUICK)
    config = cli.configured(options)
    style = (folder / "s.png").read_bytes()
    targets = batch.statistics(style, config, "white")
    sizes = set(targets)
    for name in ("a", "b"):
        order = batch.Order((folder / "photos" / f"{name}.png").read_bytes(), style, "png", config, "white", False)
        *_, (with_them, _) = batch.painted(order, targets)
        *_, (without, _) = batch.painted(order, {})
        assert with_them == without and set(targets) == sizes


def test_a_picture_whose_worker_dies_is_tried_again(folder: Path, cluster: Engine) -> None:
    killed = []

    class Deadly(Given):
        def changed(self, worker: Any) -> Any:
            class Worker:
                keep = worker.keep

                def stream(self, *arguments: Any) -> Iterator[Any]:
                    for item in worker.stream(*arguments):
                        if not killed:
                            assert isinstance(item, float)  # in the middle
                            killed.append(worker.look(os.getpid))
                            os.kill(killed[0], signal.SIGKILL)
                        yield item

            return Worker()

    steps = ["--iterations", "60", "--optimizer", "adam"]
    assert run(folder, Given(Here()), *steps) == 0
    assert run(folder, Deadly(cluster), *steps, out="again") == 0
    assert killed and pictures(folder / "again") == pictures(folder / "out")


def test_a_picture_that_kills_every_worker_fails_alone(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    class Deadly(Given):
        def changed(self, worker: Any) -> Any:
            class Worker:
                keep = worker.keep

                def stream(self, function: Any, order: batch.Order, targets: Any) -> Iterator[Any]:
                    if order.content == (folder / "photos" / "a.png").read_bytes():
                        raise Lost("killed")
                    return worker.stream(function, order, targets)  # type: ignore[no-any-return]

            return Worker()

    assert run(folder, Deadly(Here())) == 1
    assert set(pictures(folder / "out")) == {"b-s.png", "b-t.png"}
    assert "failed: a-s.png: 2 workers died over it" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words",
    [
        "--masks s.png",
        "--frames frames",
        "--init-image s.png",
        "--task content",
        "-o x.png",
    ],
)
def test_what_does_not_go_with_many_pictures_is_refused(
    folder: Path, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(folder, Given(Here()), *words.split()) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: ") and said.count("\n") == 1 and not (folder / "out").exists()


def test_two_pictures_of_one_name_are_refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(folder, Given(Here()), "--style", str(folder / "photos" / ".." / "s.png")) == 2
    assert "two pictures would be named a-s.png" in capsys.readouterr().err


def test_a_single_picture_in_tiles_is_shared_out(folder: Path, cluster: Engine) -> None:
    """The tiles of one picture, computed by workers: byte for byte the picture that is computed here."""
    shared = []

    class Counted(Given):
        def __init__(self, engine: Engine) -> None:
            super().__init__(engine)
            self.map = self.counted

        def counted(self, function: Any, *iterables: Any) -> Any:
            shared.append(function.__name__)
            return self.engine.map(function, *iterables)

    command = [str(folder / "photos" / "a.png"), str(folder / "s.png"), *QUICK, "--size", "96", "--tile", "32"]
    assert cli.main([*command, "-o", str(folder / "here.png")]) == 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("styletransfer.cli.run.chosen", lambda options: Counted(cluster))
        assert cli.main([*command, "-o", str(folder / "there.png")]) == 0
    assert (folder / "here.png").read_bytes() == (folder / "there.png").read_bytes()
    assert {"_sums", "_gradient", "content_inside"} <= set(shared)
