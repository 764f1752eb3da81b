"""What pays on this machine: measured once and kept beside the weights, so that every process here decides alike."""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from statistics import median
from typing import Any

import torch

from .files import cache_folder, text_of, write_atomically

REPEATS = 5  # calls that are timed


def fastest(run: Callable[[], object]) -> float:
    """Seconds of the fastest of a few calls, after one to warm up: other programs' work only adds time."""
    return min(_seconds(run))


def typical(run: Callable[[], object]) -> float:
    """Seconds of the median of a few calls, after one to warm up: what other programs' work adds counts."""
    return median(_seconds(run))


def _seconds(run: Callable[[], object]) -> list[float]:
    run()
    seconds = []
    for _ in range(REPEATS):
        began = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - began)
    return seconds


def decided(question: str, measure: Callable[[], bool]) -> bool:
    """The answer kept for this processor and this torch; where there is none, it is measured and kept.

    Workers with fewer threads decide alike, too, so that their pictures are those of one process. A file that is
    damaged or cannot be written is no error: the answer then holds for this process.
    """
    file = cache_folder() / "machine.json"
    here = f"{_processor()}, torch {torch.__version__}"
    if (file, here, question) not in _known:
        kept = _kept(file)
        answers = kept.get(here)
        answers = answers if isinstance(answers, dict) else {}
        if not isinstance(answers.get(question), bool):
            answers[question] = measure()
            _keep(file, {**kept, here: answers})
        _known[file, here, question] = answers[question]
    return _known[file, here, question]


def measured() -> dict[str, bool]:
    """The questions that this process has asked so far, with their answers."""
    return {question: answer for (_, _, question), answer in _known.items()}


_known: dict[tuple[Path, str, str], bool] = {}


def _keep(file: Path, answers: dict[str, Any]) -> None:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(file, json.dumps(answers, indent=1).encode())
    except OSError:
        pass


def _kept(file: Path) -> dict[str, Any]:
    try:
        kept = json.loads(file.read_bytes()) if os.path.isfile(file) else {}
    except (OSError, ValueError, RecursionError):
        return {}
    return kept if isinstance(kept, dict) else {}


@cache
def _processor() -> str:
    lines = text_of("/proc/cpuinfo").splitlines()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{names[0] if names else platform.processor()} {torch.backends.cpu.get_cpu_capability()}"
