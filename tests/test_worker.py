"""The thread that computes for all others, and the memory that is kept between steps."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest

from styletransfer.studio.worker import WORKER, in_worker


@in_worker
def here() -> int:
    return threading.get_ident()


@in_worker
def inner() -> Iterator[int]:
    yield here()


@in_worker
def counted(closed: list[int]) -> Iterator[int]:
    try:
        while True:
            yield from inner()
    finally:
        closed.append(threading.get_ident())


def from_a_new_thread(function: object, *given: object) -> object:
    returned: list[object] = []
    thread = threading.Thread(target=lambda: returned.append(function(*given)))  # type: ignore[operator]
    thread.start()
    thread.join(10)
    return returned[0]


def test_whoever_asks_one_thread_computes() -> None:
    computing = here()
    assert computing != threading.get_ident()
    assert from_a_new_thread(here) == computing
    assert here.__name__ == "here"


def test_each_step_of_a_generator_is_taken_and_it_is_closed_in_that_thread() -> None:
    closed: list[int] = []
    steps = counted(closed)
    threads = {from_a_new_thread(next, steps) for _ in range(3)}
    steps.close()  # type: ignore[attr-defined]
    assert threads == {here()}
    assert closed == [here()]
    assert list(inner()) == [here()]


def test_errors_come_back_to_who_asked() -> None:
    with pytest.raises(ZeroDivisionError):
        WORKER.call(lambda: 1 / 0)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_process_has_a_thread_of_its_own() -> None:
    program = """
import os, sys
from styletransfer.studio.worker import WORKER
assert WORKER.call(int) == 0
child = os.fork()
if child == 0:
    os._exit(WORKER.call(lambda: 7))
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    assert subprocess.run([sys.executable, "-c", program], timeout=30).returncode == 7


@pytest.mark.skipif(sys.platform != "linux" or os.confstr("CS_GNU_LIBC_VERSION") is None, reason="not glibc")
def test_freed_memory_is_kept_for_the_next_step_and_released_after_a_run() -> None:
    """Sizes at which the C library, left alone, returns every piece to the system at once."""
    program = """
import torch
from styletransfer import allocator
def resident():
    return int(open("/proc/self/statm").read().split()[1]) * 4096 / 2**20
def take():
    pieces = [torch.ones(2**24) for _ in range(4)]  # 64 MB each
    del pieces
take()
before = resident()
take()
print(resident() - before)
allocator.keep()
allocator.give_back()  # first, since gaps that a run has left in the heap may be filled again
take()
print(resident() - before)
allocator.keep()
take()
print(resident() - before)
allocator.release()
print(resident() - before)
"""
    done = subprocess.run([sys.executable, "-c", program], timeout=60, capture_output=True, text=True, check=True)
    alone, in_tiles, kept, released = map(float, done.stdout.split())
    assert alone < 20
    assert 240 < kept < 300
    assert released < 20
    assert in_tiles < 20
