"""How many threads compute, and how they wait, on cores that other programs use, too.

Torch's OpenMP library reads the environment when it is loaded, so a program adds `settings` to it before it imports
torch. They are for the whole process, so the library itself never sets them.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from .files import text_of

GROUP = "/sys/fs/cgroup"
# Rounds that a waiting thread of GNU's OpenMP spins before it sleeps: about 0.1 ms, the pause between two operations.
# With the default, a hundred times that, a picture beside other programs took up to three times the processor time,
# most of it spent spinning for a thread whose core another program had.
ROUNDS = 3000
WAITING = {"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": str(ROUNDS)}


def settings(environment: Mapping[str, str]) -> dict[str, str]:
    """Variables to add to an environment: threads sleep while they wait, and are no more than the container's share of
    cores. Variables that the user has set are kept.
    """
    added = {} if any(name in environment for name in WAITING) else dict(WAITING)
    quota = _quota()
    if quota is not None and quota < _allowed() and "OMP_NUM_THREADS" not in environment:
        added["OMP_NUM_THREADS"] = str(quota)
    return added


def usable() -> int:
    """The number of cores that this process may use, by its affinity and its container's share of time."""
    return min(_allowed(), _quota() or _allowed())


def _allowed() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _quota() -> int | None:
    """The container's share of time in cores, rounded up; None without a limit.

    Both versions of Linux's control groups give microseconds of computing in a period.
    """
    older = (text_of(f"{GROUP}/cpu/cpu.cfs_{name}_us").strip() for name in ("quota", "period"))
    numbers = text_of(f"{GROUP}/cpu.max").split() or list(older)
    if len(numbers) != 2 or not all(number.isdigit() for number in numbers):  # "max", "-1" or no such file
        return None
    quota, period = map(int, numbers)
    return max(1, -(-quota // max(1, period)))
