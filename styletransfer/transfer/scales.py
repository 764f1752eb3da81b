"""The schedule of a run: its sizes, coarse to fine, with their steps."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from ..config import Config, StyleTransferError
from ..features import Network
from ..pixels import Size, fit_size


@dataclass(frozen=True)
class Scale:
    """One entry of the schedule: the picture's size (H, W) and the steps to take at it."""

    size: Size
    iterations: int


def schedule(config: Config, frame: Size, network: Network, styles: Sequence[Size] = ()) -> tuple[Scale, ...]:
    """The sizes (H, W) and steps of a run, coarse to fine, for a content of size `frame` and styles of these sizes.

    All scales but the last are left out if their short side is less than twice the network's stride, or a style's short
    side less than the stride. Raises StyleTransferError if at the last one a short side is less than the stride.
    """
    long_side = max(frame) if config.size == "original" else int(config.size)
    stride, scales = network.stride, []
    for fraction, iterations in zip(config.scales, config.steps(network.design.iterations)):
        size = fit_size(frame, max(1, round(long_side * fraction)))
        fitted = [style_size(config, style, size) for style in styles]
        if fraction == 1 or (min(size) >= 2 * stride and all(min(style) >= stride for style in fitted)):
            scales.append(Scale(size, iterations))
    if min(size) < stride:
        raise StyleTransferError(
            f"the picture would be {size[1]}x{size[0]} pixels, and the network needs {stride} on the short side: "
            "choose a larger size"
        )
    for height, width in (style_size(config, style, size, stride) for style in styles):
        if min(height, width) < stride:
            raise StyleTransferError(
                f"a style image is only {width}x{height} pixels at this brush size: "
                f"the network needs {stride} on the short side"
            )
    return tuple(scales)


def style_size(config: Config, style: Size, size: Size, least: int = 1) -> Size:
    """(H, W) of a style picture at the brush size of the settings for a result of (H, W).

    A narrow style is made larger, up to its original size, if its short side would be less than `least`.
    """
    factor = config.style_scale
    if config.style_fit == "cover":
        return max(1, round(size[0] * factor)), max(1, round(size[1] * factor))
    narrow = min(math.ceil(least * max(style) / min(style)), max(style))
    return fit_size(style, max(round(max(size) * factor), narrow))
