"""Pictures as tensors (1, 3, H, W), sRGB in [0, 1]: sizes, noise to start from, and colour."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

Size = tuple[int, int]  # (H, W)

LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601, as the luminance swaps of the field use it


def size_of(image: Tensor) -> Size:
    """(H, W) of a picture (..., H, W)."""
    return image.shape[-2], image.shape[-1]


def fit_size(size: Size, long_side: int) -> Size:
    """(H, W) of the same aspect whose longer side is `long_side`; no side below 1."""
    height, width = size
    scale = long_side / max(height, width)
    return max(1, round(height * scale)), max(1, round(width * scale))


def resize(image: Tensor, size: Size) -> Tensor:
    """Resample to (H, W): bicubic, antialiased where it shrinks, clamped to [0, 1]."""
    return image if image.shape[-2:] == size else resample(image, size).clamp(0, 1)


def resample(values: Tensor, size: Size, mode: str = "bicubic") -> Tensor:
    """Resample any (1, C, H, W) values to (H, W), not clamped: for an optimiser's moments too."""
    if values.device.type == "mps":  # not every version of torch can there
        return resample(values.cpu(), size, mode).to(values.device)
    return F.interpolate(values, size=size, mode=mode, align_corners=False, antialias=True)


def cover(image: Tensor, size: Size) -> Tensor:
    """Scale the picture until it covers (H, W), then crop its middle."""
    height, width = image.shape[-2:]
    scale = max(size[0] / height, size[1] / width)
    scaled = resize(image, (max(size[0], round(height * scale)), max(size[1], round(width * scale))))
    top, left = (scaled.shape[-2] - size[0]) // 2, (scaled.shape[-1] - size[1]) // 2
    return scaled[..., top : top + size[0], left : left + size[1]]


def halve(image: Tensor) -> Tensor:
    """The next octave: half the size, each pixel the mean of 2 x 2; an odd last row or column is dropped."""
    return F.avg_pool2d(image, 2)


def white_noise(size: Size, generator: torch.Generator) -> Tensor:
    """Independent pixels, uniform in [0, 1]."""
    return torch.rand(1, 3, *size, generator=generator)


def median_noise(size: Size, generator: torch.Generator, window: int = 8) -> Tensor:
    """White noise under a `window` x `window` median filter: soft spots (fast.ai's lesson 13 starts from it)."""
    height, width = size
    noise = torch.rand(1, 3, height + window - 1, width + window - 1, generator=generator)
    strips = []
    for top in range(0, height, 64):  # in strips, since every pixel is unfolded into its whole window
        strip = noise[..., top : min(top + 64, height) + window - 1, :]
        windows = strip.unfold(2, window, 1).unfold(3, window, 1).flatten(4)
        strips.append(windows.kthvalue(window * window // 2 + 1, dim=-1).values)
    return torch.cat(strips, dim=2)


def color_noise(size: Size, mean: Tensor, covariance: Tensor, generator: torch.Generator) -> Tensor:
    """Normal noise with the given colour mean (3,) and covariance (3, 3), clamped to [0, 1]."""
    noise = torch.randn(3, size[0] * size[1], generator=generator, dtype=torch.float64)
    colored = mean.double()[:, None] + matrix_power(covariance.double(), 0.5) @ noise
    return colored.view(1, 3, *size).clamp(0, 1).float()


def color_moments(image: Tensor) -> tuple[Tensor, Tensor]:
    """Mean (3,) and covariance (3, 3) of a picture's colours, in float64."""
    pixels = image.double().flatten(2)[0]
    mean = pixels.mean(1)
    centred = pixels - mean[:, None]
    return mean, centred @ centred.T / pixels.shape[1]


def matrix_power(matrix: Tensor, power: float, floor: float = 1e-10) -> Tensor:
    """A power of a symmetric positive semi-definite matrix; eigenvalues below `floor` are raised to it."""
    values, vectors = torch.linalg.eigh(matrix)
    power_: Tensor = (vectors * values.clamp_min(floor).pow(power)) @ vectors.T
    return power_


def match_colors(image: Tensor, reference: Tensor) -> Tensor:
    """Give a picture the reference's colour mean and covariance by the linear map that moves its colours least.

    Source: Gatys et al. 2016 (Preserving Color in Neural Artistic Style Transfer), who name two such maps; this is
    the Monge-Kantorovich one (Pitie and Kokaram, 2007). Values that leave [0, 1] are clamped.
    """
    mean, covariance = color_moments(image)
    wanted_mean, wanted = color_moments(reference)
    root, inverse = matrix_power(covariance, 0.5), matrix_power(covariance, -0.5)
    transport = inverse @ matrix_power(root @ wanted @ root, 0.5, floor=0.0) @ inverse
    pixels = image.double().flatten(2)[0]
    moved = transport @ (pixels - mean[:, None]) + wanted_mean[:, None]
    return moved.view_as(image).clamp(0, 1).to(image.dtype)


def luminance(image: Tensor) -> Tensor:
    """Luma (1, 1, H, W) in [0, 1]."""
    return (image * image.new_tensor(LUMA).view(1, 3, 1, 1)).sum(1, keepdim=True)


def recolor(image: Tensor, content: Tensor | None, color: str) -> Tensor:
    """The picture in the colours asked for: `style` as it is, `content` in the content's own, `match` matched to them.

    `content` (1, 3, H, W) is resized to the picture; without one the picture stays as it is. `content` keeps the
    result's luma and takes the rest from the content (Gatys et al. 2016, luminance-only transfer).
    """
    if color == "style" or content is None:
        return image
    content = resize(content.to(image), size_of(image))
    if color == "match":
        return match_colors(image, content)
    return (content + luminance(image) - luminance(content)).clamp(0, 1)
