"""The frames of a job, painted by any engine; if a worker dies, another one continues from the last picture."""

from __future__ import annotations

import secrets
from collections import OrderedDict
from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..config import StyleTransferError
from ..engine import Engine, Here, Lost, Worker
from ..transfer import RunState
from .frames import Frame, paint, sketch
from .job import Job
from .kept import STATE_BYTES, within

TRIES = 3  # workers that may die during the same run
STATES = 8  # optimiser states that a worker keeps
LOST = "a worker was lost, and another went on from the last picture"
ANEW = "the optimiser starts anew from the picture"


def frames_of(engine: Engine, job: Job, resume: Any = None) -> Generator[Frame, None, None]:
    """The frames of a job as `paint` yields them; closing this generator ends the run. Raises StyleTransferError."""
    return paint(job, resume) if isinstance(engine, Here) else _painted(engine, job, resume)


def sketches_of(engine: Engine, jobs: Sequence[Job]) -> Generator[tuple[int, Frame], None, None]:
    """The frames of several jobs as `sketch` yields them."""
    if isinstance(engine, Here):
        yield from sketch(jobs)
        return
    for number, job in enumerate(jobs):
        for frame in frames_of(engine, job):
            if frame.content is not None or frame.raw is not None:
                yield number, replace(frame, step=None)


@dataclass(frozen=True)
class Place:
    """The position of a run in its schedule: the scales left, with the current one, and the steps taken at that."""

    scales: int
    steps: int


@dataclass(frozen=True)
class Elsewhere:
    """Continues a run, like a Step: the worker that has the optimiser's state, under a key, and the last frame with its
    place, to continue from if that worker has lost the state.
    """

    worker: Worker
    key: str
    frame: Frame
    place: Place


# --- on the worker

_states: OrderedDict[str, RunState] = OrderedDict()


@dataclass(frozen=True)
class Resumed:
    """The part of a Step that `paint` needs to continue a run."""

    state: RunState


def paint_there(
    job: Job, pictures: Sequence[bytes], key: str, state: RunState | None
) -> Generator[tuple[Frame, Place | None, bool], None, None]:
    """Paint from the bytes of pictures; yield frames, their places, and whether this worker keeps their state."""
    content, *styles = pictures
    there: Any = replace(job, content=content, styles=tuple(styles))  # type: ignore[arg-type]
    resume: Any = None if state is None else Resumed(state)
    with closing(paint(there, resume)) as frames:
        for frame in frames:
            step, place = frame.step, None
            if step is not None:
                place = Place(step.scales - step.scale, step.iteration)
                small = None if step.state.solver.outcome else within(step, STATE_BYTES)
                _states.pop(key, None)
                if small is not None:
                    _states[key] = small.state
                while len(_states) > STATES:
                    _states.popitem(last=False)
            yield frame, place, key in _states


def state_of(key: str) -> RunState | None:
    return _states.get(key)


# --- here


def _painted(engine: Engine, asked: Job, resume: Elsewhere | None) -> Generator[Frame, None, None]:
    pictures = [Path(path).read_bytes() for path in (asked.content, *asked.styles)]
    if isinstance(asked.regions, str):
        asked = replace(asked, regions=Path(asked.regions).read_bytes())
    key, job, note = secrets.token_hex(8), asked, ""
    state = None if resume is None else _state(resume)
    if resume is not None and state is None:
        job, note = remaining(asked, resume.frame, resume.place), ANEW
    last: tuple[Frame, Place] | None = None
    began, done = False, 0.0  # whether the photograph was shown; the progress before this worker
    for _ in range(TRIES):
        try:
            with engine.worker() as worker, closing(worker.stream(paint_there, job, pictures, key, state)) as items:
                for frame, place, kept in items:
                    frame, step = _own(frame), None
                    if place is not None:
                        last = frame, place
                        step = Elsewhere(worker, key, frame, place) if kept and job is asked else None
                    if frame.content is not None:
                        frame, began = replace(frame, content=None if began else frame.content), True
                    frame = replace(frame, step=step, progress=done + (1 - done) * frame.progress)
                    yield frame if job is asked else _as_asked(frame, asked, note)
            return
        except Lost:
            if last is not None:  # else again from the beginning, or from the same state
                done += (1 - done) * last[0].progress
                job, note, state, last = remaining(job, *last), LOST, None, None
    raise StyleTransferError("the workers that painted this were lost one after the other: choose a smaller size")


def _state(resume: Elsewhere) -> RunState | None:
    """The optimiser's state, if its worker lives and still has it."""
    try:
        return resume.worker.look(state_of, resume.key)  # type: ignore[no-any-return]
    except Lost:
        return None


def _own(frame: Frame) -> Frame:
    """The frame with copies of its pictures, which are views of the object store."""
    content, raw = (None if picture is None else picture.copy() for picture in (frame.content, frame.raw))
    return replace(frame, content=content, raw=raw)


def remaining(job: Job, frame: Frame, place: Place) -> Job:
    """The job that continues from a frame's picture, with the rest of the schedule."""
    steps = list(job.config.steps(tuple(frame.metadata["steps"])))[-place.scales :]
    steps[0] -= place.steps
    if steps[0] <= 0 and len(steps) > 1:
        del steps[0]
    left = tuple(max(1, count) for count in steps)
    config = replace(job.config, init="image", scales=job.config.scales[-len(left) :], iterations=left)
    return replace(job, config=config, start=frame.raw)


def _as_asked(frame: Frame, asked: Job, note: str) -> Frame:
    """A frame of a run that was continued from a picture, with the original settings, and a note on what happened."""
    metadata = dict(frame.metadata)
    if metadata:
        metadata["config"] = {**asked.config.to_dict(), "weights": None}
    return replace(frame, text=f"{frame.text} · {note}", note=f"{frame.note} · {note}", metadata=metadata)
