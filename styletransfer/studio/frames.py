"""The frames of a run: what is shown of it from moment to moment, in picklable form."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cache, partial
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from .. import allocator
from ..config import Config
from ..features import Network, load_network
from ..images import load_alpha, load_image
from ..pixels import fit_size, resample, resize, size_of
from ..transfer import RunState, Step, StyleTargets, forecast, iterate
from .job import COLORS, Job
from .worker import in_worker

PREVIEW_EVERY, CURVE_EVERY, CURVE_POINTS = 0.33, 1.0, 200
PAINTED = 0.25  # opacity above which a pixel counts as painted: the page's brushes have 0.5
Function = TypeVar("Function", bound=Callable[..., Any])


@dataclass(frozen=True)
class Frame:
    """A moment of a run: its text, and what has changed.

    left: seconds until the end, if known; lead: text before all other; note: what the run had to change; content: the
    photograph at the size of the result, once, before the first step; raw: the picture before it is recoloured; both
    are (1, 3, H, W) in [0, 1]. metadata: of the picture, empty before there is one; step: continues the run; it is not
    pickled.
    """

    text: str
    progress: float = 0.0
    left: float | None = None
    lead: str = ""
    note: str = ""
    content: np.ndarray[Any, Any] | None = None
    raw: np.ndarray[Any, Any] | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    losses: Mapping[str, float] = field(default_factory=dict)
    curve: Mapping[str, Sequence[float]] = field(default_factory=dict)
    step: Any = None  # a Step, or what stands for one on another machine

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "step": None}

    @property
    def light(self) -> Frame:
        """The frame without its pictures and its step."""
        return replace(self, content=None, raw=None, step=None)

    @property
    def told(self) -> str:
        """The progress of the run as a line for the visitor."""
        if not self.metadata:
            return f"{self.lead}Getting ready · {self.text}"
        left = "" if self.left is None else f" · about {duration(max(1, self.left))}"
        return f"{self.lead}Painting · {100 * self.progress:.0f} %{left}{self.note}"


def on_borrowed_gpu(seconds: Callable[..., int]) -> Callable[[Function], Function]:
    """Decorate a generator so that ZeroGPU runs it in a process with a GPU, for at most `seconds(*arguments)`; anywhere
    else the generator is returned unchanged.
    """
    try:
        import spaces
    except ImportError:
        return lambda function: function
    return spaces.GPU(duration=seconds)  # type: ignore[no-any-return]


# --- networks

_networks: dict[Config, Network] = {}
_networks_lock = threading.Lock()


def network_for(config: Config, report: Callable[[str], None] | None = None) -> Network:
    """The network of the settings; the last two networks stay loaded."""
    names = ("network", "weights", "pooling", "padding", "precision", "device", "content_layers", "style_layers")
    key = Config(**{name: getattr(config, name) for name in names})
    with _networks_lock:
        _networks[key] = _networks.pop(key) if key in _networks else load_network(key, report=report)
        for oldest in list(_networks)[:-2]:
            del _networks[oldest]
        return _networks[key]


def loading(config: Config) -> Generator[Frame, None, Network]:
    """Load a network in another thread, so that a download can report progress, and Stop need not wait for it."""
    lines: SimpleQueue[str] = SimpleQueue()
    pool = ThreadPoolExecutor(1)
    future = pool.submit(network_for, config, lines.put)
    pool.shutdown(wait=False)
    while not future.done():
        with suppress(Empty):
            yield Frame(lines.get(timeout=0.05))
    return future.result()


# --- frames


@on_borrowed_gpu(lambda job, *_, **__: int(job.seconds) + 10)
@in_worker
def paint(job: Job, resume: Step | None = None) -> Generator[Frame, None, None]:
    """Optimise a picture from files, and yield three frames a second; the run ends early when the job's time is over.

    On ZeroGPU this runs in another process, and arguments and frames are pickled; closing the generator frees the GPU.
    """
    yield from painted(job, read_pictures(job), resume=resume)


def painted(job: Job, pictures: dict[str, Any], **options: Any) -> Generator[Frame, None, None]:
    """The frames of a job whose pictures have been read; options as for `iterate`."""
    network = yield from loading(job.config)
    allocator.keep()
    steps = iterate(config=job.config, network=network, on_tight_memory=allocator.give_back, **pictures, **options)
    yield Frame("the first step is being taken", content=at_result_size(pictures["content"], job).numpy())
    styles = [size_of(style) for style in pictures["styles"]]
    clock = Clock(forecast(job.config, size_of(pictures["content"]), network, styles).seconds)
    del pictures  # the run keeps what it needs of them
    began, shown, drawn, note = time.monotonic(), -math.inf, -math.inf, ""
    try:
        for step in steps:
            note = f" · {step.note}" if step.note else note
            seconds = time.monotonic() - began
            left = clock.left(step, seconds)
            last = step.progress >= 1 or bool(step.outcome) or seconds >= job.seconds
            if last or seconds - shown >= PREVIEW_EVERY:
                curve = {}
                if last or seconds - drawn >= CURVE_EVERY:
                    curve, drawn = loss_curve(step.state.history), seconds
                yield Frame(
                    f"scale {step.scale + 1} of {step.scales} · step {step.iteration} of {step.iterations}{note}",
                    step.progress,
                    left,
                    note=note,
                    raw=step.raw.numpy(),
                    metadata=step.metadata,
                    losses=step.losses,
                    curve=curve,
                    step=step,
                )
                shown = time.monotonic() - began
            if last:
                break
    finally:
        steps.close()  # type: ignore[attr-defined]
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        allocator.release()


@on_borrowed_gpu(lambda jobs, *_, **__: 10 + int(sum(job.seconds for job in jobs)))
@in_worker
def sketch(jobs: Sequence[Job]) -> Generator[tuple[int, Frame], None, None]:
    """Paint several small jobs one after the other: yield the job's number and its frames with pictures.

    Pictures are read once, and kept at twice the size of the largest job; a style's statistics are computed once for
    all jobs that differ only in strength.
    """
    side = 2 * max(int(job.config.size) for job in jobs)
    read = cache(lambda path: shrunk(load_image(path, max_pixels=jobs[0].limits.pixels), side))
    targets: dict[Any, StyleTargets] = {}
    for number, job in enumerate(jobs):
        alike = job.styles, replace(job.config, strength=0.0)
        for frame in painted(job, read_pictures(job, read), style_targets=targets.setdefault(alike, {})):
            if frame.content is not None or frame.raw is not None:
                yield number, replace(frame, step=None)


def read_pictures(job: Job, read: Callable[[str], Tensor] | None = None) -> dict[str, Any]:
    """The pictures of a job, as arguments of `iterate`; read: loads a picture from its path."""
    read = read or partial(load_image, max_pixels=job.limits.pixels)
    content, *styles = map(read, (job.content, *job.styles))
    pictures: dict[str, Any] = {"content": content, "styles": styles}
    if job.start is not None:
        pictures["init_image"] = torch.from_numpy(job.start)
    if job.regions is not None:
        pictures["masks"] = masks(job, fit_size(size_of(content), int(job.config.size)))
    return pictures


def shrunk(image: Tensor, side: int) -> Tensor:
    """The image with a long side of at most `side`."""
    size = size_of(image)
    return resize(image, fit_size(size, min(max(size), side)))


def at_result_size(image: Tensor, job: Job) -> Tensor:
    return resize(image, fit_size(size_of(image), int(job.config.size)))


# --- regions


def masks(job: Job, size: tuple[int, int]) -> list[Tensor | None]:
    """The regions of the styles: (1, 1, H, W) in [0, 1] with soft edges, or None for the area that no other covers.

    A painted pixel belongs to the style whose brush is nearest in colour.
    """
    assert job.regions is not None
    colors = load_image(job.regions, max_pixels=job.limits.pixels, background="black")  # (1, 3, h, w)
    alpha = load_alpha(job.regions, max_pixels=job.limits.pixels)  # (1, 1, h, w)
    colors = colors if alpha is None else colors / alpha.clamp(min=1e-3)  # brushes are translucent
    brushes = torch.tensor([_rgb(color) for color in COLORS[: len(job.styles)]])[:, :, None, None]  # (styles, 3, 1, 1)
    nearest = (colors - brushes).square().sum(1, keepdim=True).argmin(0, keepdim=True)  # (1, 1, h, w)
    painted = torch.ones_like(colors[:, :1]) if alpha is None else (alpha > PAINTED).float()
    regions: list[Tensor | None] = [
        _soft(resample(painted * (nearest == number), size, "bilinear")) for number in range(len(job.styles))
    ]
    return [None, *regions[1:]] if job.rest == "first" else regions


def _soft(mask: Tensor) -> Tensor:
    """A mask blurred over a fiftieth of its long side."""
    radius = max(mask.shape[-2:]) // 100
    padded = torch.nn.functional.pad(mask, (radius,) * 4, mode="replicate")
    return torch.nn.functional.avg_pool2d(padded, 2 * radius + 1, 1).clamp(0, 1)


def _rgb(color: str) -> tuple[float, ...]:
    return tuple(int(color[at : at + 2], 16) / 255 for at in (1, 3, 5))


# --- words and numbers


class Clock:
    """The time left of a run: measured at the current scale, estimated for later ones. estimate: seconds by scale."""

    def __init__(self, estimate: Sequence[float]) -> None:
        self._estimate = estimate
        self._first: tuple[int, int, float] | None = None

    def left(self, step: Step, seconds: float) -> float:
        """Seconds until the end, after `seconds` of the run."""
        if self._first is None or self._first[0] != step.scale:
            self._first = step.scale, step.iteration, seconds  # its time includes preparing the scale
        _, iteration, began = self._first
        steps = step.iteration - iteration
        per_step = (seconds - began) / steps if steps >= 3 else self._estimate[step.scale] / step.iterations
        return per_step * (step.iterations - step.iteration) + sum(self._estimate[step.scale + 1 :])


def duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"


def loss_curve(history: Sequence[Mapping[str, float]]) -> dict[str, list[float]]:
    """log10 of the total and its terms, at some steps and the last one: at most `CURVE_POINTS` numbers in all; NaN at
    steps without the term.
    """
    terms = [name for name in history[-1] if name not in ("scale", "iteration") and "/" not in name]
    thinned = history[:: -math.ceil(len(history) / (CURVE_POINTS // len(terms)))][::-1]

    def point(entry: Mapping[str, float], term: str) -> float:
        return math.log10(min(1e30, max(1e-12, entry[term]))) if term in entry else math.nan

    return {term: [point(entry, term) for entry in thinned] for term in terms}


def state_bytes(state: RunState) -> int:
    """Bytes of the tensors that continue a run."""
    solver = state.solver
    tensors = [solver.image, solver.average, solver.best, *(tensor for pair in solver.memory for tensor in pair)]
    tensors.append(state.start)
    if solver.evaluation is not None:
        tensors.append(solver.evaluation.gradient)
    return sum(tensor.nbytes for tensor in tensors if tensor is not None)
