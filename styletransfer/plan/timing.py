"""Time: what a run will take, estimated from a few steps that are timed on this machine at a small size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from itertools import pairwise
from typing import Any
from weakref import WeakKeyDictionary

import torch

from ..config import Config
from ..features import Network, wanted_layers
from ..machine import fastest
from ..objective import Objective
from ..pixels import Size, fit_size, white_noise
from ..tiles import tiles_of

CALIBRATION = 256  # long side of the picture that is timed
TILED_COST = 1.35  # the gradient in tiles computes each tile's feature maps twice
LBFGS_EVALUATIONS = 1.06  # evaluations of an average step, with its line search
NO_WORK = ("style_weights", "style_scale", "color", "seed", "size", "scales", "iterations", "history")
LBFGS_START = 3  # steps at the start of a scale that take one more evaluation, until the step length is found


def estimate_seconds(network: Network, config: Config, scales: Sequence[tuple[Size, int]], tile: int = 0) -> float:
    """Seconds for all scales, as `seconds_of_scales` has them."""
    return sum(seconds_of_scales(network, config, scales, tile))


def seconds_of_scales(
    network: Network, config: Config, scales: Sequence[tuple[Size, int]], tile: int = 0
) -> list[float]:
    """Seconds for the steps at every scale, given as ((H, W), steps); the last scale is the largest."""
    size = fit_size((3, 4), min(CALIBRATION, max(scales[-1][0])))
    per_value = _seconds_of_pass()
    per_step, start = (LBFGS_EVALUATIONS, LBFGS_START) if config.optimizer == "lbfgs" else (1.0, 0)
    seconds = []
    repeated = [one[0] == other[0] for one, other in pairwise([((0, 0), 0), *scales])]
    for (scale, steps), matched in zip(scales, repeated):
        evaluation = _seconds_of_evaluation(network, config, size, matched) / (size[0] * size[1])
        pixels = scale[0] * scale[1]
        extra = TILED_COST * _overlap(network, config, scale, tile) if tile and tile < max(scale) else 1.0
        # An (s, y) pair costs two dot products and two sums, twice where pixels are at their bounds.
        passes = 30 + (5 * min(config.history, steps / 2) if config.optimizer == "lbfgs" else 0)
        evaluations = per_step * steps + min(start, steps) + 1  # the targets cost about one
        seconds.append(evaluations * evaluation * pixels * extra + steps * passes * per_value * 3 * pixels)
    return seconds


def _overlap(network: Network, config: Config, size: Size, tile: int) -> float:
    """Pixels computed in tiles with their halos, divided by pixels of the picture."""
    content, style = wanted_layers(config, network.design)
    stride, halo = max(network.reach(layer) for layer in (*content, *style))
    return sum(part.area for part in tiles_of(size, tile, stride, halo)) / (size[0] * size[1])


def _seconds_of_evaluation(network: Network, config: Config, size: Size, matched: bool = False) -> float:
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
        image = white_noise(size, torch.Generator().manual_seed(0)).to(network.mean)
        objective = Objective(network, config, image, [image], start=image if matched else None)
        timed[config, size] = fastest(lambda: float(objective(image).loss))
    return timed[config, size]


_timed: WeakKeyDictionary[Network, dict[tuple[Config, Size], float]] = WeakKeyDictionary()


@cache
def _seconds_of_pass(length: int = 2**21) -> float:
    """Seconds per value of one pass over a picture that does not fit into the caches."""
    one, two = torch.ones(length), torch.ones(length)
    return fastest(lambda: float(torch.dot(one, two))) / length
