"""The interface of an engine, and the engine that is this process."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Protocol


class Lost(RuntimeError):
    """The worker, or its machine, died."""


class Worker(Protocol):
    """Runs functions one at a time; functions, arguments and results must be picklable."""

    def stream(self, function: Callable[..., Any], *arguments: Any) -> Generator[Any, None, None]:
        """The items of a generator function; closing this generator closes that one. Raises Lost, or its error."""
        ...

    def keep(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """A reference to a function's result, for arguments of `stream`. Raises Lost, or its error."""
        ...

    def look(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """A function's result, even while the worker runs another function. Raises Lost, or its error."""
        ...


class Engine(Protocol):
    """A number of workers: this process alone, or those of a cluster."""

    @property
    def workers(self) -> int: ...

    def worker(self) -> AbstractContextManager[Worker]:
        """Wait for a free worker and lend it to the block; if the block raises Lost, the worker is replaced."""
        ...

    def map(self, function: Callable[..., Any], *iterables: Iterable[Any]) -> Iterable[Any]:
        """Like Python's `map`, by all workers; the calls of a lost worker are repeated."""
        ...

    def close(self) -> None: ...


class Here:
    """This process as an engine: it is its own single worker."""

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
