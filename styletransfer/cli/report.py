"""What a command says: lines on stderr, and the content of `--json`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from tqdm import tqdm

from ..plan import peak_memory
from ..transfer import Result


def report_of(result: Result, times: Sequence[float], total: float) -> dict[str, Any]:
    """The content of `--json`: every step's losses, seconds by scale and step, peak memory in bytes, and metadata."""
    steps = [after - before for before, after in zip((0.0, *times), times)]
    scales: dict[str, float] = {}
    for losses, seconds in zip(result.history, steps):
        scale = str(int(losses["scale"]))
        scales[scale] = scales.get(scale, 0.0) + seconds
    return {
        "outcome": result.outcome,
        "history": [dict(losses) for losses in result.history],
        "seconds": {"total": total, "scales": scales, "steps": steps},
        "peak_memory": peak_memory(),
        "metadata": result.metadata,
    }


def say(line: str) -> None:
    """A line on stderr, above the progress bars."""
    tqdm.write(line, file=sys.stderr)
