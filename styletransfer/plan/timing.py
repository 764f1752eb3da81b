"""Time: what a run will take, estimated from a few steps that are timed on this machine at a small size."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from itertools import pairwise
from typing import Any
from weakref import WeakKeyDictionary

import torch

from .. import solvers
from ..config import Config
from ..features import Network, wanted_layers
from ..machine import typical
from ..objective import Objective
from ..pixels import Size, fit_size, white_noise
from ..tiles import tiles_of

TIMED = 64, 192  # long sides of the pictures that are timed
TIMED_PAIRS = 3  # (s, y) pairs that L-BFGS has in the middle of the timed steps
TILED_COST = 1.35  # the gradient in tiles computes each tile's feature maps twice
LBFGS_EVALUATIONS = 1.06  # evaluations of an average step, with its line search
NO_WORK = (
    "style_weights",
    "style_scale",
    "color",
    "seed",
    "size",
    "scales",
    "iterations",
    "history",
    "pixel_range",
    "learning_rate",
)
LBFGS_START = 3  # steps at the start of a size that take one more evaluation, until the step length is found
TARGETS, SEARCH = 1, 3  # evaluations that take as long as the targets of a scale, and as the search for its matches


def seconds_of_scales(
    network: Network, config: Config, scales: Sequence[tuple[Size, int]], tile: int = 0, *, finished: bool = False
) -> list[float]:
    """Seconds for the steps at every scale, given as ((H, W), steps); the last scale is the largest.

    finished: the run starts from a finished picture, and has nearest neighbours from its first step on.
    """
    repeated = [False, *(one[0] == other[0] for one, other in pairwise(scales))]
    timed = [fit_size((3, 4), min(side, max(scales[-1][0]))) for side in TIMED]
    step = _step_time(network, config, timed, finished or any(repeated))
    is_lbfgs = config.optimizer == "lbfgs"
    more_evaluations, start = (LBFGS_EVALUATIONS, LBFGS_START) if is_lbfgs else (1.0, 0)
    seconds = []
    for number, ((scale, steps), again) in enumerate(zip(scales, repeated)):
        matched = again or (finished and number == 0)
        pixels = scale[0] * scale[1]
        extra = TILED_COST * _overlap(network, config, scale, tile) if tile and tile < max(scale) else 1.0
        count = more_evaluations * steps + SEARCH * matched + (0 if again else min(start, steps) + TARGETS)
        # An (s, y) pair costs two dot products and two sums, twice where pixels are at their bounds.
        passes = 5 * max(0.0, min(config.history, steps / 2) - TIMED_PAIRS) if is_lbfgs else 0.0
        pairs = steps * passes * 3 * pixels * _seconds_of_pass() if passes else 0.0
        seconds.append(count * step(pixels, matched) * extra + pairs)
    return seconds


def _step_time(network: Network, config: Config, sizes: Sequence[Size], matched: bool) -> Callable[[int, bool], float]:
    """Seconds of a step by its pixels, without and with nearest neighbours, from two sizes (H, W) that are timed: a
    part that small pictures take, too, since it goes into the weights, and a part for each pixel.
    """
    small, large = (height * width for height, width in sizes)
    times = [_seconds_of_step(network, config, size) for size in sizes]
    per_pixel = max(0.0, times[1] - times[0]) / (large - small) if large > small else 0.0
    fixed = times[1] - per_pixel * large
    extra = max(0.0, _seconds_of_step(network, config, sizes[1], True) - times[1]) / large if matched else 0.0
    return lambda pixels, with_matches: fixed + (per_pixel + (extra if with_matches else 0.0)) * pixels


def _overlap(network: Network, config: Config, size: Size, tile: int) -> float:
    """Pixels computed in tiles with their halos, divided by pixels of the picture."""
    content, style = wanted_layers(config, network.design)
    stride, halo = max(network.reach(layer) for layer in (*content, *style))
    return sum(part.area for part in tiles_of(size, tile, stride, halo)) / (size[0] * size[1])


def _seconds_of_step(network: Network, config: Config, size: Size, matched: bool = False) -> float:
    """Timed once for each network, size and settings that change the work; a weight of 0, or a strength of 0 or 100,
    leaves a term out. matched: with nearest neighbours.
    """
    same: dict[str, Any] = {name: getattr(Config, name) for name in NO_WORK}
    if not matched:
        same["nearest_weight"] = 0.0
    if 0 < config.strength < 100:
        same["strength"] = Config.strength
    if config.content_weight:
        same["content_weight"] = Config.content_weight
    config, timed = replace(config, **same), _timed.setdefault(network, {})
    if (config, size) not in timed:
        content, style = (white_noise(size, torch.Generator().manual_seed(seed)).to(network.mean) for seed in (0, 1))
        objective = Objective(network, config, content, [style], start=content if matched else None)
        state = solvers.start(content, config)

        def step() -> None:
            nonlocal state
            state = solvers.step(state, objective, config)

        timed[config, size] = typical(step)
    return timed[config, size]


_timed: WeakKeyDictionary[Network, dict[tuple[Config, Size], float]] = WeakKeyDictionary()


@cache
def _seconds_of_pass(length: int = 2**21) -> float:
    """Seconds per value of one pass over a picture that does not fit into the caches."""
    one, two = torch.ones(length), torch.ones(length)
    return typical(lambda: float(torch.dot(one, two))) / length
