"""Pictures as tensors (1, 3, H, W), sRGB in [0, 1]: sizes, resampling, noise and colour."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

Size = tuple[int, int]  # (H, W)

LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601, usual in luminance-only style transfer


def size_of(image: Tensor) -> Size:
    """(H, W) of a picture (..., H, W)."""
    return image.shape[-2], image.shape[-1]


def fit_size(size: Size, long_side: int) -> Size:
    """(H, W) of the same aspect whose longer side is `long_side`; no side is below 1."""
    height, width = size
    scale = long_side / max(height, width)
    return max(1, round(height * scale)), max(1, round(width * scale))


def resize(image: Tensor, size: Size) -> Tensor:
    """Resample to (H, W): bicubic, antialiased when shrinking, clamped to [0, 1]."""
    return image if image.shape[-2:] == size else resample(image, size).clamp(0, 1)


def resample(values: Tensor, size: Size, mode: str = "bicubic") -> Tensor:
    """Resample (1, C, h, w) values of any range to (H, W), without clamping."""
    if values.device.type == "mps":  # which has no antialiased bicubic in some versions of torch
        return resample(values.cpu(), size, mode).to(values.device)
    return F.interpolate(values, size=size, mode=mode, align_corners=False, antialias=True)


def cover(image: Tensor, size: Size) -> Tensor:
    """Scale a picture to cover (H, W), then crop its centre."""
    height, width = image.shape[-2:]
    scale = max(size[0] / height, size[1] / width)
    scaled = resize(image, (max(size[0], round(height * scale)), max(size[1], round(width * scale))))
    top, left = (scaled.shape[-2] - size[0]) // 2, (scaled.shape[-1] - size[1]) // 2
    return scaled[..., top : top + size[0], left : left + size[1]]


def halve(image: Tensor) -> Tensor:
    """Half the size, as the mean of 2 x 2 pixels; an odd last row or column is dropped."""
    return F.avg_pool2d(image, 2)


def white_noise(size: Size, generator: torch.Generator) -> Tensor:
    """Independent pixels, uniform in [0, 1]."""
    return torch.rand(1, 3, *size, generator=generator)


def median_noise(size: Size, generator: torch.Generator, window: int = 8) -> Tensor:
    """White noise after a `window` x `window` median filter: soft spots (the start of fast.ai's lesson 13)."""
    height, width = size
    noise = torch.rand(1, 3, height + window - 1, width + window - 1, generator=generator)
    strips = []
    for top in range(0, height, 64):  # in strips, since the windows take 64 times the picture's memory
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
    pixels = image.double().flatten(2)[0]  # (3, H * W)
    mean = pixels.mean(1)
    centred = pixels - mean[:, None]
    return mean, centred @ centred.T / pixels.shape[1]


def matrix_power(matrix: Tensor, power: float, floor: float = 1e-10) -> Tensor:
    """A power of a symmetric positive semi-definite matrix; eigenvalues below `floor` are raised to it."""
    values, vectors = torch.linalg.eigh(matrix)
    result: Tensor = (vectors * values.clamp_min(floor).pow(power)) @ vectors.T
    return result


def match_colors(image: Tensor, reference: Tensor) -> Tensor:
    """Give a picture the reference's colour mean and covariance by the linear map that changes its colours least.

    This is the Monge-Kantorovich map (Pitie and Kokaram, 2007); Gatys et al. 2016 (Preserving Color in Neural Artistic
    Style Transfer) describe two others. Values outside [0, 1] are clamped.
    """
    mean, covariance = color_moments(image)
    target_mean, target_covariance = color_moments(reference)
    root, inverse_root = matrix_power(covariance, 0.5), matrix_power(covariance, -0.5)
    transport = inverse_root @ matrix_power(root @ target_covariance @ root, 0.5, floor=0.0) @ inverse_root  # (3, 3)
    pixels = image.double().flatten(2)[0]  # (3, H * W)
    matched = transport @ (pixels - mean[:, None]) + target_mean[:, None]
    return matched.view_as(image).clamp(0, 1).to(image.dtype)


def luminance(image: Tensor) -> Tensor:
    """Luma (1, 1, H, W) in [0, 1]."""
    return (image * image.new_tensor(LUMA).view(1, 3, 1, 1)).sum(1, keepdim=True)


def recolor(image: Tensor, content: Tensor | None, color: str) -> Tensor:
    """Recolour a picture (1, 3, H, W) by `color`, or return it unchanged without a content (1, 3, h, w).

    `style`: unchanged; `content`: the picture's luma with the content's chroma (luminance-only transfer of Gatys et al.
    2016); `match`: the mean and covariance of the content's colours.
    """
    if color == "style" or content is None:
        return image
    content = resize(content.to(image), size_of(image))
    if color == "match":
        return match_colors(image, content)
    return (content + luminance(image) - luminance(content)).clamp(0, 1)
