"""Total variation relative to a picture's size, and how flat a content is beside its styles."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from torch import Tensor

from ..losses import total_variation
from ..pixels import halve, size_of

# A content with less than this share of the styles' variation counts as flat, both measured at a quarter of the size,
# where a sensor's noise is gone. 160 photographs had twice as much and more, grey with noise of one level a half.
FLAT = 0.05
LEAST_VARIATION = 1e-3  # of styles, so that flat ones on a flat content are no division by zero


def variation_per_value(image: Tensor, form: str) -> Tensor:
    """Total variation over the number of values of a picture (1, 3, H, W), so that it does not grow with the size."""
    variation = total_variation(image, form)
    return variation if form == "nine-point" else variation / image.numel()


def mean_variation(images: Iterable[Tensor], form: str) -> float:
    """Mean of `variation_per_value` over several pictures; 0 without any."""
    variations = [float(variation_per_value(image, form)) for image in images]
    return sum(variations) / max(1, len(variations))


def roughness(content: Tensor, styles: Sequence[Tensor], form: str) -> float:
    """How rough a content is beside its styles: from 0 for an even colour to 1 where it is not flat at all."""
    variation, style_variation = (mean_variation(map(_quarter, images), form) for images in ([content], styles))
    return min(1.0, variation / (FLAT * max(style_variation, LEAST_VARIATION)))


def _quarter(image: Tensor) -> Tensor:
    """A picture at a quarter of its size, or as near to it as 8 pixels on the short side allow."""
    for _ in range(2):
        image = halve(image) if min(size_of(image)) >= 16 else image
    return image
