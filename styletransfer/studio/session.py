"""A run from beginning to end: its pictures are kept, its end is logged, and a failed run leaves nothing behind."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Generator, Mapping
from contextlib import closing
from dataclasses import replace
from typing import Any

import torch

from ..config import Config
from ..engine import Engine, Here
from ..transfer import Step
from .elsewhere import frames_of
from .frames import Frame, duration
from .job import Job
from .kept import Kept, Visit
from .wording import describe

logger = logging.getLogger(__name__)


Moment = tuple[Frame, Kept | None]  # the frame without its pictures, and the kept picture, if there is one to show
HERE = Here()


def run(
    job: Job,
    visit: Visit,
    *,
    settings: Config | None = None,
    blend: float = 0.0,
    resume: Any = None,
    note: str = "",
    shown: bool = True,
    engine: Engine = HERE,
) -> Generator[Moment, None, None]:
    """Paint a job; from its first picture on it is a result of the visit. Before that, the photograph is shown, or the
    earlier picture that is continued.

    settings: the visitor's, if they differ from the job's; note: the beginning of the status; shown: whether it becomes
    the visit's current result, which can be continued. Raises StyleTransferError.
    """
    began, outcome, kept = time.monotonic(), "failed", None
    continued = resume is not None or job.start is not None
    try:
        with closing(frames_of(engine, job, resume)) as frames:
            for frame in frames:
                if frame.content is not None:
                    kept = kept_of(job, frame, settings, blend)
                elif kept is not None and frame.raw is not None:
                    kept.take(frame if shown else replace(frame, step=None))
                    if kept not in visit.results:
                        visit.add(kept, shown)
                    outcome, visit.touched = "stopped", time.monotonic()
                showable = kept is not None and (kept.metadata or not continued)
                yield replace(frame.light, lead=note), kept if showable else None
        if kept is not None:
            outcome = kept.metadata["outcome"] if kept.metadata else "nothing to do"
            kept.note = note + ended(kept, time.monotonic() - began)
    finally:
        log(job, kept, outcome, time.monotonic() - began)


def kept_of(job: Job, frame: Frame, settings: Config | None, blend: float) -> Kept:
    content = torch.from_numpy(frame.content)
    return Kept(job, settings or job.config, content, content, blend)


def continuation(kept: Kept) -> tuple[Job, Any]:
    """The job that continues a picture, to the end of a run that was stopped or by some steps, and the step to resume;
    without a step, the optimiser starts again from the picture.
    """
    steps = kept.metadata["steps"]
    more = min(steps[-1], 100)
    if kept.step is None or (isinstance(kept.step, Step) and kept.step.state.solver.outcome):
        return kept.job.restarted(kept.raw.numpy(), max(1, more)), None
    return kept.job.continued(steps, 0 if kept.metadata["outcome"] == "stopped" else more), kept.step


def ended(kept: Kept, seconds: float) -> str:
    """A line about how a run ended."""
    if not kept.metadata:
        return "There was nothing left to do"
    endings = {
        "done": f"Done in {duration(seconds)}",
        "non-finite": "Stopped: the loss left the range of numbers",
    }
    ending = endings.get(kept.metadata["outcome"], f"Stopped after {duration(seconds)}, the most that is allowed here")
    return f"{ending} · {kept.raw.shape[-1]} × {kept.raw.shape[-2]}"


def network_words(metadata: Mapping[str, Any]) -> str:
    network = metadata["network"]
    return describe(network["name"], network["reason"], metadata["device"])


def log(job: Job, kept: Kept | None, outcome: str, seconds: float) -> None:
    """One line for the operator, with nothing of the pictures and no names."""
    metadata = kept.metadata if kept is not None and kept.metadata else None
    entry = {
        "event": "run",
        "seconds": round(seconds, 2),
        "size": job.config.size,
        "steps": metadata["steps"] if metadata else list(job.config.iterations),
        "network": metadata["network"]["name"] if metadata else job.config.network,
        "outcome": outcome,
    }
    logger.info(json.dumps(entry))
