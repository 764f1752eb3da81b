"""The processor's cores, which a program shares with others: how many threads compute, and how they wait.

The OpenMP library that torch brings reads the environment when it is loaded, so a program puts `settings` there
before torch is imported. They are of the whole process, so the library itself never does.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from .files import text_of

GROUP = "/sys/fs/cgroup"
# Rounds that a thread of GNU's OpenMP waits awake before it sleeps: about 0.1 ms, which bridges the pause between two
# operations. Its default is a hundred times that, and beside other programs a picture then took up to three times as
# much of the processors' time, most of it spent waiting for a thread whose core another program had.
ROUNDS = 3000
WAITING = {"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": str(ROUNDS)}


def settings(environment: Mapping[str, str]) -> dict[str, str]:
    """What to add to an environment: threads wait asleep, and no more of them compute than the container has time for.

    What the user has set stays.
    """
    added = {} if any(name in environment for name in WAITING) else dict(WAITING)
    quota = _quota()
    if quota is not None and quota < _allowed() and "OMP_NUM_THREADS" not in environment:
        added["OMP_NUM_THREADS"] = str(quota)
    return added


def usable() -> int:
    """The cores that this process may use: those it may run on, or fewer where its container has less time."""
    return min(_allowed(), _quota() or _allowed())


def _allowed() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _quota() -> int | None:
    """The container's share of time in cores, rounded up; None where it has no limit.

    Both versions of Linux's control groups give microseconds of computing in a period.
    """
    older = (text_of(f"{GROUP}/cpu/cpu.cfs_{name}_us").strip() for name in ("quota", "period"))
    numbers = text_of(f"{GROUP}/cpu.max").split() or list(older)
    if len(numbers) != 2 or not all(number.isdigit() for number in numbers):  # "max", "-1" or no such file
        return None
    quota, period = map(int, numbers)
    return max(1, -(-quota // max(1, period)))
