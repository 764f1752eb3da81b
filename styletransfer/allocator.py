"""What the C library does with the memory that torch gives back: on Linux (glibc), keep it for the next step.

Left alone it returns large pieces to the system and is handed them anew, page by page and filled with zeros, at every
step; and it keeps a heap for each thread. Kept, a step at 2048 pixels took 0.7 of the time on two cores. What is kept
has gaps, though: where memory is short and a picture is computed in tiles, the large pieces had better go back.
"""

from __future__ import annotations

import ctypes
from typing import Any

TRIM_THRESHOLD, MMAP_THRESHOLD, MMAP_MAX, ARENA_MAX = -1, -3, -4, -8  # malloc.h's names for mallopt(3)
LARGE = 2**25  # bytes: the highest threshold that glibc takes
MAPPED = 2**16  # pieces that may be mapped one by one: glibc's default

_keeping = False  # as the C library's settings, which cannot be asked for, are of the whole process


def keep() -> None:
    """From now on keep what is freed, in one heap for all threads; for programs that are ours, not for a library."""
    global _keeping
    _keeping = True
    _call("mallopt", ARENA_MAX, 1)
    _call("mallopt", TRIM_THRESHOLD, 2**31 - 1)
    _call("mallopt", MMAP_THRESHOLD, LARGE)
    keep_large(True)


def keep_large(wanted: bool) -> None:
    """Whether pieces over 32 MB are kept as well, in a program that keeps; no other is touched."""
    if _keeping:
        _call("mallopt", MMAP_MAX, 0 if wanted else MAPPED)


def release() -> None:
    """Return to the system what is kept and not in use: after a run, and where memory is short."""
    _call("malloc_trim", 0)


def _call(name: str, *values: int) -> None:
    try:
        function: Any = getattr(ctypes.CDLL(None), name)
    except (AttributeError, OSError, TypeError):  # another C library, which does as it likes
        return
    function(*values)
