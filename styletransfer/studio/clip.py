"""A clip painted for a visitor; however it ends, the frames painted so far are a clip that plays."""

from __future__ import annotations

import math
import os
import shutil
import time
from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ..config import StyleTransferError
from ..engine import Engine, Here, Lost
from ..video import (
    Clip,
    Glimpse,
    Order,
    Painted,
    Past,
    Scene,
    Work,
    check_installed,
    paint_scene,
    painted,
    scan,
    scenes_of,
)
from .elsewhere import TRIES
from .frames import duration, loading, network_for
from .job import Job, checked
from .kept import Folder
from .series import saved
from .server import Limits, Server
from .session import HERE, log
from .task import NEXT_TURN
from .worker import in_worker

CHECK_SIZE = 128  # long side at which the first frame of an upload is read
READ_AT_MOST = 10_000  # frames of an upload that are decoded
FURTHER = 0.4  # time of a further frame, as a share of the first one's, until it is known
ON_ZERO = "clips are not painted on ZeroGPU, which lends a GPU for one picture at a time"
MISSING = "there is no clip yet: drop one first"
LOST = "the workers that painted this were lost one after the other: choose a smaller size"


@dataclass(eq=False)
class Reel:
    """A clip to paint, and what there is to show of it.

    job: its content is the clip; seconds, fps: how much of it is painted; text: what is done before the first frame;
    number: painted frames, of `total`; part: how far the next one is, 0 to 1; spent, left: seconds of painting, so far
    and until the end; shown: a file of the frame that is being painted; file: the painted clip, once this has ended.
    """

    job: Job
    seconds: float
    fps: float
    text: str = "Reading the clip"
    number: int = 0
    total: int = 0
    part: float = 0.0
    spent: float = 0.0
    left: float | None = None
    shown: str | None = None
    file: str | None = None
    folder: Folder = field(default_factory=Folder)

    @property
    def source(self) -> Path:
        """A copy of the clip that is painted."""
        return Path(self.folder.name) / Path(self.job.content).name

    @property
    def progress(self) -> float:
        return (self.number + self.part) / self.total if self.total else 0.0

    @property
    def progress_text(self) -> str:
        """How far it is, and how long it will still take."""
        if not self.total or self.shown is None:
            return f"Getting ready · {self.text}"
        left = "" if self.left is None else f" · about {duration(max(1, self.left))}"
        return f"Frame {min(self.number + 1, self.total)} of {self.total}{left}"

    @property
    def ending(self) -> str:
        """How it ended, in a sentence."""
        if self.total and self.number == self.total:
            return f"Done: {self.total} frames in {duration(self.spent)}."
        limit = self.job.limits.seconds
        why = f" after {duration(limit)}, the most that is allowed here" if self.spent >= limit else ""
        if not self.number:
            return f"Stopped{why}: no frame is finished yet."
        return f"Stopped{why}: {self.number} of {self.total} frames."


def ordered(
    server: Server, settings: Mapping[str, Any], *, clip: str | None, style: str | None, seconds: Any, fps: Any
) -> Reel:
    """The clip that a visitor asks for, with every part checked; settings: values of Config's fields.

    Raises StyleTransferError.
    """
    check_installed()
    limits = server.limits
    if limits.zero:
        raise StyleTransferError(ON_ZERO)
    if not clip:
        raise StyleTransferError(MISSING)
    wanted = _number("seconds", seconds, limits.clip_seconds), _number("frames a second", fps, limits.clip_fps)
    frames = math.ceil(wanted[0] * wanted[1])
    if frames > limits.clip_frames:
        raise StyleTransferError(f"these are {frames} frames: at most {limits.clip_frames} are allowed here")
    job = checked(server, settings, content=clip, styles=[style] if style else [])
    if int(job.config.size) > limits.clip_size:
        raise StyleTransferError(f"size is {job.config.size}: at most {limits.clip_size} is allowed here for clips")
    even = replace(job.config, size=int(job.config.size) // 2 * 2)  # as encoders want it
    reel = Reel(replace(job, config=even), *wanted)
    shutil.copyfile(clip, reel.source)  # the upload may be deleted meanwhile
    return reel


@in_worker
def check(clip: str, limits: Limits) -> None:
    """Raises StyleTransferError where an upload is no clip that can be read."""
    check_installed()
    next(_clip(Path(clip), limits).frames(CHECK_SIZE))


def _clip(source: Path, limits: Limits, seconds: float | None = None, fps: float | None = None) -> Clip:
    return Clip(source, seconds, fps, max_pixels=limits.pixels, max_frames=READ_AT_MOST)


def _number(name: str, value: Any, most: float) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value <= most:
        raise StyleTransferError(f"{name} must be a number above 0 and at most {most:g}, got {value!r:.40}")
    return float(value)


def work_of(order: Order, past: Past) -> Iterator[Painted | Glimpse]:
    """Yield the frames of a scene: what a worker runs."""
    return painted(order, network_for(order.config), past)


def paint(reel: Reel, engine: Engine = HERE) -> Generator[Any, None, None]:
    """Paint a clip: yields the reel whenever there is something new to show. Other tasks take their turn in between.

    Raises StyleTransferError.
    """
    began, job, source = time.monotonic(), reel.job, reel.source
    clip = _clip(source, job.limits, reel.seconds, reel.fps)
    try:
        frames = []
        for entry in _scanned(clip):
            frames.append(entry)
            yield reel
        scenes, reel.total = scenes_of(frames), len(frames)
        if isinstance(engine, Here):
            for frame in loading(job.config):
                reel.text = frame.text
                yield reel
        reel.text = "the first step is being taken"
        work = Work(Path(reel.folder.name) / f"{job.title(int(job.config.size))}.mp4", scenes, {})
        sent = clip if isinstance(engine, Here) else replace(clip, source=source.read_bytes())
        styles = tuple(Path(style).read_bytes() for style in job.styles)
        order = Order(sent, 0, reel.total, int(job.config.size), styles, job.config, glimpses=True)
        try:
            yield from _frames(reel, engine, order, work)
        finally:
            reel.file = str(work.output) if work.finish(source) else None
            shutil.rmtree(work.folder, ignore_errors=True)
    finally:
        source.unlink(missing_ok=True)
        log(job, None, f"clip {reel.number} of {reel.total}", time.monotonic() - began)


@in_worker
def _scanned(clip: Clip) -> Iterator[tuple[float, bool]]:
    yield from scan(clip)


def _frames(reel: Reel, engine: Engine, order: Order, work: Work) -> Generator[Any, None, None]:
    """Paint the frames until all are done or the time is over."""
    starts, seconds = {scene.start for scene in work.scenes}, dict[int, float]()
    alone = isinstance(engine, Here)
    frames_of = in_worker(_scene) if alone else _scene
    for scene in work.scenes:
        for number, frame in frames_of(engine, order, work, scene):
            whole = isinstance(frame, Painted)
            if isinstance(frame, Painted):
                seconds[number] = frame.report["seconds"]
                reel.number, reel.part, reel.spent = number + 1, 0.0, sum(seconds.values())
                reel.left = left(seconds, starts, reel.total)
            else:
                reel.part = frame.progress
            reel.shown = saved(frame.image, os.path.join(reel.folder.name, "frame.jpg"))
            yield reel
            if reel.spent >= reel.job.limits.seconds:
                return
            if whole and alone:  # of a cluster, a worker is taken as long as the scene lasts
                yield NEXT_TURN


def _scene(
    engine: Engine, order: Order, work: Work, scene: Scene
) -> Generator[tuple[int, Painted | Glimpse], None, None]:
    """Yield the frames of a scene; where a worker is lost, another goes on."""
    for _ in range(TRIES):
        try:
            with engine.worker() as worker, closing(paint_scene(worker, work_of, order, work, scene)) as frames:
                yield from frames
            return
        except Lost:
            continue
    raise StyleTransferError(LOST)


def left(seconds: Mapping[int, float], starts: Iterable[int], total: int) -> float:
    """Seconds until the end, from those of the frames so far, by number: a scene's first frame takes longer."""
    starts = set(starts)
    first = _mean([taken for number, taken in seconds.items() if number in starts])
    further = _mean([taken for number, taken in seconds.items() if number not in starts]) or FURTHER * first
    return sum(first if number in starts else further for number in range(total) if number not in seconds)


def _mean(values: list[float]) -> float:
    return sum(values) / len(values) if values else 0.0
