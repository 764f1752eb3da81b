"""The engine that is a Ray cluster; imported only when one is chosen."""

from __future__ import annotations

import os
import socket
import sys
import threading
from collections import OrderedDict
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from typing import Any
from weakref import WeakKeyDictionary

import ray
import torch
from ray.exceptions import ObjectLostError, OutOfMemoryError, RayActorError, RayError, RayTaskError
from ray.job_config import JobConfig
from torch import Tensor

from .. import allocator, cores
from ..config import StyleTransferError
from .seam import Lost

START = 120.0  # seconds in which all workers must have started
TRIES = 3  # workers that may die while computing the same tile
AHEAD = 2  # items that a stream may compute ahead of its reader
HELD = 32  # shared arguments that a worker keeps
PACKAGE = Path(__file__).parents[1]
LOSSES = (RayActorError, ObjectLostError, OutOfMemoryError)


@dataclass(frozen=True)
class Shared:
    """An argument in the object store, and the name under which workers cache it."""

    name: str
    ref: Any


@ray.remote(concurrency_groups={"aside": 1})
class Host:
    """A process that runs functions, with a number of threads."""

    def __init__(self, threads: int) -> None:
        torch.set_num_threads(threads)
        allocator.keep()
        self._held: OrderedDict[str, Any] = OrderedDict()

    def ready(self) -> int:
        return os.getpid()

    def stream(self, function: Callable[..., Any], *arguments: Any) -> Iterator[Any]:
        with closing(function(*arguments)) as items:  # a cancelled stream is left at its next item
            for item in items:
                yield item
                if ray.get_runtime_context().is_canceled():
                    return

    def call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        return function(*map(self._own, arguments))

    def _own(self, argument: Any) -> Any:
        """An argument, or the value of a shared one; the last ones are cached."""
        if not isinstance(argument, Shared):
            return argument
        if argument.name not in self._held:
            self._held[argument.name] = ray.get(argument.ref)
        self._held.move_to_end(argument.name)
        while len(self._held) > HELD:
            self._held.popitem(last=False)
        return self._held[argument.name]


@contextmanager
def plain_errors() -> Iterator[None]:
    """Raise the error of the function, or Lost if its worker died."""
    try:
        yield
    except LOSSES as error:
        raise Lost(str(error).splitlines()[0]) from None
    except RayTaskError as error:
        if isinstance(error.cause, LOSSES):  # an argument was lost
            raise Lost(str(error.cause).splitlines()[0]) from None
        raise error.cause from None
    except RayError as error:
        raise RuntimeError(str(error).splitlines()[0]) from error


def check_reachable(address: str) -> None:
    """Raise StyleTransferError at once if nothing listens: Ray itself would try for minutes."""
    host, _, port = address.rpartition(":")
    if not host or "/" in host or not port.isdigit():
        raise StyleTransferError(f"the address of a Ray cluster is HOST:PORT, got {address!r:.60}")
    try:
        socket.create_connection((host, int(port)), timeout=10).close()
    except (OSError, OverflowError) as error:
        raise StyleTransferError(f"no Ray cluster at {address}: {error}") from error


class Actor:
    """A worker of the cluster: an actor that runs a Host."""

    def __init__(self, options: dict[str, Any], threads: int) -> None:
        self.actor = Host.options(**options).remote(threads)  # type: ignore[attr-defined]

    def stream(self, function: Callable[..., Any], *arguments: Any) -> Generator[Any, None, None]:
        options = {"num_returns": "streaming", "_generator_backpressure_num_objects": AHEAD}
        refs = self.actor.stream.options(**options).remote(function, *arguments)
        try:
            with plain_errors():
                for ref in refs:
                    yield ray.get(ref)
        except GeneratorExit:
            ray.cancel(refs)
            raise

    def keep(self, function: Callable[..., Any], *arguments: Any) -> Any:
        ref = self.actor.call.remote(function, *arguments)
        with plain_errors():
            ray.get(self.actor.ready.remote())  # runs after the call; the call's result stays there
            ray.wait([ref], fetch_local=False)
        return ref

    def call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        with plain_errors():
            return ray.get(self.actor.call.remote(function, *arguments))

    def look(self, function: Callable[..., Any], *arguments: Any) -> Any:
        with plain_errors():
            return ray.get(self.actor.call.options(concurrency_group="aside").remote(function, *arguments))

    def end(self) -> None:
        with suppress(RayError):
            ray.kill(self.actor)


class Cluster:
    """Ray's workers: each has a GPU if there are any, else a share of the cores; one that dies is replaced.

    workers: how many; None: one per GPU, or per two cores; address: HOST:PORT of a running cluster, to which this
    package's code is sent; None: a new one on this computer. Raises StyleTransferError if the cluster cannot be reached
    or has no room for so many workers.
    """

    def __init__(self, workers: int | None = None, address: str | None = None) -> None:
        if address:
            check_reachable(address)
        count = max(cores.usable(), workers or 1)
        here = JobConfig(_py_driver_sys_path=sys.path)  # workers import from the same folders as this process
        local = {"address": "local", "num_cpus": count, "include_dashboard": False, "job_config": here}
        distant = {"address": address, "runtime_env": {"py_modules": [str(PACKAGE)]}}
        try:
            ray.init(**(distant if address else local), log_to_driver=False, logging_level="ERROR")
        except (OSError, RuntimeError, ValueError) as error:
            problem = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise StyleTransferError(f"no Ray cluster at {address or 'this computer'}: {problem}") from error
        try:
            self._start(workers)
        except BaseException:
            ray.shutdown()
            raise

    def _start(self, workers: int | None) -> None:
        resources = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        cores, gpus = (int(sum(node.get(kind, 0) for node in resources)) for kind in ("CPU", "GPU"))
        self.workers = workers or gpus or max(1, cores // 2)
        smallest = min(int(node["CPU"]) for node in resources if node.get("CPU"))
        threads = max(1, min(cores // self.workers, smallest))
        self._new = partial(Actor, {"num_cpus": threads, "num_gpus": int(gpus > 0)}, threads)
        self._shared: WeakKeyDictionary[Any, Shared] = WeakKeyDictionary()
        self._sharing = threading.Lock()
        self._idle: SimpleQueue[Actor] = SimpleQueue()
        self._threads = ThreadPoolExecutor(self.workers, "ray")
        actors = [self._new() for _ in range(self.workers)]
        pending = [actor.actor.ready.remote() for actor in actors]
        ready, late = ray.wait(pending, num_returns=self.workers, timeout=START)
        if late:
            room = f"the cluster has {cores} cores and {gpus} GPUs"
            raise StyleTransferError(f"{self.workers} workers were asked for, and {len(ready)} have started: {room}")
        with plain_errors():
            self.processes = ray.get(ready)
        for actor in actors:
            self._idle.put(actor)

    @contextmanager
    def worker(self) -> Iterator[Actor]:
        actor = self._idle.get()
        try:
            yield actor
        except Lost:
            actor.end()
            actor = self._new()
            raise
        finally:
            self._idle.put(actor)

    def map(self, function: Callable[..., Any], *iterables: Iterable[Any]) -> Iterable[Any]:
        """Like Python's `map`. Tensors are sent with every call, other objects once, while they exist here."""
        return self._threads.map(partial(self._call, function), *iterables)

    def _call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        sent = [self._sent(argument) for argument in arguments]
        for _ in range(TRIES):
            with suppress(Lost), self.worker() as actor:
                return actor.call(function, *sent)
        raise Lost(f"{TRIES} workers died one after the other over the same tile: choose smaller tiles")

    def _sent(self, argument: Any) -> Any:
        if isinstance(argument, Tensor):
            return argument.detach().clone()  # of a view, the whole picture would be sent
        with self._sharing:
            try:
                shared = self._shared.get(argument)
            except TypeError:  # cannot be referenced weakly: a number, a string, a tuple of such
                return argument
            if shared is None:
                ref = ray.put(argument)
                shared = self._shared[argument] = Shared(ref.hex(), ref)
            return shared

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)
        ray.shutdown()
