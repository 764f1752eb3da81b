"""What is kept of a visit between two clicks: its last pictures, for a while, under a key that cannot be guessed."""

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
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..images import encode_image, load_image, save_animation, save_image
from ..pixels import fit_size, recolor, resize, size_of
from ..transfer import Step
from .request import Job
from .running import Frame, load, state_bytes
from .worker import in_worker

PREVIEW_SIDE, SHEET_SIDE, THUMBNAIL_SIDE = 768, 640, 180
FILM_FRAMES, FILM_SIDE = 48, 512
KEEP_SECONDS, KEEP_VISITS, KEEP_RESULTS = 600, 20, 8
STATE_BYTES, VISIT_BYTES = 64 * 2**20, 256 * 2**20


class Film:
    """Pictures of the way, spread over all of it: when there are too many, every other one goes."""

    def __init__(self) -> None:
        self.frames: list[bytes] = []
        self._every, self._count = 1, 0

    def add(self, raw: Tensor) -> None:
        if self._count % self._every == 0:
            small = resize(raw, fit_size(size_of(raw), min(max(size_of(raw)), FILM_SIDE)))
            self.frames.append(encode_image(small, "jpeg", quality=90))
            if len(self.frames) > FILM_FRAMES - 2:  # which leaves room for the photograph and the result
                self.frames, self._every = self.frames[::2], 2 * self._every
        self._count += 1


class Folder:
    """A folder of its own that goes with its owner, or before: `cleanup()`."""

    def __init__(self) -> None:
        self.name = tempfile.mkdtemp(prefix="styletransfer-")
        self.cleanup = weakref.finalize(self, shutil.rmtree, self.name, True)


@dataclass
class Kept:
    """A run's picture before colours act, its content at the same size, and a folder for files of both.

    asked: the settings as the visitor chose them; step: what the run goes on from, where there is room for it.
    """

    job: Job
    asked: Mapping[str, Any]
    content: Tensor
    raw: Tensor
    color: str = "style"
    blend: float = 0.0
    metadata: Mapping[str, Any] = field(default_factory=dict)
    note: str = "Stopped: this is the picture so far."
    step: Step | None = None
    film: Film = field(default_factory=Film)
    folder: Folder = field(default_factory=Folder)

    @in_worker
    def take(self, frame: Frame) -> None:
        """What a frame of the run brings; an optimiser's state that is too large goes without its oldest pairs."""
        self.raw, self.metadata = torch.from_numpy(frame.raw), frame.metadata
        self.step = None if frame.step is None else within(frame.step, STATE_BYTES)
        self.film.add(self.raw)

    @in_worker
    def image(self) -> Tensor:
        """In the colours asked for, and mixed with the photograph."""
        painted = recolor(self.raw, self.content, self.color)
        return torch.lerp(painted, resize(self.content, size_of(painted)), self.blend / 100) if self.blend else painted

    @in_worker
    def before(self) -> str:
        """The content, without a word of its file's metadata."""
        return self._saved(self.content, "before.jpg")

    @in_worker
    def preview(self) -> str:
        """The picture in small, of the same size at every scale of a run."""
        height, width = size_of(self.content)
        small = resize(self.raw, fit_size((height, width), min(max(height, width), PREVIEW_SIDE)))
        return self._saved(replace(self, raw=small).image(), "preview.jpg", quality=85)

    @in_worker
    def thumbnail(self) -> str:
        small = resize(self.raw, fit_size(size_of(self.raw), THUMBNAIL_SIDE))
        return self._saved(replace(self, raw=small).image(), "thumbnail.jpg", quality=85)

    @in_worker
    def look(self) -> str:
        """The picture to look at, under a name that no browser has seen."""
        return self._saved(self.image(), f"look-{secrets.token_hex(4)}.jpg")

    @in_worker
    def file(self, kind: str) -> str:
        """The picture to keep: a `png` with its settings inside, a `jpg`, or the way to it as an animated `webp`."""
        path = os.path.join(self.folder.name, f"style-transfer-{secrets.token_hex(4)}.{kind}")
        if kind == "webp":
            save_animation(self.animation(), path)
            return path
        config = {**self.metadata["config"], "color": self.color}
        blend = {"blend": self.blend} if self.blend else {}
        settings = {**self.metadata, "config": config, **blend}
        save_image(self.image(), path, settings=settings if kind == "png" else None)
        return path

    def animation(self) -> list[Tensor]:
        """From the photograph to the picture, at most FILM_SIDE long, in the colours of now."""
        size = fit_size(size_of(self.content), min(max(size_of(self.content)), FILM_SIDE))
        way = [resize(load_image(frame), size) for frame in self.film.frames]
        small = [replace(self, raw=raw, content=resize(self.content, size)) for raw in (*way, resize(self.raw, size))]
        return [resize(self.content, size), *(each.image() for each in small)]

    @property
    def nbytes(self) -> int:
        return self.content.nbytes + self.raw.nbytes + sum(map(len, self.film.frames))

    def _saved(self, image: Tensor, name: str, **options: Any) -> str:
        path = os.path.join(self.folder.name, name)
        save_image(image, path, **options)
        return path


@in_worker
def sheet(path: str) -> np.ndarray[Any, Any]:
    """A picture in small to paint regions on: (H, W, 3) in 0-255, without a word of its file's metadata."""
    image = load(path)
    small = resize(image, fit_size(size_of(image), min(max(size_of(image)), SHEET_SIDE)))
    return (small[0].permute(1, 2, 0) * 255 + 0.5).byte().numpy()


def within(step: Step, most: int) -> Step | None:
    """The step with a state of at most so many bytes: without its oldest pairs of curvature, or None."""
    solver = step.state.solver
    excess = state_bytes(step.state) - most
    if excess <= 0:
        return step
    pair = sum(tensor.nbytes for tensor in solver.memory[0]) if solver.memory else 0
    dropped = -(-excess // pair) if pair else 0
    if not 0 < dropped < len(solver.memory):
        return None
    return replace(step, state=replace(step.state, solver=replace(solver, memory=solver.memory[dropped:])))


@dataclass
class Visit:
    """The last results of one visitor, oldest first, and which of them is shown."""

    results: list[Kept] = field(default_factory=list)
    current: Kept | None = None
    running: bool = False
    touched: float = field(default_factory=time.monotonic)

    def add(self, kept: Kept) -> None:
        """Show a new result; only the newest can be gone on with, and the oldest make room."""
        for each in self.results:
            each.step = None
        self.results.append(kept)
        self.current = kept
        while len(self.results) > 1 and (len(self.results) > KEEP_RESULTS or self.nbytes > VISIT_BYTES):
            self.results.pop(0).folder.cleanup()

    @property
    def nbytes(self) -> int:
        return sum(kept.nbytes for kept in self.results)

    def clear(self) -> None:
        for kept in self.results:
            kept.folder.cleanup()


class Store:
    """Visits by unguessable keys: only a few, and not for long; one that is dropped takes its files along."""

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

    def keep(self, key: str | None, visit: Visit) -> str:
        """The key of a visit, a new one where it is not kept yet."""
        with self._lock:
            return key if key and self._visits.get(key) is visit else self.add(visit)

    def get(self, key: str | None) -> Visit | None:
        """A visit, which is wanted for another while."""
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
        """Drop what is too old or too much, and look again after a while as long as there is something."""
        with self._lock:
            oldest_first = sorted(self._visits, key=lambda key: self._visits[key].touched)
            for number, key in enumerate(oldest_first):
                too_old = time.monotonic() - self._visits[key].touched > self.seconds
                if too_old or number < len(oldest_first) - self.most:
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
