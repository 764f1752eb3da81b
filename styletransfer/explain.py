"""What a network sees in a picture: reconstructions from its layers, and Gram matrices to look at.

Source: Gatys, Ecker and Bethge, 2015 (A Neural Algorithm of Artistic Style), figure 1.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from . import pixels
from .config import Config
from .features import Network
from .losses import Moments, moments, style_loss
from .transfer import stylize

# Long side of a reconstruction, as small as strokes stay readable, and steps at half of it and at the whole: half a
# second each. 32 steps, all at the whole size, took half as long again and left more grain.
SIDE, STEPS = 144, (12, 16)
GRAM_SIDE = 256  # long side of the pictures whose Gram matrices are shown
CELLS = 96  # most channels shown of a Gram matrix: with more, cells are too small to see
GRAM_PIXELS = 288  # approximate side of the picture of a Gram matrix
DECADES = 2.0  # powers of ten between the largest value of a Gram matrix and the first that looks like 0

# Colours of negative and positive values, from 0 to the largest: equal steps in lightness, distinct for people with
# red-green colour blindness.
APART = ((0.980, 0.965, 0.930), (0.945, 0.650, 0.300), (0.430, 0.130, 0.050))
TOGETHER = ((0.980, 0.965, 0.930), (0.330, 0.690, 0.660), (0.020, 0.190, 0.250))

# Noise at the start, as in the figure. Not in it: a touch of total variation, and a coarse scale, without which the few
# steps leave a grain.
_PLAIN = Config(init="noise", content_weight=1.0, scales=(0.5, 1.0), iterations=STEPS, size=SIDE)


class Reconstruction(NamedTuple):
    """A picture optimised from noise until some layers respond to it as they do to the original.

    kind: `content` (the activations of one layer) or `style` (the Gram matrices of all `layers`); image: (1, 3, H, W)
    in [0, 1]; losses: those of the last step, as in `Step.losses`.
    """

    kind: str
    layers: tuple[str, ...]
    image: Tensor
    losses: dict[str, float]


def content_layers(network: Network) -> tuple[str, ...]:
    """One loaded layer per block, shallow to deep: its content layer, if it has one, else its style layer."""
    kept = (layer for layer in network.design.content_layers if _has(network, layer))
    blocks = {layer[4]: layer for layer in (*style_layers(network), *kept)}
    return tuple(blocks[block] for block in sorted(blocks))


def style_layers(network: Network) -> tuple[str, ...]:
    """The loaded layers whose statistics are a picture's style, shallow to deep."""
    return tuple(layer for layer in network.design.style_layers if _has(network, layer))


def _has(network: Network, layer: str) -> bool:
    return layer in network.layers


def reconstructions(
    content: Tensor, style: Tensor, network: Network, *, side: int = SIDE, steps: Sequence[int] = STEPS, seed: int = 0
) -> Iterator[Reconstruction]:
    """Rebuild the content from single layers, then the style from the first layer, the first two ... all of them.

    content, style: (1, 3, H, W) in [0, 1]; side: long side of the results in pixels; steps: at half that size, and at
    that size. Results are yielded as soon as they are finished. Raises StyleTransferError for unusable pictures or
    settings.
    """
    config = replace(_PLAIN, size=side, iterations=tuple(steps), seed=seed)
    for layer in content_layers(network):
        done = stylize(content, [], replace(config, content_layers=(layer,)), network=network)
        yield Reconstruction("content", (layer,), done.image, done.history[-1].named)
    layers = style_layers(network)
    for count in range(1, len(layers) + 1):
        done = stylize(None, [style], replace(config, style_layers=layers[:count]), network=network)
        yield Reconstruction("style", layers[:count], done.image, done.history[-1].named)


class GramLayer(NamedTuple):
    """One layer's Gram matrices of several pictures, drawn with one colour scale.

    pictures: of the matrices, (1, 3, S, S) in [0, 1], see `gram_picture`; distances: |G-A|^2 / |A|^2, the layer's style
    loss, where A is the first picture's matrix.
    """

    layer: str
    pictures: tuple[Tensor, ...]
    distances: tuple[float, ...]


def gram_layers(images: Sequence[Tensor], network: Network, *, side: int = GRAM_SIDE) -> Iterator[GramLayer]:
    """The Gram matrices of pictures (1, 3, H, W) in [0, 1], the style first, at every style layer."""
    pictures = [gram_moments(image, network, side=side) for image in images]
    for layer in style_layers(network):
        parts = [moments_by_layer[layer] for moments_by_layer in pictures]
        peak = max(float(part.second.abs().max()) for part in parts)
        distances = [float(style_loss(part, parts[0], "gram", "relative", 0)) for part in parts]
        yield GramLayer(layer, tuple(gram_picture(part.second, peak) for part in parts), tuple(distances))


def gram_moments(image: Tensor, network: Network, *, side: int = GRAM_SIDE) -> dict[str, Moments]:
    """The moments of a picture (1, 3, H, W) in [0, 1] at every style layer; `second` is the Gram matrix F F^T / M."""
    small = pixels.resize(image, pixels.fit_size(pixels.size_of(image), side))
    with torch.no_grad():
        maps = network(small.to(network.mean.device, network.mean.dtype), style_layers(network))
        return {layer: moments(features) for layer, features in maps.items()}


def gram_picture(gram: Tensor, peak: float | None = None) -> Tensor:
    """A matrix (C, C) as a picture (1, 3, S, S) in [0, 1]: squares of whole pixels, at most `CELLS` a side.

    Positive values are teal and negative ones amber, on a logarithmic scale that ends at `peak`, by default the largest
    magnitude; values `DECADES` powers of ten below it are paper white, like 0.
    """
    cells = gram.detach().cpu()[:CELLS, :CELLS].double()
    largest = float(cells.abs().max()) if peak is None else peak
    depth = 10**DECADES * cells.abs() / max(largest, 1e-300)
    level = (depth.log1p() / math.log1p(10**DECADES)).clamp(0, 1)
    colors = torch.where(cells[..., None] < 0, _ramp(level, APART), _ramp(level, TOGETHER))
    factor = max(1, round(GRAM_PIXELS / len(cells)))
    return F.interpolate(colors.permute(2, 0, 1)[None], scale_factor=factor, mode="nearest").float()


def _ramp(level: Tensor, stops: Sequence[tuple[float, float, float]]) -> Tensor:
    """Colours (..., 3) at levels in [0, 1], linear between evenly spaced stops."""
    table = torch.tensor(stops, dtype=level.dtype)
    place = level * (len(stops) - 1)
    below = place.floor().clamp_max(len(stops) - 2).long()
    return torch.lerp(table[below], table[below + 1], (place - below)[..., None])
