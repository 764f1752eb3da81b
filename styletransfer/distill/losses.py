"""The loss of a fit: errors of the student's activations, of its Gram matrices, and of their differences."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from ..losses import moment_sums

GRAM_WEIGHT = 0.5  # weight of the Gram matrices' relative error beside the activations'
DIFFERENCE_WEIGHT = 20.0  # weight of the errors of the differences that a run's gradient depends on
CONTENT_SHARE = 0.05  # content over style among those


class Goal(NamedTuple):
    """The teacher's activations (N, C, h, w) of a batch at one layer over their RMS and, for style layers, their Gram
    matrices (N, C, C).
    """

    maps: Tensor
    energy: Tensor  # the maps' mean square
    grams: Tensor | None

    @classmethod
    def of(cls, maps: Tensor, *, style: bool) -> Goal:
        return cls(maps.half(), maps.float().square().mean(), grams(maps) if style else None)


def fit_loss(predicted: Mapping[str, Tensor], goals: Mapping[str, Goal], *, trajectory: bool) -> Tensor:
    """Relative errors of the activations and of the crops' Gram matrices, averaged over the layers.

    predicted: (N, C, h, w) by layer; trajectory: the crops are an optimised picture, its content and its style (N = 3),
    and the errors of the differences between them are added.
    """
    terms: list[Tensor] = []
    differences: list[Tensor] = []
    styles = sum(goal.grams is not None for goal in goals.values())
    for layer, goal in goals.items():
        maps, wanted = predicted[layer].float(), goal.maps.float()
        terms.append(F.mse_loss(maps, wanted) / goal.energy)
        if goal.grams is not None:
            predicted_grams = grams(maps)
            terms.append(GRAM_WEIGHT * relative_error(predicted_grams, goal.grams).clamp_max(1.0).mean())
            if trajectory:
                differences.append(gram_difference_error(predicted_grams, goal.grams) / styles)
        elif trajectory:
            differences.append(CONTENT_SHARE * content_difference_error(maps, wanted) / (len(goals) - styles))
    loss = torch.stack(terms).sum() / len(goals)
    return loss + DIFFERENCE_WEIGHT * torch.stack(differences).sum() if trajectory else loss


def gram_difference_error(predicted: Tensor, target: Tensor) -> Tensor:
    """Squared error of the difference between a picture's and its style's Gram matrix, over the style's energy.

    predicted, target: (3, C, C), of an optimised picture, its content and its style.
    """
    return relative_error(predicted[0] - predicted[2] + target[2], target[0], target[2]).clamp_max(1.0)


def content_difference_error(predicted: Tensor, target: Tensor) -> Tensor:
    """Squared error of the difference between a picture's and its content's activations, over the content's energy.

    predicted, target: (3, C, h, w), of an optimised picture, its content and its style.
    """
    error = F.mse_loss(predicted[0] - predicted[1], target[0] - target[1], reduction="sum")
    return error / target[1].square().sum()


def grams(maps: Tensor) -> Tensor:
    """Gram matrices F F^T / M of a batch: (N, C, h, w) to (N, C, C)."""
    return torch.stack([moment_sums(part)[1] for part in maps.split(1)]) / maps[0, 0].numel()


def relative_error(predicted: Tensor, target: Tensor, base: Tensor | None = None) -> Tensor:
    """|predicted - target|^2 over the energy of `base` (by default the target), over the last two axes."""
    base = target if base is None else base
    return (predicted - target).square().sum((-2, -1)) / base.square().sum((-2, -1)).clamp_min(1e-6)
