"""What a fit is scored on: the student's activations and Gram matrices against the teacher's, and their differences."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from ..losses import moment_sums

GRAM_WEIGHT = 0.5  # of the Gram matrices' relative error beside that of the activations
DIFFERENCE_WEIGHT = 20.0  # of the error in what leads a run, in its own units
CONTENT_SHARE = 0.05  # content over style in a run


class Goal(NamedTuple):
    """What the teacher makes of a batch at one layer, over its RMS: activations (N, C, h, w), and of style layers their
    Gram matrices (N, C, C).
    """

    maps: Tensor
    energy: Tensor  # the maps' mean square
    grams: Tensor | None

    @classmethod
    def of(cls, maps: Tensor, *, style: bool) -> Goal:
        return cls(maps.half(), maps.float().square().mean(), grams(maps) if style else None)


def fit_loss(predicted: Mapping[str, Tensor], goals: Mapping[str, Goal], *, trajectory: bool) -> Tensor:
    """Relative error of the activations plus that of each crop's Gram matrix, mean over the layers.

    predicted: (N, C, h, w) by layer. With `trajectory` the crops are a picture under way, its content and its style
    (N = 3), and the errors of the differences that lead a run are added.
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
    """Squared error of how far a picture's Gram matrix is from its style's, over the energy of the style's.

    Each is (3, C, C): of the picture under way, its content and its style.
    """
    return relative_error(predicted[0] - predicted[2] + target[2], target[0], target[2]).clamp_max(1.0)


def content_difference_error(predicted: Tensor, target: Tensor) -> Tensor:
    """Squared error of how far a picture's activations are from its content's, over the energy of the content's.

    Each is (3, C, h, w): of the picture under way, its content and its style.
    """
    error = F.mse_loss(predicted[0] - predicted[1], target[0] - target[1], reduction="sum")
    return error / target[1].square().sum()


def grams(maps: Tensor) -> Tensor:
    """F F^T / M of each map of a batch: (N, C, h, w) to (N, C, C)."""
    return torch.stack([moment_sums(part)[1] for part in maps.split(1)]) / maps[0, 0].numel()


def relative_error(predicted: Tensor, target: Tensor, base: Tensor | None = None) -> Tensor:
    """|predicted - target|^2 over the energy of `base` (by default the target), over the last two axes."""
    base = target if base is None else base
    return (predicted - target).square().sum((-2, -1)) / base.square().sum((-2, -1)).clamp_min(1e-6)
