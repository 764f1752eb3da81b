"""What each term of the loss weighs, and where it is measured."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from ..config import Config
from ..features import Network

# What strength 0 -> 50 or 50 -> 100 does to style over content, before the absent term at its end.
STRENGTH_RATIO = 100.0


class TermWeights(NamedTuple):
    """The weight of each term; one whose weight is 0 is not built."""

    content: float
    style: float
    nearest: float
    tv: float
    temporal: float


def term_weights(config: Config) -> TermWeights:
    """The terms' weights at this strength: geometric in between; at 100 there is no content, at 0 nothing else."""
    if config.strength == 0:
        return TermWeights(config.content_weight, 0.0, 0.0, 0.0, 0.0)
    tilt = STRENGTH_RATIO ** ((config.strength - 50) / 50)
    content = 0.0 if config.strength == 100 else config.content_weight / max(1.0, tilt)
    style, nearest = config.style_weight * min(1.0, tilt), config.nearest_weight * min(1.0, tilt)
    return TermWeights(content, style, nearest, config.tv_weight, config.temporal_weight)


def matched_layers(network: Network, style_layers: Iterable[str]) -> list[str]:
    """The layers whose nearest neighbours are compared: all but those at full size, which would be most of the search
    and say little more than the pixels' colours.
    """
    return [layer for layer in style_layers if network.reach(layer)[0] > 1]


def layer_weights(layers: Sequence[str], weights: Sequence[float], total: float) -> dict[str, float]:
    """The weight of each layer that has one: as given, or equal and adding up to 1; times the term's own."""
    given = weights or (1 / len(layers),) * len(layers)
    return {layer: total * weight for layer, weight in zip(layers, given) if total * weight > 0}
