"""Several pictures painted one after the other, in fixed places: drafts to choose from, and many photographs."""

from __future__ import annotations

import logging
import os
import shutil
import threading
import time
import zipfile
from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from ..config import StyleTransferError
from ..engine import Engine
from ..images import save_image
from .elsewhere import sketches_of
from .job import Job
from .kept import Folder, Kept, Visit
from .session import HERE, kept_of, log, run
from .task import NEXT_TURN
from .worker import in_worker

logger = logging.getLogger(__name__)


@dataclass(eq=False)
class Place:
    """One of the pictures: its job and name, the file to show, its progress from 0 to 1, or the problem it had."""

    job: Job
    name: str
    file: str | None = None
    progress: float = 0.0
    problem: str = ""

    @property
    def over(self) -> bool:
        return self.progress >= 1 or bool(self.problem)


@dataclass(eq=False)
class Series:
    """Pictures in fixed places; number: of the place being painted; files: names of finished pictures in `folder`."""

    places: list[Place]
    number: int = 0
    closed: bool = False  # nothing can be added any more
    files: list[str] = field(default_factory=list)
    folder: Folder = field(default_factory=Folder)
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def progress(self) -> float:
        """Progress of all places together, from 0 to 1."""
        return sum(1.0 if place.over else place.progress for place in self.places) / len(self.places)

    def add(self, places: list[Place]) -> bool:
        """Add places at the end, unless the series is closed; return whether that was possible."""
        with self.lock:
            if not self.closed:
                self.places.extend(places)
            return not self.closed

    def in_turn(self) -> Iterator[Place]:
        """The places one after the other, with those that are added meanwhile."""
        while True:
            with self.lock:
                self.closed = self.number >= len(self.places)
                if self.closed:
                    self.number = len(self.places) - 1
                    return
            yield self.places[self.number]
            self.number += 1

    @cached_property
    def blank(self) -> str:
        """A grey file for places whose picture has not been read yet."""
        return saved(torch.full((1, 3, 3, 4), 0.5), os.path.join(self.folder.name, "blank.png"))

    def save(self, kept: Kept) -> None:
        """Keep a finished picture as a file."""
        name = kept.title
        same = sum(other.startswith(name) for other in self.files)
        self.files.append(f"{name}{f'-{same + 1}' if same else ''}.png")
        shutil.copyfile(kept.file("png"), os.path.join(self.folder.name, self.files[-1]))

    def zip(self) -> str:
        """A zip file of all finished pictures. Raises StyleTransferError if there are none."""
        if not self.files:
            raise StyleTransferError("there is no finished picture yet: wait for the first one")
        path = os.path.join(self.folder.name, f"style-transfer-{len(self.files)}.zip")
        with zipfile.ZipFile(path, "w") as archive:  # PNGs do not shrink any further
            for name in list(self.files):
                archive.write(os.path.join(self.folder.name, name), name)
        return path


def drafts(series: Series, blend: float = 0.0, engine: Engine = HERE) -> Generator[list[Kept], None, None]:
    """Paint small pictures of one photograph; places that are not painted yet show the photograph faintly."""
    began, jobs, all_kept = time.monotonic(), [place.job for place in series.places], list[Kept]()
    try:
        with closing(sketches_of(engine, jobs)) as frames:
            for series.number, frame in frames:
                place = series.places[series.number]
                if frame.content is not None:
                    all_kept.append(kept_of(place.job, frame, None, blend))
                    if series.number == 0:
                        faint = _faint(all_kept[0])
                        for other in series.places:
                            other.file = faint
                else:
                    all_kept[-1].take(frame)
                    place.file, place.progress = all_kept[-1].preview(), frame.progress
                yield all_kept
    finally:
        painted = [kept for kept in all_kept if kept.metadata]
        outcome = f"draft {len(painted)} of {len(jobs)}"
        log(jobs[0], painted[-1] if painted else None, outcome, time.monotonic() - began)


def pictures(series: Series, visit: Visit, blend: float = 0.0, engine: Engine = HERE) -> Generator[Any, None, None]:
    """Paint the pictures of a series as results of a visit, with other tasks in between; if one fails, its place shows
    the problem, and the others are painted.
    """
    for place in series.in_turn():
        try:
            with closing(run(place.job, visit, blend=blend, shown=False, engine=engine)) as moments:
                for frame, kept in moments:
                    if kept is not None:
                        # In the series' own folder: what is kept for the visit may be dropped before the series is.
                        picture = kept.preview() if kept.metadata else _faint(kept)
                        place.file = shutil.copyfile(picture, os.path.join(series.folder.name, f"{series.number}.jpg"))
                        place.progress = 0.99 * frame.progress  # until it is saved
                    yield place
            assert kept is not None
            series.save(kept)
            place.progress = 1.0
        except StyleTransferError as error:
            place.problem = str(error)
        except Exception:
            logger.exception("a picture failed")
            place.problem = f"{place.name}: something went wrong here"
        yield place
        yield NEXT_TURN


def _faint(kept: Kept) -> str:
    """A file of the photograph with a quarter of its contrast."""
    faint = torch.lerp(torch.full_like(kept.content, 0.5), kept.content, 0.25)
    return saved(faint, os.path.join(kept.folder.name, "faint.jpg"))


@in_worker
def saved(image: Tensor, path: str) -> str:
    save_image(image, path)
    return path
