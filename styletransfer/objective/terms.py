"""The weights of the loss's terms, and the layers that they are measured at."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from ..config import Config
from ..features import Network

STRENGTH_RATIO = 100.0  # factor on style over content from strength 0 to 50, and again from 50 to 100


class TermWeights(NamedTuple):
    """The weights of the terms; a term with weight 0 is not built."""

    content: float
    style: float
    nearest: float
    tv: float
    temporal: float


def term_weights(config: Config) -> TermWeights:
    """The terms' weights: style over content grows geometrically with strength; 0 keeps content alone, 100 none."""
    if config.strength == 0:
        return TermWeights(config.content_weight, 0.0, 0.0, 0.0, 0.0)
    tilt = STRENGTH_RATIO ** ((config.strength - 50) / 50)
    content = 0.0 if config.strength == 100 else config.content_weight / max(1.0, tilt)
    style, nearest = config.style_weight * min(1.0, tilt), config.nearest_weight * min(1.0, tilt)
    return TermWeights(content, style, nearest, config.tv_weight, config.temporal_weight)


def matched_layers(network: Network, style_layers: Iterable[str]) -> list[str]:
    """The layers of the nearest-neighbour term: all but those at full size, which would take most of the search and
    tell little more than the pixels' colours.
    """
    return [layer for layer in style_layers if network.reach(layer)[0] > 1]


def layer_weights(layers: Sequence[str], weights: Sequence[float], total: float) -> dict[str, float]:
    """A term's weights by layer, times its `total`; no `weights`: equal, sum 1. Layers with weight 0 are left out."""
    weights = weights or (1 / len(layers),) * len(layers)
    return {layer: total * weight for layer, weight in zip(layers, weights) if total * weight > 0}
