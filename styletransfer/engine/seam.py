"""What an engine is, and the one that is always there: this process."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Protocol


class Lost(RuntimeError):
    """The worker died, or the machine that it was on."""


class Worker(Protocol):
    """Runs functions, one at a time; they and their arguments and results can be pickled."""

    def stream(self, function: Callable[..., Any], *arguments: Any) -> Generator[Any, None, None]:
        """What a generator function yields; to close this generator closes that one. Raises Lost, or its error."""
        ...

    def keep(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """A function's result, left where it is: only an argument for `stream`. Raises Lost, or its error."""
        ...

    def look(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """A function's result, while the worker may be at work for somebody else. Raises Lost, or its error."""
        ...


class Engine(Protocol):
    """So many workers: this process alone, or those of a cluster."""

    @property
    def workers(self) -> int: ...

    def worker(self) -> AbstractContextManager[Worker]:
        """A free worker for the length of a block, once there is one; if the block raises Lost, it is replaced."""
        ...

    def map(self, function: Callable[..., Any], *iterables: Iterable[Any]) -> Iterable[Any]:
        """Like Python's `map`, by all workers; what a lost worker had is computed again."""
        ...

    def close(self) -> None: ...


class Here:
    """The engine that is this process: it has one worker, itself."""

    workers = 1

    def worker(self) -> AbstractContextManager[Here]:
        return nullcontext(self)

    def stream(self, function: Callable[..., Any], *arguments: Any) -> Generator[Any, None, None]:
        return function(*arguments)  # type: ignore[no-any-return]

    def keep(self, function: Callable[..., Any], *arguments: Any) -> Any:
        return function(*arguments)

    look = keep

    def map(self, function: Callable[..., Any], *iterables: Iterable[Any]) -> Iterable[Any]:
        return map(function, *iterables)

    def close(self) -> None:
        pass
