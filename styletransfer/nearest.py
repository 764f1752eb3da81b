"""Nearest-neighbour statistics: each position of a layer should look like some position of the style.

Gram matrices compare averages over a whole picture; this compares single positions, so that strokes and edges become
as clear as the painting's. Source: *feature splitting* of Kolkin et al. 2022 (Neural Neighbor Style Transfer, section
4.4). Departures: the matches stand still for as long as one scale takes, so that a line search sees one loss; the
means that are taken off stand still with them, so that the loss is a sum over positions, exact in tiles; a Gram loss
stays beside it, without which flat areas lose their strokes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from .losses import rows_of, widen

STYLE_VECTORS = 4096  # positions of the styles that are searched, drawn at random where there are more
SEARCHED = 4096  # positions of the picture that are searched for at a time
CACHED = 2**17  # values of a map in a band


@dataclass(frozen=True)
class Matches:
    """What one layer's features in one region are compared with.

    target: (1, C, h, w), at each position the unit vector of the style's most similar position, times the region's
    guide there; center: (C,), what is taken off the features first.
    """

    target: Tensor
    center: Tensor


def find_matches(features: Tensor, style_vectors: Tensor, guide: Tensor | None = None) -> Matches:
    """The most similar style vector for each position of a map (1, C, h, w), by cosine after each side's mean is taken
    off; style_vectors: (n, C); guide: (1, 1, h, w) of the region.
    """
    vectors = F.normalize(style_vectors - style_vectors.mean(0), dim=1)
    positions = rows_of(widen(features))  # (h w, C)
    weights = None if guide is None else guide.reshape(-1, 1)
    center = positions.mean(0) if weights is None else (weights * positions).sum(0) / weights.sum()
    nearest = torch.cat([((block - center) @ vectors.T).max(1).indices for block in positions.split(SEARCHED)])
    target = vectors[nearest] if weights is None else weights * vectors[nearest]
    shaped = target.to(features.dtype).view(*features.shape[-2:], -1).permute(2, 0, 1)[None]
    return Matches(shaped, center)


def drawn(maps: Sequence[Tensor], weights: Sequence[float], generator: torch.Generator) -> Tensor:
    """Feature vectors (n, C) of several styles' maps (1, C, h, w) at random positions, in number as their weights."""
    total = sum(weights)
    vectors = []
    for features, weight in zip(maps, weights):
        positions = rows_of(widen(features))
        count = min(len(positions), max(1, round(STYLE_VECTORS * weight / total))) if weight else 0
        chosen = torch.randperm(len(positions), generator=generator)[:count]
        vectors.append(positions[chosen.to(positions.device)])
    return torch.cat(vectors)


def similarity(features: Tensor, matches: Matches) -> Tensor:
    """Sum over positions of the cosine between features (1, C, h, w), less the center, and their matches. Additive:
    tile sums add up to the whole map's.
    """
    cosines: Tensor = _Similarity.apply(features, matches.target, matches.center)
    return cosines


class _Similarity(torch.autograd.Function):
    """Computed again in the backward pass: autograd's own would keep four maps in float32."""

    @staticmethod
    def forward(ctx: Any, features: Tensor, target: Tensor, center: Tensor) -> Tensor:
        ctx.save_for_backward(features, target, center)
        bands = _bands(features, target)
        return torch.stack([(_unit(inside, center)[0] * goal).sum() for inside, goal in bands]).sum()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        features, target, center = ctx.saved_tensors
        gradient = torch.empty_like(features)
        for inside, goal, out in _bands(features, target, gradient):
            unit, length = _unit(inside, center)
            along = (unit * goal).sum(1, keepdim=True)
            out.copy_((goal - along * unit) * (gradients[0] / length))
        return gradient, None, None


def _bands(*maps: Tensor) -> Iterator[tuple[Tensor, ...]]:
    """Maps (1, C, h, w) in bands of some rows: on a CPU, so few that all that is computed of one stays in the cache."""
    _, channels, height, width = maps[0].shape
    rows = max(1, CACHED // (channels * width)) if maps[0].device.type == "cpu" else height
    return zip(*(of.split(rows, dim=2) for of in maps))


def _unit(features: Tensor, center: Tensor) -> tuple[Tensor, Tensor]:
    """Features less their center as unit vectors, and their lengths (1, 1, h, w)."""
    centered = widen(features) - center.view(1, -1, 1, 1)
    length = centered.square().sum(1, keepdim=True).sqrt().clamp_min(1e-12)
    return centered / length, length
