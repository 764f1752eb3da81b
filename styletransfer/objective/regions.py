"""Regions of the picture, with the styles and the target moments in them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..losses import Moments, mix

StyleMoments = Mapping[str, Moments]  # of a style picture, by layer


@dataclass(frozen=True)
class Region:
    """Where some of the styles go: a mask (1, 1, H, W) in [0, 1] (None: everywhere), its share of the area, the weights
    of all styles in it, and the target moments.
    """

    mask: Tensor | None
    share: float
    weights: Sequence[float]
    targets: StyleMoments


def regions_of(
    masks: Sequence[Tensor | None] | None, weights: Sequence[float], styles: Sequence[StyleMoments]
) -> list[Region]:
    """A region for every masked style, and one for the area left, in which the others are mixed; one without masks.

    masks, weights and styles are in the same order.
    """
    if masks is None:
        return [Region(None, 1.0, weights, _mixed(styles, weights))]
    numbers = range(len(masks))
    regions = [
        Region(mask, float(mask.mean()), [float(other == number) for other in numbers], targets)
        for number, mask, targets in zip(numbers, masks, styles)
        if mask is not None
    ]
    others = [number for number, mask in enumerate(masks) if mask is None]
    if others:
        mask = left_by([mask for mask in masks if mask is not None])
        shares = [weights[number] if number in others else 0.0 for number in numbers]
        targets = _mixed([styles[number] for number in others], [weights[number] for number in others])
        regions.append(Region(mask, 1.0 if mask is None else float(mask.mean()), shares, targets))
    return [region for region in regions if region.share > 0]


def left_by(masks: Sequence[Tensor]) -> Tensor | None:
    """The mask (1, 1, H, W) of what other masks leave of a picture; None, for everything, if there are none."""
    return (1 - torch.stack(list(masks)).sum(0)).clamp_min(0) if masks else None


def _mixed(styles: Sequence[StyleMoments], weights: Sequence[float]) -> StyleMoments:
    return {layer: mix([style[layer] for style in styles], weights) for layer in styles[0]}
