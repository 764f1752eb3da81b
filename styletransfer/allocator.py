"""How the C library (glibc on Linux) handles memory that torch frees: programs call this around a run.

By default it returns large blocks to the system and gets them back at the next step, page by page and filled with
zeros, and every thread has its own heap. With all blocks kept in one heap, a step at 2048 pixels took 0.7 of the time
on two cores. But a kept heap becomes fragmented: if memory is short and a picture is computed in tiles, large blocks
should be returned. The settings are for the whole process, so the library itself never makes them. It only calls
`release`, between the scales of a run.
"""

from __future__ import annotations

import ctypes
from typing import Any

TRIM_THRESHOLD, MMAP_THRESHOLD, MMAP_MAX, ARENA_MAX = -1, -3, -4, -8  # malloc.h's names for mallopt(3)
LARGE = 2**25  # bytes: the highest threshold that glibc accepts
MAPPED = 2**16  # blocks that may be mapped one by one: glibc's default


def keep() -> None:
    """Keep freed memory for the next step, in one heap for all threads. For a program's start and before runs."""
    _call("mallopt", ARENA_MAX, 1)
    _call("mallopt", TRIM_THRESHOLD, 2**31 - 1)
    _call("mallopt", MMAP_THRESHOLD, LARGE)
    _call("mallopt", MMAP_MAX, 0)


def give_back() -> None:
    """Return unused memory now, and blocks over 32 MB as they are freed, until the next `keep`: `on_tight_memory`."""
    _call("mallopt", MMAP_MAX, MAPPED)
    release()


def release() -> None:
    """Return unused memory to the system, after a run or a scale of it."""
    _call("malloc_trim", 0)


def _call(name: str, *values: int) -> None:
    try:
        function: Any = getattr(ctypes.CDLL(None), name)
    except (AttributeError, OSError, TypeError):  # another C library, which has no such setting
        return
    function(*values)
