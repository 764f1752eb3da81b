"""One thread for all computing.

Torch starts a thread pool for every thread that calls it, and the pools slow each other down: with calls from eight
threads in turn, as from Gradio, a step took twice the time, and the process twice the memory.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import wraps
from inspect import isgeneratorfunction
from typing import Any, ParamSpec, TypeVar, cast

Arguments = ParamSpec("Arguments")
Returned = TypeVar("Returned")


class Worker:
    """A thread that starts at the first call; a forked process, as ZeroGPU's are, gets a new one."""

    def __init__(self) -> None:
        self._start()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._start)

    def _start(self) -> None:
        self._pool = ThreadPoolExecutor(1, "compute", initializer=self._remember_thread)
        self._thread: threading.Thread | None = None

    def _remember_thread(self) -> None:
        self._thread = threading.current_thread()

    def call(self, function: Callable[..., Returned], *arguments: Any, **options: Any) -> Returned:
        """Call a function in the computing thread (directly, if this is that thread), in the caller's context, and
        return its result or raise its error.
        """
        if threading.current_thread() is self._thread:
            return function(*arguments, **options)
        return self._pool.submit(copy_context().run, function, *arguments, **options).result()


WORKER = Worker()


def in_worker(function: Callable[Arguments, Returned]) -> Callable[Arguments, Returned]:
    """Decorate a function, or all steps of a generator function, to run in the computing thread."""

    if not isgeneratorfunction(function):

        @wraps(function)
        def once(*arguments: Arguments.args, **options: Arguments.kwargs) -> Returned:
            return WORKER.call(function, *arguments, **options)

        return once

    @wraps(function)
    def steps(*arguments: Arguments.args, **options: Arguments.kwargs) -> Generator[Any, None, None]:
        end = object()
        generator = function(*arguments, **options)
        try:
            while (item := WORKER.call(next, generator, end)) is not end:
                yield item
        finally:
            WORKER.call(generator.close)

    return cast("Callable[Arguments, Returned]", steps)
