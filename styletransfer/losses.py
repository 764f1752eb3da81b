"""The terms of the loss: statistics of feature maps and distances between them, total variation, temporal loss.

All sums are in at least float32, since Gram matrices overflow in half precision.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

FLOOR = 1e-6  # least energy that a relative loss divides by: a flat picture has none
BLOCK = 512  # positions summed at a time: in one sum over a million, float32 was 100 times less exact


@dataclass(frozen=True)
class Moments:
    """First and second moment of a layer's features over their positions.

    count: positions; mean: (C,); second: (C, C), mean of f f^T. The Gram matrix is `second` up to its scale.
    """

    count: float
    mean: Tensor
    second: Tensor

    @cached_property
    def covariance(self) -> Tensor:
        return self.second - torch.outer(self.mean, self.mean)

    @cached_property
    def energy(self) -> Tensor:
        """Squared norm of `second`: of a target, which stays, computed once."""
        return self.second.square().sum()

    def through(self, head: tuple[Tensor, Tensor] | None) -> Moments:
        """The moments of W f + b, for a head of W (K, C) and b (K,), without computing those maps."""
        if head is None:
            return self
        weight, bias = head
        mean = weight @ self.mean
        cross = torch.outer(mean, bias)
        return Moments(
            self.count, mean + bias, weight @ self.second @ weight.T + cross + cross.T + torch.outer(bias, bias)
        )


def moments(features: Tensor, guide: Tensor | None = None) -> Moments:
    """Moments of one feature map (1, C, h, w), with its positions weighted by a guide (1, 1, h, w), if any."""
    count = float(features[0, 0].numel()) if guide is None else float(guide.sum())
    first, second = moment_sums(features, guide)
    return Moments(count, first / count, second / count)


def moment_sums(features: Tensor, guide: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Sums of f (C,) and f f^T (C, C) over a map's positions, weighted by a guide. Additive: tile sums add up to the
    whole map's.

    Guided Gram matrices of Gatys et al. 2017 (Controlling Perceptual Factors, section 4); the guide is their T^2.
    """
    return sums_with_passthrough(features, guide)[1:]


def sums_with_passthrough(features: Tensor, guide: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor]:
    """The features (1, C, h, w) unchanged, for the next layer, and their `moment_sums`.

    If the next layer takes these features, the sums' gradient is accumulated into the incoming gradient, which saves a
    copy of the maps. The next layer must return a new gradient, as convolutions and poolings do.
    """
    features_and_sums: tuple[Tensor, Tensor, Tensor] = _SumsWithPassthrough.apply(features, guide)
    return features_and_sums


class _SumsWithPassthrough(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, features: Tensor, guide: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
        ctx.save_for_backward(features, guide)
        ctx.set_materialize_grads(False)
        rows = rows_of(widen(features))  # (h w, C)
        weighted = rows if guide is None else rows * guide.reshape(-1, 1)
        whole = len(rows) // BLOCK * BLOCK
        blocks = weighted[:whole].unflatten(0, (-1, BLOCK)), rows[:whole].unflatten(0, (-1, BLOCK))
        second = weighted[whole:].T @ rows[whole:]
        if whole:
            second += torch.bmm(blocks[0].mT, blocks[1]).sum(0)
        return features, weighted.sum(0), second

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, None]:
        features, guide = ctx.saved_tensors
        incoming, first, second = gradients
        if first is None and second is None:
            return incoming, None
        # Factors wider than a bfloat16 gradient gain nothing and cost three copies of the maps; float16 has too small a
        # range for them.
        exact = widen if features.dtype == torch.float16 else lambda values: values
        rows = rows_of(exact(features))  # (h w, C)
        weighted = rows if guide is None else rows * guide.reshape(-1, 1).to(rows.dtype)
        if incoming is None:
            incoming = torch.zeros_like(features)
        gradient = rows_of(exact(incoming))  # a view, except in float16
        if second is not None:
            gradient.addmm_(weighted, (second + second.T).to(rows.dtype))
        if first is not None:
            gradient += (first if guide is None else first * guide.reshape(-1, 1)).to(rows.dtype)
        return gradient.view(*features.shape[-2:], -1).permute(2, 0, 1)[None].to(features.dtype), None


def rows_of(features: Tensor) -> Tensor:
    """Features (1, C, h, w) by position, (h w, C): a view if memory is channels-last."""
    return features.permute(0, 2, 3, 1).flatten(0, 2)


def mix(parts: Sequence[Moments], weights: Sequence[float]) -> Moments:
    """The moments of a mixture: of a distribution that draws positions from the parts in proportion to the weights.

    Moments mix linearly, so Gram matrices and covariances are those of one distribution.
    """
    total = sum(weights)
    shares = [weight / total for weight in weights]
    return Moments(
        sum(share * part.count for share, part in zip(shares, parts)),
        torch.stack([share * part.mean for share, part in zip(shares, parts)]).sum(0),
        torch.stack([share * part.second for share, part in zip(shares, parts)]).sum(0),
    )


def widen(values: Tensor) -> Tensor:
    """At least float32."""
    return values.to(torch.promote_types(values.dtype, torch.float32))


def widest(device: torch.device) -> torch.dtype:
    """The number format for sums of many small terms: float64, except on Apple's MPS, which does not have it."""
    return torch.float32 if device.type == "mps" else torch.float64


# --- content


def squared_error(features: Tensor, target: Tensor) -> Tensor:
    """|F - P|^2 (Gatys et al. 2015, eq. 1, without the 1/2). Additive: tile sums add up to the whole map's."""
    return (widen(features) - widen(target)).square().sum()


def content_scale(target: Tensor, norm: str, channels: int = 0) -> float | Tensor:
    """What a norm divides the squared error by: `sum` by 1, `mean` by the number of values, `relative` by |P|^2.

    channels: of the layer, if the maps (1, C, h, w) are in a narrower basis.
    """
    values = (channels or target.shape[1]) * target[0, 0].numel()
    if norm == "relative":
        return widen(target).square().sum().clamp_min(FLOOR * values)
    return values if norm == "mean" else 1.0


# --- style


def style_loss(
    measured: Moments, target: Moments, statistic: str, norm: str, pixels: int = 0, channels: int = 0
) -> Tensor:
    """Distance between measured and target statistics of a layer, in its published scale or relative to the target.

    pixels: H * W of the picture, for the norm `picture` alone; channels: N, if the moments are in a basis narrower than
    the layer. The norms of `gram`, with features F (N, M) and G = F F^T / M, where A, the target's, has its own M:
    `relative`: sum (G-A)^2 / sum A^2; `gatys`: sum (G-A)^2 / (4 N^2) (Gatys et al. 2015, eq. 4, with one M for both);
    `mean`: sum (G-A)^2 / N^2 (TensorFlow's tutorial); `elements`: the same of F F^T / (N M) (Johnson's neural-style);
    `picture`: summed squares of the differences in F F^T over 4 * 3^2 * (H W)^2 (Keras).
    """
    channels = channels or target.mean.numel()
    if statistic == "gram":
        return _gram_loss(measured, target, norm, pixels, channels)
    if statistic == "moments":
        return _moments_loss(measured, target, norm, channels)
    return _wasserstein_loss(measured, target, norm, channels)


def _gram_loss(measured: Moments, target: Moments, norm: str, pixels: int, channels: int) -> Tensor:
    if norm == "picture":
        distance = _squared_distance(measured.count * measured.second, target.count * target.second)
        return distance / (4.0 * 3**2 * float(pixels) ** 2)
    distance = _squared_distance(measured.second, target.second)
    if norm == "relative":
        return distance / target.energy.clamp_min(FLOOR * channels)
    return distance / channels**2 / {"gatys": 4, "mean": 1, "elements": channels**2}[norm]


def _squared_distance(measured: Tensor, target: Tensor) -> Tensor:
    """|G - A|^2 of matrices (C, C), differentiable with respect to G, in as few passes over them as there can be: of a
    small picture, they have more values than the maps.
    """
    distance: Tensor = _SquaredDistance.apply(measured, target)
    return distance


class _SquaredDistance(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, measured: Tensor, target: Tensor) -> Tensor:
        gap = measured - target
        ctx.save_for_backward(gap)
        return gap.square().sum()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (gap,) = ctx.saved_tensors
        return gap * (2 * gradients[0]), None


def _moments_loss(measured: Moments, target: Moments, norm: str, channels: int) -> Tensor:
    """Squared distances of the means and of the covariances, added or, relative to the target, averaged."""
    mean = (measured.mean - target.mean).square().sum()
    goal = target.covariance
    covariance = _squared_distance(measured.covariance, goal)
    if norm == "mean":
        return mean / channels + covariance / channels**2
    floor = FLOOR * channels
    return (mean / target.mean.square().sum().clamp_min(floor) + covariance / goal.square().sum().clamp_min(floor)) / 2


def _wasserstein_loss(measured: Moments, target: Moments, norm: str, channels: int, eps: float = 1e-4) -> Tensor:
    """Squared Wasserstein-2 distance of the normal distributions with these moments (Olkin and Pukelsheim, 1982).

    Scaled and regularised as in Crowson's style-transfer-pytorch (1/N; `eps` on both diagonals), or relative to the
    target's mean squared norm, which has the same units.
    """
    goal, cov = _regularised(target, eps), _regularised(measured, eps)
    root = matrix_sqrt(goal)
    cross = matrix_sqrt(root @ cov @ root)
    distance = (measured.mean - target.mean).square().sum() + torch.trace(goal + cov - 2 * cross)
    if norm == "mean":
        return distance / channels
    return distance / torch.trace(target.second).clamp_min(FLOOR * channels)


def _regularised(part: Moments, eps: float) -> Tensor:
    """Covariance plus `eps` and, not in the source, a bound on its rounding errors: else a flat picture's covariance
    would be indefinite.
    """
    rounding = 16 * torch.finfo(part.second.dtype).eps * torch.trace(part.second.detach())
    eye = torch.eye(part.mean.numel(), dtype=part.mean.dtype, device=part.mean.device)
    return part.covariance + (eps + rounding) * eye


class _MatrixSqrt(torch.autograd.Function):
    """Square root by Newton-Schulz steps; its gradient solves Z X + X Z = G by an iteration of the same kind.

    Source: Lin and Maji 2017 (Improved Bilinear Pooling with CNNs), 3.2 and 3.3; Higham 2008, section 5.
    """

    @staticmethod
    def forward(ctx: Any, matrix: Tensor, steps: int) -> Tensor:
        eye = torch.eye(matrix.shape[0], dtype=matrix.dtype, device=matrix.device)
        norm = torch.linalg.matrix_norm(matrix)
        root, inverse = matrix / norm, eye
        for _ in range(steps):
            factor = (3 * eye - inverse @ root) / 2
            root, inverse = root @ factor, factor @ inverse
        result: Tensor = root * norm.sqrt()
        ctx.save_for_backward(result)
        ctx.steps = steps
        return result

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (root,) = ctx.saved_tensors
        eye = torch.eye(root.shape[0], dtype=root.dtype, device=root.device)
        norm = torch.linalg.matrix_norm(root)
        sign, solution = root / norm, gradients[0] / norm
        for _ in range(ctx.steps):
            factor = 3 * eye - sign @ sign
            solution = (solution @ factor - sign.T @ (sign.T @ solution - solution @ sign)) / 2
            sign = sign @ factor / 2
        return solution / 2, None


def matrix_sqrt(matrix: Tensor, steps: int = 12) -> Tensor:
    """Square root of a symmetric positive definite matrix (N, N), differentiable."""
    root: Tensor = _MatrixSqrt.apply(matrix, steps)
    return root


# --- total variation


def total_variation(image: Tensor, form: str) -> Tensor:
    """Total variation of a picture (1, 3, H, W) in its published form, a scalar in the picture's units.

    `l1`: sum |dx| + sum |dy| (neural-style-pt). `l2`: half the sum of dx^2 + dy^2 over [:-1, :-1] (Johnson's
    neural-style). `power`: sum (dx^2 + dy^2)^1.25 over [:-1, :-1] (Keras; Mahendran and Vedaldi 2015, eq. 5, beta =
    2.5). `nine-point`: mean squared differences to all eight neighbours, borders replicated (Crowson's
    style-transfer-pytorch).
    """
    if form == "l1":
        variation: Tensor = _L1Variation.apply(image)
        return variation
    if form == "nine-point":
        padded = F.pad(image, (1, 1, 1, 1), mode="replicate")
        middle = padded[..., 1:-1, 1:-1]
        across, down = padded[..., 1:-1, 2:] - middle, padded[..., 2:, 1:-1] - middle
        falling = padded[..., 1:, 1:] - padded[..., :-1, :-1]
        rising = padded[..., 1:, :-1] - padded[..., :-1, 1:]
        straight = (across.square().mean() + down.square().mean()) / 3
        return 2 * (straight + (falling.square().mean() + rising.square().mean()) / 12)
    corner = image[..., :-1, :-1]
    squares = (corner - image[..., 1:, :-1]).square() + (corner - image[..., :-1, 1:]).square()
    return squares.sum() / 2 if form == "l2" else (squares.pow(1.25)).sum()


class _L1Variation(torch.autograd.Function):
    """Sums of absolute differences with a gradient that takes two pictures of memory; autograd's would take seven."""

    @staticmethod
    def forward(ctx: Any, image: Tensor) -> Tensor:
        ctx.save_for_backward(image)
        return image.diff(dim=-1).abs_().sum() + image.diff(dim=-2).abs_().sum()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        (image,) = ctx.saved_tensors
        gradient = torch.zeros_like(image)
        for dim in (-1, -2):
            steps = image.diff(dim=dim).sign_().mul_(gradients[0])
            gradient.narrow(dim, 1, steps.shape[dim]).add_(steps)
            gradient.narrow(dim, 0, steps.shape[dim]).sub_(steps)
        return gradient


# --- frames of a clip


def temporal_loss(image: Tensor, previous: Tensor, mask: Tensor) -> Tensor:
    """Mean of c (x - w)^2 over all values of a frame x (1, 3, H, W).

    previous: w, the last frame's result, warped; mask: c (1, 1, H, W), 1 where the flow is reliable, else 0.
    Source: Ruder, Dosovitskiy and Brox 2016, section 4.2.
    """
    return (mask * (image - previous).square()).mean()
