"""3x3 convolutions with frozen weights in a quarter of the multiplications: Winograd's minimal filtering.

F(4x4, 3x3) of Lavin and Gray 2016 (Fast Algorithms for Convolutional Neural Networks, section 4): 4x4 outputs come from
6x6 inputs by 36 products instead of 144, with exact transforms around them. Where there are many channels the products
are what costs, and the processor does them as plain matrix products. The gradient is such a convolution, too.
"""

from __future__ import annotations

from functools import cache
from typing import Any, TypeGuard

import torch
import torch.nn.functional as F
from torch import Tensor, nn

OUT, IN = 4, 6  # side of a block of outputs, and of the inputs that it needs
WORKSPACE = 2**22  # values that are transformed at a time, so that they stay in the processor's caches
CHANNELS, PRODUCT = 64, 64 * 96  # of input and output each, and multiplied, at least: fewer gain nothing

# Lavin and Gray 2016, section 4.3: of the inputs, of the kernel, of the outputs; interpolation at 0, +-1, +-2.
INPUTS = (
    (4, 0, -5, 0, 1, 0),
    (0, -4, -4, 1, 1, 0),
    (0, 4, -4, -1, 1, 0),
    (0, -2, -1, 2, 1, 0),
    (0, 2, -1, -2, 1, 0),
    (0, 4, 0, -5, 0, 1),
)
KERNEL = (
    (1 / 4, 0, 0),
    (-1 / 6, -1 / 6, -1 / 6),
    (-1 / 6, 1 / 6, -1 / 6),
    (1 / 24, 1 / 12, 1 / 6),
    (1 / 24, -1 / 12, 1 / 6),
    (0, 0, 1),
)
OUTPUTS = ((1, 1, 1, 1, 1, 0), (0, 1, -1, 2, -2, 0), (0, 1, 1, 4, 4, 0), (0, 1, -1, 8, -8, 1))


class WinogradConv2d(nn.Conv2d):
    """A frozen convolution (3x3, stride 1, zeros around) computed by Winograd's algorithm: the same up to rounding."""

    ahead: Tensor
    back: Tensor

    def __init__(self, original: nn.Conv2d) -> None:
        super().__init__(original.in_channels, original.out_channels, 3, padding=1, device="meta")
        self.weight, self.bias = original.weight, original.bias
        self.register_buffer("ahead", transformed(original.weight), persistent=False)
        # The gradient of a convolution is one with the kernels turned around, from the outputs to the inputs.
        self.register_buffer("back", transformed(original.weight.flip(2, 3).transpose(0, 1)), persistent=False)

    def forward(self, maps: Tensor) -> Tensor:
        if len(maps) > 1:
            return torch.cat([self(each) for each in maps.split(1)])
        found: Tensor = _Winograd.apply(maps, self.ahead, self.back)
        assert self.bias is not None
        return found.add_(self.bias.view(-1, 1, 1))


def pays(module: nn.Module) -> TypeGuard[nn.Conv2d]:
    """Whether a layer is a plain convolution that this algorithm is made for, and faster at."""
    return (
        type(module) is nn.Conv2d
        and module.kernel_size == (3, 3)
        and module.padding_mode == "zeros"
        and module.weight.device.type == "cpu"
        and module.weight.dtype == torch.float32
        and not module.weight.requires_grad
        and min(module.in_channels, module.out_channels) >= CHANNELS
        and module.in_channels * module.out_channels >= PRODUCT
    )


def transformed(weight: Tensor) -> Tensor:
    """The kernels (K, C, 3, 3) at the 36 points of interpolation: (36, C, K)."""
    rows = torch.tensor(KERNEL, dtype=torch.float64)
    points = torch.einsum("ap,bq,kcpq->abck", rows, rows, weight.double())
    return points.flatten(0, 1).to(weight.dtype).contiguous()


class _Winograd(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, maps: Tensor, ahead: Tensor, back: Tensor) -> Tensor:
        ctx.back = back
        return convolved(maps, ahead)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        return convolved(gradients[0], ctx.back), None, None


def convolved(maps: Tensor, kernels: Tensor) -> Tensor:
    """Maps (1, C, h, w) through transformed kernels (36, C, K): (1, K, h, w), channels-last."""
    height, width = maps.shape[-2:]
    down, across = -(-height // OUT), -(-width // OUT)
    channels, wide = kernels.shape[1:]
    inputs, outputs = both_ways(INPUTS, maps.dtype), both_ways(OUTPUTS, maps.dtype)
    edges = (0, 0, 1, OUT * across - width + 1, 1, OUT * down - height + 1)
    padded = F.pad(maps[0].permute(1, 2, 0), edges)  # (4 down + 2, 4 across + 2, C)
    row, column, _ = padded.stride()
    shape = 1, wide, OUT * down, OUT * across
    found = torch.empty(shape, dtype=maps.dtype, memory_format=torch.channels_last)
    blocks = found[0].permute(1, 2, 0).view(down, OUT, across, OUT, wide)
    band = max(1, WORKSPACE // (IN * IN * across * (channels + wide)))
    for top in range(0, down, band):
        rows = min(band, down - top)
        steps = row, column, OUT * row, OUT * column, 1
        patches = padded.as_strided((IN, IN, rows, across, channels), steps, top * OUT * row)
        points = inputs @ patches.reshape(IN * IN, -1)
        points = torch.bmm(points.view(IN * IN, -1, channels), kernels)
        made = outputs @ points.view(IN * IN, -1)
        blocks[top : top + rows] = made.view(OUT, OUT, rows, across, wide).permute(2, 0, 3, 1, 4)
    if shape[-2:] == (height, width):
        return found
    return found[..., :height, :width].clone(memory_format=torch.channels_last)


@cache
def both_ways(rows: tuple[tuple[int, ...], ...], dtype: torch.dtype) -> Tensor:
    """A transform along rows and along columns, as one matrix on flattened blocks."""
    matrix = torch.tensor(rows, dtype=dtype)
    return torch.kron(matrix, matrix)
