"""The run itself: networks that stay loaded, and generators of frames that can be pickled."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from .. import allocator
from ..config import Config
from ..features import Network, load_network
from ..images import load_alpha, load_image
from ..pixels import fit_size, resample, resize, size_of
from ..transfer import RunState, Step, iterate
from .request import COLORS, LIMITS, Job
from .worker import in_worker

STARTING = "the first step is being taken"
PREVIEW_EVERY, CURVE_EVERY, CURVE_POINTS = 0.33, 1.0, 200


class Frame(NamedTuple):
    """A moment of a run; `raw` is (1, 3, H, W) in [0, 1] before colours act.

    `step` is what continues the run, and left out where frames go from one process to another.
    """

    text: str
    progress: float = 0.0
    raw: np.ndarray[Any, Any] | None = None
    metadata: Mapping[str, Any] = {}
    losses: Mapping[str, float] = {}
    curve: Mapping[str, Sequence[float]] = {}
    step: Any = None


# --- networks

_networks: dict[Config, Network] = {}
_networks_lock = threading.Lock()


def network_for(config: Config, report: Callable[[str], None] | None = None) -> Network:
    """The network that a configuration asks for; the last two stay loaded."""
    names = ("network", "weights", "pooling", "padding", "precision", "device", "content_layers", "style_layers")
    key = Config(**{name: getattr(config, name) for name in names})
    with _networks_lock:
        _networks[key] = _networks.pop(key) if key in _networks else load_network(key, report=report)
        for oldest in list(_networks)[:-2]:
            del _networks[oldest]
        return _networks[key]


def loading(config: Config) -> Generator[Frame, None, Network]:
    """Load in another thread, so that a download tells how far it is, and Stop does not wait for it."""
    lines: SimpleQueue[str] = SimpleQueue()
    pool = ThreadPoolExecutor(1)
    future = pool.submit(network_for, config, lines.put)
    pool.shutdown(wait=False)
    while not future.done():
        with suppress(Empty):
            yield Frame(lines.get(timeout=0.05))
    return future.result()


def describe(name: str, reason: str, device: str) -> str:
    """The network in use, and why this one."""
    return f"{name.replace('builtin', 'built-in')} network ({reason}) on {device.upper()}"


# --- frames


@in_worker
def paint(job: Job, resume: Step | None = None) -> Generator[Frame, None, None]:
    """Optimise a picture from files: a frame each third of a second, the last one when the job's time is over.

    On ZeroGPU this is another process, to which arguments and frames are pickled; closing it frees the GPU.
    """
    config = Config.from_dict(job.settings)
    network = yield from loading(config)
    steps = _steps(job, config, network, resume)
    yield Frame(STARTING)
    began, shown, drawn, before, note = time.monotonic(), -math.inf, -math.inf, 0.0, ""
    try:
        for step in steps:
            before = before or (step.progress if resume else 0.0)
            note = f" · {step.note}" if step.note else note
            now = time.monotonic() - began
            last = step.progress >= 1 or bool(step.outcome) or now >= job.seconds
            if last or now - shown >= PREVIEW_EVERY:
                curve = {}
                if last or now - drawn >= CURVE_EVERY:
                    curve, drawn = loss_curve(step.state.history), now
                yield _frame(step, words(step, now, before) + note, curve)
                shown = time.monotonic() - began
            if last:
                break
    finally:
        steps.close()  # type: ignore[attr-defined]
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        allocator.release()


@in_worker
def sketch(jobs: Sequence[Job]) -> Generator[tuple[int, Frame], None, None]:
    """Paint several jobs one after the other: the job's number and its frames, those without a picture left out."""
    for number, job in enumerate(jobs):
        for frame in paint(job):
            if frame.raw is not None:
                yield number, frame._replace(step=None)


def _steps(job: Job, config: Config, network: Network, resume: Step | None) -> Iterator[Step]:
    content = load(job.content)
    styles = [load(style) for style in job.styles]
    options: dict[str, Any] = {"network": network, "resume": resume}
    if job.start is not None:
        options["init_image"] = torch.from_numpy(job.start)
    if job.regions is not None:
        height, width = fit_size(size_of(content), int(config.size))
        options["masks"] = masks(job, (height, width))
    return iterate(content, styles, config, **options)


def _frame(step: Step, text: str, curve: Mapping[str, Sequence[float]]) -> Frame:
    result = step.result
    return Frame(
        text,
        step.progress,
        result.raw.numpy(),
        result.metadata,
        step.losses,
        curve,
        None if LIMITS.zero else step,
    )


def load(path: bytes | str) -> Tensor:
    return load_image(path, max_pixels=LIMITS.pixels)


@in_worker
def fitted(path: str, size: int) -> Tensor:
    """A picture at the size of the result."""
    image = load(path)
    return resize(image, fit_size(size_of(image), size))


# --- regions


def masks(job: Job, size: tuple[int, int]) -> list[Tensor | None]:
    """Where each style goes, (1, 1, H, W) in [0, 1] with soft edges; None is the rest.

    A painted pixel belongs to the style whose brush is nearest in colour.
    """
    assert job.regions is not None
    colors, alpha = load(job.regions), load_alpha(job.regions, max_pixels=LIMITS.pixels)
    brushes = torch.tensor([_rgb(color) for color in COLORS[: len(job.styles)]])[:, :, None, None]
    nearest = (colors - brushes).square().sum(1, keepdim=True).argmin(0, keepdim=True)  # (1, 1, H, W)
    painted = torch.ones_like(colors[:, :1]) if alpha is None else (alpha > 0.5).float()
    found: list[Tensor | None] = [
        _soft(resample(painted * (nearest == number), size, "bilinear")) for number in range(len(job.styles))
    ]
    return [None, *found[1:]] if job.rest == "first" else found


def _soft(mask: Tensor) -> Tensor:
    """Blurred over a fiftieth of the long side."""
    reach = max(mask.shape[-2:]) // 100
    padded = torch.nn.functional.pad(mask, (reach,) * 4, mode="replicate")
    return torch.nn.functional.avg_pool2d(padded, 2 * reach + 1, 1).clamp(0, 1)


def _rgb(color: str) -> tuple[float, ...]:
    return tuple(int(color[at : at + 2], 16) / 255 for at in (1, 3, 5))


# --- words and numbers


def words(step: Step, seconds: float, before: float = 0.0) -> str:
    """Where a run is, in words; it was `before` of the way when it was taken up again."""
    text = f"scale {step.scale + 1} of {step.scales} · step {step.iteration} of {step.iterations}"
    left = seconds * (1 - step.progress) / max(step.progress - before, 1e-9)
    return text if seconds < 1 or not left else f"{text} · about {duration(left)} left"


def duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"


def loss_curve(history: Sequence[Mapping[str, float]]) -> dict[str, list[float]]:
    """log10 of the total and its terms, at most `CURVE_POINTS` numbers in all, the last step always among them."""
    terms = [name for name in history[-1] if name not in ("scale", "iteration") and "/" not in name]
    thinned = history[:: -math.ceil(len(history) / (CURVE_POINTS // len(terms)))][::-1]
    return {term: [math.log10(min(1e30, max(1e-12, entry[term]))) for entry in thinned] for term in terms}


def state_bytes(state: RunState) -> int:
    """Memory of the tensors that continuing a run needs."""
    solver = state.solver
    tensors = [solver.image, solver.average, solver.best, *(each for pair in solver.memory for each in pair)]
    if solver.evaluation is not None:
        tensors.append(solver.evaluation.gradient)
    return sum(tensor.nbytes for tensor in tensors if tensor is not None)
