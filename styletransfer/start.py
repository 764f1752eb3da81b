"""Checks of a run's pictures and masks, and the picture that the optimisation starts from."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from . import pixels
from .config import Config, StyleTransferError
from .pixels import Size

Masks = Sequence[Tensor | None]


def checked_image(image: Tensor, what: str) -> Tensor:
    """A picture (1, 3, H, W) on the CPU in float32 or float64, clamped to [0, 1]. Raises StyleTransferError."""
    if (
        not isinstance(image, Tensor)
        or image.dim() != 4
        or tuple(image.shape[:2]) != (1, 3)
        or not image.is_floating_point()
    ):
        got = f"{tuple(image.shape)} of {image.dtype}" if isinstance(image, Tensor) else type(image).__name__
        raise StyleTransferError(f"{what} must be a float tensor (1, 3, H, W), got {got}")
    image = image.detach().cpu()
    if image.dtype != torch.float64:
        image = image.float()
    if image.numel() == 0 or not bool(torch.isfinite(image).all()):
        raise StyleTransferError(f"{what} is empty or holds values that are not finite")
    low, high = (float(value) for value in image.aminmax())
    if low < -1e-3 or high > 1 + 1e-3:
        raise StyleTransferError(f"{what} must have values in [0, 1], got {low:.3g} to {high:.3g}")
    return image if low >= 0 and high <= 1 else image.clamp(0, 1)


def checked_masks(masks: Masks, styles: int) -> list[Tensor | None]:
    """Masks (1, 1, h, w), scaled so that they add up to at most 1 everywhere. Raises StyleTransferError."""
    if len(masks) != styles:
        raise StyleTransferError(
            f"there are {len(masks)} masks for {styles} style images: one for each, or none at all"
        )
    checked = [None if mask is None else _checked_mask(mask, number) for number, mask in enumerate(masks, 1)]
    present = [mask for mask in checked if mask is not None]
    if not present:
        return checked
    if len(present) == len(checked) and not any(bool(mask.any()) for mask in present):
        raise StyleTransferError("the masks are black throughout: a mask is white where its style goes")
    size = max((pixels.size_of(mask) for mask in present), key=max)
    total = torch.stack([resized_mask(mask, size) for mask in present]).sum(0).clamp_min(1)  # (1, 1, H, W)
    return [None if mask is None else resized_mask(mask, size) / total for mask in checked]


def _checked_mask(mask: Tensor, number: int) -> Tensor:
    if not isinstance(mask, Tensor) or mask.dim() != 4 or tuple(mask.shape[:2]) != (1, 1) or not mask.numel():
        got = tuple(mask.shape) if isinstance(mask, Tensor) else type(mask).__name__
        raise StyleTransferError(f"mask {number} must be a float tensor (1, 1, H, W), got {got}")
    mask = mask.detach().cpu().float()
    if not bool(((mask >= -1e-3) & (mask <= 1 + 1e-3)).all()):
        raise StyleTransferError(f"mask {number} must have values in [0, 1]")
    return mask.clamp(0, 1)


def resized_mask(mask: Tensor, size: Size) -> Tensor:
    return mask if pixels.size_of(mask) == size else pixels.resample(mask, size, "bilinear").clamp(0, 1)


def first_image(
    config: Config,
    size: Size,
    content: Tensor | None,
    styles: Sequence[Tensor],
    init_image: Tensor | None,
    mean: Tensor,
    generator: torch.Generator,
) -> Tensor:
    """The picture (1, 3, H, W) that `config.init` names; white noise where it needs a picture that is missing.

    mean: colour (1, 3, 1, 1) of the pictures that the network was trained on.
    """
    init = config.init
    if init == "image" and init_image is not None:
        return pixels.resize(init_image, size)
    if init == "content" and content is not None:
        return pixels.resize(content, size)
    if init == "median":  # fast.ai halves its distance from the training mean
        return mean + (pixels.median_noise(size, generator) - mean) / 2
    if init == "gray":  # grey with noise of less than one 8-bit level
        return 0.5 + pixels.white_noise(size, generator) / 255
    if init == "mean":  # neural-style: the training mean with normal noise of 0.001 in 0-255
        return mean + 0.001 / 255 * torch.randn(1, 3, *size, generator=generator)
    if init == "style" and styles:
        weights = config.style_weights or (1.0,) * len(styles)
        return pixels.color_noise(size, *_mixed_colors(styles, weights), generator)
    return pixels.white_noise(size, generator)


def _mixed_colors(styles: Sequence[Tensor], weights: Sequence[float]) -> tuple[Tensor, Tensor]:
    """Colour mean (3,) and covariance (3, 3) of several pictures, weighted."""
    total = sum(weights)
    moments = [(weight / total, *pixels.color_moments(style)) for weight, style in zip(weights, styles)]
    mean = torch.stack([share * mean for share, mean, _ in moments]).sum(0)
    second = torch.stack([share * (cov + torch.outer(mean, mean)) for share, mean, cov in moments]).sum(0)
    return mean, second - torch.outer(mean, mean)
