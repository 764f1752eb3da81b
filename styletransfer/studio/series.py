"""Several pictures painted one after the other, each in its place: drafts to choose from."""

from __future__ import annotations

import time
from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass

import torch

from ..images import save_image
from .frames import sketch
from .job import Job
from .kept import Kept
from .session import kept_of, log
from .worker import in_worker


@dataclass(eq=False)
class Place:
    """One of the pictures: its job and its name; the file to show of it, and how far it is, 0 to 1."""

    job: Job
    name: str
    file: str | None = None
    progress: float = 0.0


@dataclass(eq=False)
class Series:
    """Pictures in fixed places, which fill one by one; `number` is that of the place being painted."""

    places: list[Place]
    number: int = 0

    @property
    def progress(self) -> float:
        """From 0 to 1, over all places."""
        return sum(place.progress for place in self.places) / len(self.places)


def drafts(series: Series, blend: float = 0.0) -> Generator[list[Kept], None, None]:
    """Paint small pictures of one photograph, which shows faintly in each place that is not painted yet."""
    began, jobs, all_kept = time.monotonic(), [place.job for place in series.places], list[Kept]()
    try:
        with closing(sketch(jobs)) as frames:
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


@in_worker
def _faint(kept: Kept) -> str:
    """A file of the photograph with a quarter of its contrast."""
    path = f"{kept.folder.name}/faint.jpg"
    save_image(torch.lerp(torch.full_like(kept.content, 0.5), kept.content, 0.25), path)
    return path
