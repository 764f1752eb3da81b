"""One thread that computes, whoever asks.

Torch keeps a team of threads for each thread that calls it, and they get in each other's way: with calls from eight
threads in turn, as Gradio makes them, a step was seen to take twice the time and the process twice the memory.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from functools import wraps
from inspect import isgeneratorfunction
from typing import Any, ParamSpec, TypeVar, cast

Given = ParamSpec("Given")
Found = TypeVar("Found")


class Worker:
    """A thread that is started at its first call, and anew in a process that was forked, as ZeroGPU's are."""

    def __init__(self) -> None:
        self._start()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._start)

    def _start(self) -> None:
        self._pool = ThreadPoolExecutor(1, "compute", initializer=self._arrive)
        self._thread: threading.Thread | None = None

    def _arrive(self) -> None:
        self._thread = threading.current_thread()

    def call(self, function: Callable[..., Found], *given: Any, **options: Any) -> Found:
        """What the function returns or raises, computed in the thread; at once where this is it."""
        if threading.current_thread() is self._thread:
            return function(*given, **options)
        return self._pool.submit(function, *given, **options).result()


WORKER = Worker()


def in_worker(function: Callable[Given, Found]) -> Callable[Given, Found]:
    """The function in the one thread that computes; of a generator, each step."""

    if not isgeneratorfunction(function):

        @wraps(function)
        def once(*given: Given.args, **options: Given.kwargs) -> Found:
            return WORKER.call(function, *given, **options)

        return once

    @wraps(function)
    def steps(*given: Given.args, **options: Given.kwargs) -> Generator[Any, None, None]:
        end = object()
        generator = function(*given, **options)
        try:
            while (found := WORKER.call(next, generator, end)) is not end:
                yield found
        finally:
            WORKER.call(generator.close)

    return cast("Callable[Given, Found]", steps)
