"""What a fit is scored on: the student's activations and Gram matrices against the teacher's, and their differences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from ..losses import moment_sums

GRAM_WEIGHT = 0.5  # of the Gram matrices' relative error beside that of the activations
DIFFERENCE_WEIGHT = 20.0  # of the error in what leads a run, in its own units
CONTENT_SHARE = 0.05  # content over style in a run


def fit_loss(
    predicted: Mapping[str, Tensor], target: Mapping[str, Tensor], style_layers: Sequence[str], *, trajectory: bool
) -> Tensor:
    """Relative error of the activations plus that of each crop's Gram matrix, mean over the layers.

    predicted, target: (N, C, h, w) by layer. With `trajectory` the crops are a picture under way, its content and its
    style (N = 3), and the errors of the differences that lead a run are added.
    """
    terms: list[Tensor] = []
    differences: list[Tensor] = []
    style = [layer for layer in target if layer in style_layers]
    for layer, goal in target.items():
        maps = predicted[layer]
        terms.append((maps - goal).square().mean() / goal.square().mean())
        if layer in style:
            pair = grams(maps), grams(goal)
            terms.append(GRAM_WEIGHT * relative_error(*pair).clamp_max(1.0).mean())
            if trajectory:
                differences.append(gram_difference_error(*pair) / len(style))
        elif trajectory:
            differences.append(CONTENT_SHARE * content_difference_error(maps, goal) / (len(target) - len(style)))
    loss = torch.stack(terms).sum() / len(target)
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
    gap = (predicted[0] - predicted[1]) - (target[0] - target[1])
    return gap.square().sum() / target[1].square().sum()


def grams(maps: Tensor) -> Tensor:
    """F F^T / M of each map of a batch: (N, C, h, w) to (N, C, C)."""
    return torch.stack([moment_sums(part)[1] for part in maps.split(1)]) / maps[0, 0].numel()


def relative_error(predicted: Tensor, target: Tensor, base: Tensor | None = None) -> Tensor:
    """|predicted - target|^2 over the energy of `base` (by default the target), over the last two axes."""
    base = target if base is None else base
    return (predicted - target).square().sum((-2, -1)) / base.square().sum((-2, -1)).clamp_min(1e-6)
