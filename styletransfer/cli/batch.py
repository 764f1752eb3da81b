"""Every content in every style, painted by the workers of an engine."""

from __future__ import annotations

import argparse
import json
import threading
import time
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from queue import SimpleQueue
from typing import Any, TypeVar

from torch import Tensor
from tqdm import tqdm

from .. import allocator
from ..config import Config, StyleTransferError
from ..engine import Engine, Lost, Worker
from ..features import Network, load_network
from ..files import write_atomically
from ..images import SUFFIXES, encode_image, load_alpha, load_image
from ..pixels import Size, resample, size_of
from ..transfer import StyleTargets, iterate, measure_styles
from .parser import FAILURES, Job
from .report import report_of, say, write_report

TRIES = 2  # workers that may die while painting the same picture or scene
Returned = TypeVar("Returned")
TELL_EVERY = 0.25  # seconds between two progress values of a worker


# --- in a worker


@dataclass(frozen=True)
class Order:
    """One picture to paint, picklable: content and style are the bytes of their files."""

    content: bytes
    style: bytes
    format: str
    config: Config
    background: str
    keep_alpha: bool


network_for = lru_cache(maxsize=1)(load_network)


def painted(order: Order, targets: StyleTargets) -> Iterator[float | tuple[bytes, dict[str, Any]]]:
    """Yield the progress in [0, 1], and at the end the picture's file and its report."""
    content, style = (load_image(file, background=order.background) for file in (order.content, order.style))
    network: Network = network_for(order.config)
    began = reported = time.monotonic()
    times: list[float] = []
    allocator.keep()
    options: Any = {"style_targets": targets, "on_tight_memory": allocator.give_back}
    for step in iterate(content, [style], order.config, network=network, **options):
        times.append(time.monotonic() - began)
        if time.monotonic() - reported > TELL_EVERY:
            reported = time.monotonic()
            yield step.progress
    result = step.result
    alpha = alpha_at(order.content, size_of(result.image)) if order.keep_alpha else None
    data = encode_image(result.image, order.format, settings=result.metadata, alpha=alpha)
    yield data, report_of(result, network, times, time.monotonic() - began)


def alpha_at(content: Path | bytes, size: Size) -> Tensor | None:
    """The alpha (1, 1, H, W) of a content for a result of (H, W); None if it is opaque."""
    alpha = load_alpha(content)
    return None if alpha is None else resample(alpha, size).clamp(0, 1)


def statistics(style: bytes, config: Config, background: str) -> StyleTargets:
    """A style's statistics, for all pictures that are painted in it."""
    return measure_styles([load_image(style, background=background)], config, network_for(config))


# --- in the command


def tried(engine: Engine, attempt: Callable[[Worker], Returned]) -> Returned:
    """Call a function with a worker, again if the worker dies, and return its result. Raises Lost after TRIES calls."""
    for _ in range(TRIES):
        try:
            with engine.worker() as worker:
                return attempt(worker)
        except Lost:
            continue
    raise Lost(f"{TRIES} workers died over it, one after the other: choose a smaller size")


@dataclass
class Batch:
    """The pictures of one command; kept: references to the statistics of the last styles."""

    engine: Engine
    config: Config
    options: argparse.Namespace
    stopping: threading.Event = field(default_factory=threading.Event)
    kept: OrderedDict[Path, Any] = field(default_factory=OrderedDict)
    locks: defaultdict[Path, threading.Lock] = field(default_factory=lambda: defaultdict(threading.Lock))

    def paint(self, job: Job, bar: Any) -> dict[str, Any] | None:
        """Paint and save one picture, and return its report, or None if the command was stopped.

        A picture whose worker died is tried again. Raises the worker's error.
        """
        assert job.content is not None and job.style is not None
        style = job.style
        files = job.content.read_bytes(), style.read_bytes()
        shape = SUFFIXES[job.output.suffix.lower()]
        order = Order(*files, shape, self.config, self.options.background, self.options.keep_alpha)

        def attempt(worker: Worker) -> dict[str, Any] | None:
            bar.reset()
            bar.set_description_str(job.output.stem)
            try:
                for item in worker.stream(painted, order, self.statistics(worker, style, order)):
                    if self.stopping.is_set():
                        break
                    if isinstance(item, float):
                        bar.update(100 * item - bar.n)
                        continue
                    data, report = item
                    write_atomically(job.output, data)
                    return {"output": job.output.name, **report}
            except Lost:
                self.kept.pop(style, None)  # the worker may have held the statistics
                raise
            return None

        return tried(self.engine, attempt)

    def statistics(self, worker: Worker, style: Path, order: Order) -> Any:
        """The style's statistics, computed by the first worker that needs them while others wait."""
        with self.locks[style]:
            targets = self.kept.get(style)
            if targets is None:
                targets = self.kept[style] = worker.keep(statistics, order.style, self.config, order.background)
                if len(self.kept) > 2 * self.engine.workers:  # pictures come style by style
                    self.kept.popitem(last=False)
            return targets


def paint_each(jobs: Sequence[Job], config: Config, options: argparse.Namespace, engine: Engine) -> int:
    """Paint all pictures that do not exist yet, print at the end which ones failed, and return the exit code.

    `--json` gets a line for every picture, when it is done or has failed.
    """
    pending = [job for job in jobs if not job.output.exists()]
    if len(pending) < len(jobs) and not options.quiet:
        say(f"{len(jobs) - len(pending)} of {len(jobs)} pictures are there already")
    batch, failures, reported = Batch(engine, config, options), list[str](), True
    bars: SimpleQueue[Any] = SimpleQueue()
    for place in range(engine.workers):
        bars.put(tqdm(total=100, position=place + 1, leave=False, disable=options.quiet, bar_format="{l_bar}{bar}"))

    def paint(job: Job) -> dict[str, Any] | None:
        bar = bars.get()
        try:
            return batch.paint(job, bar)
        finally:
            bars.put(bar)

    whole = tqdm(total=len(jobs), initial=len(jobs) - len(pending), unit="picture", disable=options.quiet)
    with whole, ThreadPoolExecutor(engine.workers, "batch") as pool:
        futures = {pool.submit(paint, job): job for job in pending}
        try:
            for future in as_completed(futures):
                name = futures[future].output.name
                try:
                    entry = future.result()
                except (StyleTransferError, *FAILURES) as error:
                    reason = str(error).splitlines()[0] if str(error) else type(error).__name__
                    failures.append(f"{name}: {reason}")
                    entry = {"output": name, "error": reason}
                reported = reported and write_report(options.json, json.dumps(entry) + "\n", add=True)
                whole.update()
        except KeyboardInterrupt:
            batch.stopping.set()
            pool.shutdown(cancel_futures=True)
            say("stopped: the same command goes on from here")
            return 1
        finally:
            while not bars.empty():
                bars.get().close()
    for failure in failures:
        say(f"failed: {failure}")
    return 1 if failures or not reported else 0
