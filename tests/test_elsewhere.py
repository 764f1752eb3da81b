"""Runs that workers paint: the same pictures, stopped, continued, and taken over where a worker dies."""

from __future__ import annotations

import os
import pickle
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small import job as small_job
from small import out_of_time

from styletransfer import StyleTransferError
from styletransfer.engine import Engine, Here, Lost
from styletransfer.studio import elsewhere
from styletransfer.studio.elsewhere import Elsewhere, frames_of, sketches_of
from styletransfer.studio.frames import Frame, paint
from styletransfer.studio.job import Job
from styletransfer.studio.kept import Visit
from styletransfer.studio.session import continuation, run

pytestmark = pytest.mark.usefixtures("one_thread")


class Pickling:
    """An engine in this process whose worker gets and gives pickled things, and dies as often as it is told to."""

    workers = 2
    map = Here().map

    def __init__(self, deaths: int = 0, after: int = 2) -> None:
        self.deaths, self.after, self.gone = deaths, after, False  # after so many frames

    @contextmanager
    def worker(self) -> Iterator[Any]:
        yield self

    def stream(self, function: Any, *arguments: Any) -> Iterator[Any]:
        function, arguments = pickle.loads(pickle.dumps((function, arguments)))
        for number, item in enumerate(function(*arguments)):
            if self.deaths and number == self.after:
                self.deaths -= 1
                raise Lost("killed")
            yield pickle.loads(pickle.dumps(item))

    def look(self, function: Any, *arguments: Any) -> Any:
        if self.gone:
            raise Lost("killed")
        return pickle.loads(pickle.dumps(function(*arguments)))

    def keep(self, function: Any, *arguments: Any) -> Any:
        raise AssertionError("not used here")

    def close(self) -> None:
        pass


@pytest.fixture(params=["pickling", "ray"])
def distant(request: pytest.FixtureRequest) -> Engine:
    return Pickling() if request.param == "pickling" else request.getfixturevalue("cluster")


@pytest.fixture(autouse=True)
def _each_step_is_a_frame(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("styletransfer.studio.frames.PREVIEW_EVERY", 0.0)


def job(pictures: tuple[str, str], **changes: Any) -> Job:
    """A quick run of two scales, which the built-in network needs a larger picture for."""
    return small_job(pictures, size=96, **changes)


def last_of(frames: Iterator[Frame]) -> Frame:
    *_, last = frames
    return last


def test_a_worker_s_picture_is_the_local_one(distant: Engine, pictures: tuple[str, str]) -> None:
    asked = job(pictures)
    found, wanted = list(frames_of(distant, asked)), last_of(paint(asked))
    assert np.array_equal(found[-1].raw, wanted.raw) and found[-1].metadata == wanted.metadata  # type: ignore[arg-type]
    assert found[-1].progress == 1 and found[-1].losses == wanted.losses
    assert sum(frame.content is not None for frame in found) == 1
    assert all(frame.raw.flags.writeable for frame in found if frame.raw is not None)


def test_regions_travel_with_the_job(pictures: tuple[str, str], tmp_path: Path) -> None:
    from PIL import Image

    strokes = np.zeros((32, 40, 4), np.uint8)
    strokes[:, :20] = (0xE8, 0x33, 0x6D, 255)
    Image.fromarray(strokes).save(tmp_path / "strokes.png")
    asked = job(pictures, regions=str(tmp_path / "strokes.png"))
    assert np.array_equal(last_of(frames_of(Pickling(), asked)).raw, last_of(paint(asked)).raw)  # type: ignore[arg-type]


def test_drafts_are_painted_one_after_the_other(pictures: tuple[str, str]) -> None:
    jobs = [job(pictures, strength=strength) for strength in (20, 80)]
    found = {number: frame for number, frame in sketches_of(Pickling(), jobs)}
    for number, asked in enumerate(jobs):
        assert np.array_equal(found[number].raw, last_of(paint(asked)).raw)  # type: ignore[arg-type]


def test_a_stopped_run_goes_on_with_the_worker_s_optimiser(distant: Engine, pictures: tuple[str, str]) -> None:
    asked = job(pictures, iterations="3, 6")
    frames = frames_of(distant, asked)
    first = next(frame for frame in frames if frame.raw is not None)
    frames.close()
    assert first.progress < 1 and isinstance(first.step, Elsewhere)
    found, wanted = last_of(frames_of(distant, asked, first.step)), last_of(paint(asked))
    if isinstance(distant, Pickling):  # on a worker some more steps may have been taken until the stop arrived
        assert np.array_equal(found.raw, wanted.raw)  # type: ignore[arg-type]
    assert found.metadata == wanted.metadata and elsewhere.ANEW not in found.text


def test_a_finished_run_gets_more_steps_as_it_does_here(distant: Engine, pictures: tuple[str, str]) -> None:
    visit = Visit()
    for _ in run(job(pictures), visit, engine=distant):
        pass
    assert visit.current is not None and isinstance(visit.current.step, Elsewhere)
    further, resume = continuation(visit.current)
    found = last_of(frames_of(distant, further, resume))
    wanted = last_of(paint(job(pictures, iterations="3, 4")))
    assert np.array_equal(found.raw, wanted.raw) and found.metadata == wanted.metadata  # type: ignore[arg-type]
    visit.clear()


def test_without_its_worker_a_run_starts_anew_from_the_picture_and_says_so(pictures: tuple[str, str]) -> None:
    engine, asked = Pickling(), job(pictures, iterations="3, 5")
    first = next(frame for frame in frames_of(engine, out_of_time(asked)) if frame.raw is not None)
    assert isinstance(first.step, Elsewhere)
    engine.gone = True
    found = [frame for frame in frames_of(engine, asked, first.step) if frame.raw is not None]
    anew = elsewhere.remaining(asked, first, first.step.place)
    assert (anew.config.init, anew.config.iterations, anew.config.scales) == ("image", (2, 5), (0.5, 1))
    assert np.array_equal(found[-1].raw, last_of(paint(anew)).raw)  # type: ignore[arg-type]
    assert all(frame.text.endswith(elsewhere.ANEW) for frame in found)
    assert found[-1].metadata["config"] == {**asked.config.to_dict()} and found[-1].step is None


@pytest.mark.parametrize("after", [2, 4, 6])
def test_another_worker_goes_on_from_the_last_picture(pictures: tuple[str, str], after: int) -> None:
    asked = job(pictures, iterations="3, 5")
    found = list(frames_of(Pickling(deaths=1, after=after), asked))
    before = [frame for frame in found if frame.raw is not None and elsewhere.LOST not in frame.text]
    assert len(before) == after - sum(frame.raw is None for frame in found if elsewhere.LOST not in frame.text)
    steps_left = 8 - len(before)
    after_it = [frame for frame in found if frame.raw is not None and elsewhere.LOST in frame.text]
    assert len(after_it) == steps_left
    assert [frame.progress for frame in found] == sorted(frame.progress for frame in found)
    assert found[-1].progress == 1 and found[-1].raw.shape == (1, 3, 77, 96)  # type: ignore[union-attr]
    assert found[-1].metadata["outcome"] == "done" and found[-1].metadata["config"] == asked.config.to_dict()
    assert sum(frame.content is not None for frame in found) == 1


def test_before_the_first_picture_a_run_is_tried_again_as_it_was(pictures: tuple[str, str]) -> None:
    asked = job(pictures)
    found = last_of(frames_of(Pickling(deaths=2, after=0), asked))
    assert np.array_equal(found.raw, last_of(paint(asked)).raw) and elsewhere.LOST not in found.text  # type: ignore[arg-type]


def test_a_run_that_kills_every_worker_ends_in_a_sentence(pictures: tuple[str, str]) -> None:
    with pytest.raises(StyleTransferError, match="lost one after the other"):
        list(frames_of(Pickling(deaths=9), job(pictures)))


def test_a_killed_actor_s_run_is_finished_by_another(cluster: Engine, pictures: tuple[str, str]) -> None:
    asked, killed, texts, visit = job(pictures, iterations="200, 5", optimizer="adam"), 0, list[str](), Visit()
    for frame, kept in run(asked, visit, engine=cluster):
        texts.append(frame.text)
        if kept is not None and isinstance(kept.step, Elsewhere) and not killed:
            killed = kept.step.worker.look(os.getpid)
            os.kill(killed, signal.SIGKILL)
    assert killed not in (0, os.getpid()) and texts[-1].endswith(elsewhere.LOST)
    assert visit.current is not None and visit.current.metadata["outcome"] == "done"
    assert continuation(visit.current)[1] is None  # the optimiser starts anew, and the page says so
    visit.clear()
