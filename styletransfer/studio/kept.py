"""A visit between two clicks: its last pictures, kept for a while under a key that cannot be guessed."""

from __future__ import annotations

import os
import secrets
import shutil
import tempfile
import threading
import time
import weakref
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..config import Config, StyleTransferError
from ..images import encode_image, load_image, save_animation, save_image
from ..images.checks import quoted
from ..pixels import fit_size, recolor, resize, size_of
from ..transfer import Step
from .frames import Frame, shrunk, state_bytes
from .job import Job, checked
from .server import Limits, Server
from .task import Task
from .wording import bundled_names
from .worker import in_worker

PREVIEW_SIDE, SHEET_SIDE, THUMBNAIL_SIDE = 768, 640, 180
LEAST = 16  # pixels on the short side that a network with relu5_1 needs
THUMBNAIL = "thumbnail.jpg"
FILM_FRAMES, FILM_SIDE = 48, 512
KEEP_SECONDS, KEEP_VISITS, KEEP_RESULTS = 3600, 40, 24
STATE_BYTES, VISIT_BYTES, STORE_BYTES = 64 * 2**20, 256 * 2**20, 2**30


class Film:
    """Pictures from the whole run; when there are too many, every second one is dropped."""

    def __init__(self) -> None:
        self.frames: list[bytes] = []
        self._every, self._count = 1, 0

    def add(self, raw: Tensor) -> None:
        if self._count % self._every == 0:
            self.frames.append(encode_image(shrunk(raw, FILM_SIDE), "jpeg", quality=90))
            if len(self.frames) > FILM_FRAMES - 2:  # the photograph and the result are added
                self.frames, self._every = self.frames[::2], 2 * self._every
        self._count += 1


class Folder:
    """A temporary folder, deleted by `cleanup()` or together with this object."""

    def __init__(self) -> None:
        self.name = tempfile.mkdtemp(prefix="styletransfer-")
        self.cleanup = weakref.finalize(self, shutil.rmtree, self.name, True)


@dataclass(eq=False)
class Kept:
    """A run's picture before it is recoloured, its content at the size of the result, and a folder for their files.

    settings: the visitor's; when a run is continued or repeated larger, the job has others; blend: percentage of the
    photograph; step: continues the run, if it is small enough to keep.
    """

    job: Job
    settings: Config
    content: Tensor
    raw: Tensor
    blend: float = 0.0
    metadata: Mapping[str, Any] = field(default_factory=dict)
    note: str = "Stopped: this is the picture so far."
    step: Any = None
    film: Film = field(default_factory=Film)
    folder: Folder = field(default_factory=Folder)
    _thumbnail_of: tuple[str, float] | None = None  # colours and blend of the existing thumbnail

    @in_worker
    def take(self, frame: Frame) -> None:
        """Keep the picture of a frame; an optimiser's state that is too large loses its oldest pairs."""
        self.raw, self.metadata, self._thumbnail_of = torch.from_numpy(frame.raw), frame.metadata, None
        self.step = within(frame.step, STATE_BYTES) if isinstance(frame.step, Step) else frame.step
        self.film.add(self.raw)

    @in_worker
    def image(self) -> Tensor:
        """The picture in the colours of the settings, blended with the photograph."""
        painted = recolor(self.raw, self.content, self.settings.color)
        return torch.lerp(painted, resize(self.content, size_of(painted)), self.blend / 100) if self.blend else painted

    @cached_property
    def before(self) -> str:
        """A file of the content, without the metadata of the uploaded one."""
        return self._saved(self.content, "before.jpg")

    @in_worker
    def preview(self) -> str:
        """A small file of the picture, of the same size at every scale of the run."""
        return self._saved(self._small(PREVIEW_SIDE), "preview.jpg", quality=85)

    def thumbnail(self) -> str:
        """A small file of the picture, reused while it is current: making it would wait for a step of a run."""
        shown = self.settings.color, self.blend
        if self._thumbnail_of != shown:
            self._make_thumbnail()
            self._thumbnail_of = shown
        return os.path.join(self.folder.name, THUMBNAIL)

    @in_worker
    def _make_thumbnail(self) -> str:
        return self._saved(self._small(THUMBNAIL_SIDE), THUMBNAIL, quality=85)

    @in_worker
    def look(self) -> str:
        """A file of the picture, under a new name each time, so that no browser shows an older one."""
        return self._saved(self.image(), f"look-{secrets.token_hex(4)}.jpg")

    @in_worker
    def file(self, kind: str) -> str:
        """A file to download: a `png` with its settings inside, a `jpg`, or the timelapse as an animated `webp` or
        an `mp4`.
        """
        path = os.path.join(tempfile.mkdtemp(dir=self.folder.name), f"{self.title}.{kind}")
        if kind == "webp":
            save_animation(self.animation(), path)
            return path
        if kind == "mp4":
            from ..video.film import save_film

            save_film(self.animation(), Path(path))
            return path
        config = {**self.metadata["config"], "color": self.settings.color}
        blend = {"blend": self.blend} if self.blend else {}
        pictures = {"pictures": names} if (names := bundled_names(self.job.content, self.job.styles)) else {}
        settings = {**self.metadata, "config": config, **blend, **pictures}
        save_image(self.image(), path, settings=settings if kind == "png" else None)
        return path

    @property
    def title(self) -> str:
        """A name for the picture's file."""
        return self.job.title(max(self.raw.shape[-2:]))

    def animation(self) -> list[Tensor]:
        """The timelapse: from the photograph to the picture, in the colours chosen now."""
        content = shrunk(self.content, FILM_SIDE)
        raws = [resize(raw, size_of(content)) for raw in (*map(load_image, self.film.frames), self.raw)]
        return [content, *(replace(self, raw=raw, content=content).image() for raw in raws)]

    @property
    def nbytes(self) -> int:
        state = state_bytes(self.step.state) if isinstance(self.step, Step) else 0  # of another machine: not here
        return self.content.nbytes + self.raw.nbytes + sum(map(len, self.film.frames)) + state

    def _small(self, side: int) -> Tensor:
        """The image reduced to a long side of at most `side`, at the aspect of the content."""
        size = size_of(self.content)
        return replace(self, raw=resize(self.raw, fit_size(size, min(max(size), side)))).image()

    @in_worker
    def _saved(self, image: Tensor, name: str, **options: Any) -> str:
        path = os.path.join(self.folder.name, name)
        save_image(image, path, **options)
        return path


@in_worker
def finished_example(server: Server, content: str, style: str, file: str) -> Kept:
    """A bundled picture that was painted with the default settings, as if it had been painted in this visit."""
    raw = load_image(file)
    job = checked(server, Config(size=max(size_of(raw))).to_dict(), content=content, styles=[style])
    metadata = {"config": job.config.to_dict(), "steps": list(job.config.steps()), "outcome": "done"}
    photograph = resize(load_image(content), size_of(raw))
    return Kept(job, job.config, photograph, raw, metadata=metadata, note="A finished example")


@in_worker
def sheet(path: str, max_pixels: int) -> np.ndarray[Any, Any]:
    """A small picture to paint regions on: (H, W, 3) in 0-255, without the metadata of its file."""
    return _small_bytes(load_image(path, max_pixels=max_pixels))


@in_worker
def photograph(path: str, limits: Limits) -> np.ndarray[Any, Any]:
    """The same of a photograph to paint. Raises StyleTransferError where no size makes it wide enough for that."""
    image = load_image(path, max_pixels=limits.pixels)
    height, width = size_of(image)
    if min(fit_size((height, width), limits.size)) < LEAST:
        raise StyleTransferError(
            f"{quoted(path)} is too narrow, with {width} x {height} pixels: "
            f"the long side may be at most {limits.size // LEAST} times the short one"
        )
    return _small_bytes(image)


def _small_bytes(image: Tensor) -> np.ndarray[Any, Any]:
    return (shrunk(image, SHEET_SIDE)[0].permute(1, 2, 0) * 255 + 0.5).byte().numpy()


def within(step: Step, limit: int) -> Step | None:
    """The step with a state of at most `limit` bytes: without the oldest (s, y) pairs, if it must be, or None."""
    solver = step.state.solver
    excess = state_bytes(step.state) - limit
    if excess <= 0:
        return step
    pair_bytes = sum(tensor.nbytes for tensor in solver.memory[0]) if solver.memory else 0
    dropped = -(-excess // pair_bytes) if pair_bytes else 0
    if not 0 < dropped < len(solver.memory):
        return None
    return replace(step, state=replace(step.state, solver=replace(solver, memory=solver.memory[dropped:])))


@dataclass(eq=False)
class Visit:
    """The last results of one visitor, oldest first, the current one, and the tasks."""

    results: list[Kept] = field(default_factory=list)
    current: Kept | None = None
    touched: float = field(default_factory=time.monotonic)
    tasks: dict[str, Task] = field(default_factory=dict)  # the last one of each tab

    def add(self, kept: Kept, shown: bool = True) -> None:
        """Keep a new result and make it the current one, which alone can be continued. The oldest results are dropped
        if there are too many.
        """
        if shown:
            for older in self.results:
                older.step = None
            self.current = kept
        self.results.append(kept)
        while len(self.results) > 1 and (len(self.results) > KEEP_RESULTS or self.nbytes > VISIT_BYTES):
            self.results.pop(0).folder.cleanup()

    @property
    def nbytes(self) -> int:
        return sum(kept.nbytes for kept in self.results)

    @property
    def busy(self) -> bool:
        return any(not task.ended for task in self.tasks.values())

    @property
    def empty(self) -> bool:
        return not self.results and all(task.latest is None for task in self.tasks.values())

    def clear(self) -> None:
        for task in self.tasks.values():
            task.stop()
        for kept in self.results:
            kept.folder.cleanup()


class Store:
    """A limited number of visits by key, for a limited time; a dropped visit's files are deleted."""

    def __init__(self, seconds: float = KEEP_SECONDS, most: int = KEEP_VISITS) -> None:
        self.seconds, self.most = seconds, most
        self._visits: dict[str, Visit] = {}
        self._lock = threading.RLock()
        self._timer: threading.Timer | None = None

    def add(self, visit: Visit) -> str:
        with self._lock:
            key = secrets.token_urlsafe(16)
            self._visits[key] = visit
            self.sweep()
            return key

    def keep(self, key: Any, visit: Visit) -> str:
        """The key of a visit, which is stored under a new key if it is not stored yet."""
        with self._lock:
            return key if isinstance(key, str) and self._visits.get(key) is visit else self.add(visit)

    def get(self, key: str | None) -> Visit | None:
        """The visit of a key, whose time starts again now."""
        with self._lock:
            self.sweep()
            visit = self._visits.get(key or "")
            if visit is not None:
                visit.touched = time.monotonic()
            return visit

    def drop(self, key: str | None) -> None:
        with self._lock:
            if (visit := self._visits.pop(key or "", None)) is not None:
                visit.clear()

    def sweep(self) -> None:
        """Drop visits that are too old, too many or too large in all, empty and old ones first; sweep again later while
        there are visits.
        """
        with self._lock:
            excess, size = len(self._visits) - self.most, sum(visit.nbytes for visit in self._visits.values())
            worth = {key: (visit.busy, not visit.empty, visit.touched) for key, visit in self._visits.items()}
            for number, key in enumerate(sorted(worth, key=worth.__getitem__)):
                visit = self._visits[key]
                too_old = time.monotonic() - visit.touched > self.seconds and not visit.busy
                too_large = size > STORE_BYTES and number < len(worth) - 1
                if too_old or too_large or number < excess:
                    size -= visit.nbytes
                    self.drop(key)
            if self._visits and self._timer is None:
                self._timer = threading.Timer(self.seconds / 2, self._tick)
                self._timer.daemon = True
                self._timer.start()

    def _tick(self) -> None:
        with self._lock:
            self._timer = None
            self.sweep()


STORE = Store()
