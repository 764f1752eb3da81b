"""The output of a command: lines on stderr, and the content of `--json`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from ..features import Network
from ..files import write_atomically
from ..images.checks import quoted
from ..machine import measured
from ..plan import peak_memory
from ..transfer import Result


def report_of(result: Result, network: Network, times: Sequence[float], total: float) -> dict[str, Any]:
    """The content of `--json`: every step's losses, seconds by scale and step, peak memory in bytes, metadata, and how
    the machine computed.
    """
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
        "machine": machine_of(network),
    }


def write_report(path: Path | None, text: str, *, add: bool = False) -> bool:
    """Write the content of `--json`, or append to it, if there is a path, and return whether that succeeded.

    A failure prints a line instead of raising an error, so that the pictures are still saved.
    """
    try:
        if path is not None and add:
            with open(path, "a") as file:
                file.write(text)
        elif path is not None:
            write_atomically(path, text.encode())
    except OSError as error:
        say(f"the report {quoted(str(path))} cannot be written: {error.strerror}; the pictures are saved all the same")
        return False
    return True


def machine_of(network: Network) -> dict[str, Any]:
    """How a network computes on this machine, with the measurements that decided it."""
    return {**network.computing, "threads": torch.get_num_threads(), "measured": measured()}


def machine_line(network: Network) -> str:
    """`machine_of` as a line, for `--verbose`."""
    machine = machine_of(network)
    line = "{precision}, {threads} threads, Winograd's algorithm in {winograd} of {convolutions} 3x3 convolutions"
    answers = [f"{question}: {'yes' if answer else 'no'}" for question, answer in machine["measured"].items()]
    return "; ".join([line.format(**machine), *answers])


def say(line: str) -> None:
    """A line on stderr, above the progress bars."""
    tqdm.write(line, file=sys.stderr)
