"""The schedule of a run: its sizes, coarse to fine, and the steps at each."""

from __future__ import annotations

from dataclasses import dataclass

from ..config import Config, StyleTransferError
from ..features import Network
from ..pixels import Size, fit_size


@dataclass(frozen=True)
class Scale:
    """One entry of the schedule: the picture's size (H, W) and the steps to take at it."""

    size: Size
    iterations: int


def schedule(config: Config, frame: Size, network: Network) -> tuple[Scale, ...]:
    """The sizes (H, W) and steps of a run, coarse to fine, for a content of size `frame`.

    Scales whose short side is less than twice the network's stride are left out, except the last. Raises
    StyleTransferError where even the last is smaller than the stride.
    """
    long_side = max(frame) if config.size == "original" else int(config.size)
    stride, scales = network.stride, []
    for fraction, iterations in zip(config.scales, config.steps(network.design.iterations)):
        size = fit_size(frame, max(1, round(long_side * fraction)))
        if fraction == 1 or min(size) >= 2 * stride:
            scales.append(Scale(size, iterations))
    if min(scales[-1].size) < stride:
        height, width = scales[-1].size
        raise StyleTransferError(
            f"the picture would be {width}x{height} pixels, and the network needs {stride} on the short side: "
            "choose a larger size"
        )
    return tuple(scales)
