"""3x3 convolutions with frozen weights in a quarter of the multiplications: Winograd's minimal filtering.

F(4x4, 3x3) of Lavin and Gray 2016 (Fast Algorithms for Convolutional Neural Networks, section 4): a block of 4x4
outputs is computed from 6x6 inputs with 36 multiplications instead of 144, between exact linear transforms. With many
channels the multiplications dominate, as matrix products. The gradient is a convolution of the same kind.
"""

from __future__ import annotations

from functools import cache
from typing import Any, TypeGuard

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .machine import decided, fastest

OUT, IN = 4, 6  # sides of a block of outputs and of its inputs
WORKSPACE = 2**22  # values that are transformed at a time, so that they stay in the CPU's caches
CHANNELS = 64  # least number of inputs and of outputs: smaller layers are not faster this way
# Least product of the two: where this algorithm beats the library at 128 x 128 channels, and where it does not. With
# AVX2 it was faster from 64 x 96 on, on a processor with AVX-512 from 128 x 144 on.
PRODUCT, LATE_PRODUCT = 64 * 96, 128 * 144

# Transforms of Lavin and Gray 2016, section 4.3 (B^T, G, A^T), for the points 0, +-1, +-2 and infinity.
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
    """A frozen 3x3 convolution (stride 1, zero padding) by Winograd's algorithm: the same result up to rounding."""

    forward_kernels: Tensor
    backward_kernels: Tensor

    def __init__(self, original: nn.Conv2d) -> None:
        channels = original.in_channels, original.out_channels
        super().__init__(*channels, 3, padding=1, bias=original.bias is not None, device="meta")
        self.weight, self.bias = original.weight, original.bias
        self.register_buffer("forward_kernels", transformed(original.weight), persistent=False)
        # The gradient of a convolution is the convolution with flipped kernels from outputs to inputs.
        flipped = original.weight.flip(2, 3).transpose(0, 1)  # (C, K, 3, 3)
        self.register_buffer("backward_kernels", transformed(flipped), persistent=False)

    def forward(self, maps: Tensor) -> Tensor:
        if len(maps) > 1:
            return torch.cat([self(item) for item in maps.split(1)])
        outputs: Tensor = _Winograd.apply(maps, self.forward_kernels, self.backward_kernels)
        return outputs if self.bias is None else outputs.add_(self.bias.view(-1, 1, 1))


def pays(module: nn.Module) -> TypeGuard[nn.Conv2d]:
    """Whether a layer is a convolution that this algorithm can compute, and computes faster."""
    return (
        type(module) is nn.Conv2d
        and module.kernel_size == (3, 3)
        and module.padding_mode == "zeros"
        and module.weight.device.type == "cpu"
        and module.weight.dtype == torch.float32
        and not module.weight.requires_grad
        and min(module.in_channels, module.out_channels) >= CHANNELS
        and module.in_channels * module.out_channels >= least_product()
    )


def least_product() -> int:
    """The least product of input and output channels at which this algorithm is faster on this machine."""
    return PRODUCT if decided("Winograd pays at 128 x 128 channels", _is_faster) else LATE_PRODUCT


@torch.no_grad()
def _is_faster() -> bool:
    """Whether Winograd's algorithm beats the library at 128 x 128 channels."""
    library = nn.Conv2d(128, 128, 3, padding=1).to(memory_format=torch.channels_last).requires_grad_(False)
    maps = torch.ones(1, 128, 48, 64).contiguous(memory_format=torch.channels_last)
    own = WinogradConv2d(library)
    return fastest(lambda: own(maps)) < fastest(lambda: library(maps))


def transformed(weight: Tensor) -> Tensor:
    """Kernels (K, C, 3, 3) in the transform domain: (36, C, K)."""
    transform = torch.tensor(KERNEL, dtype=torch.float64)
    kernels = torch.einsum("ap,bq,kcpq->abck", transform, transform, weight.double())  # (6, 6, C, K)
    return kernels.flatten(0, 1).to(weight.dtype).contiguous()


class _Winograd(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, maps: Tensor, forward_kernels: Tensor, backward_kernels: Tensor) -> Tensor:
        ctx.backward_kernels = backward_kernels
        return convolved(maps, forward_kernels)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        return convolved(gradients[0], ctx.backward_kernels), None, None


def convolved(maps: Tensor, kernels: Tensor) -> Tensor:
    """Convolve maps (1, C, h, w) with transformed kernels (36, C, K): (1, K, h, w), channels-last."""
    height, width = maps.shape[-2:]
    down, across = -(-height // OUT), -(-width // OUT)
    channels, out_channels = kernels.shape[1:]
    input_transform, output_transform = transform_2d(INPUTS, maps.dtype), transform_2d(OUTPUTS, maps.dtype)
    edges = (0, 0, 1, OUT * across - width + 1, 1, OUT * down - height + 1)
    padded = F.pad(maps[0].permute(1, 2, 0), edges)  # (4 down + 2, 4 across + 2, C)
    row, column, _ = padded.stride()
    shape = 1, out_channels, OUT * down, OUT * across
    convolved_maps = torch.empty(shape, dtype=maps.dtype, memory_format=torch.channels_last)
    blocks = convolved_maps[0].permute(1, 2, 0).view(down, OUT, across, OUT, out_channels)
    band = max(1, WORKSPACE // (IN * IN * across * (channels + out_channels)))
    for top in range(0, down, band):
        rows = min(band, down - top)
        strides = row, column, OUT * row, OUT * column, 1
        patches = padded.as_strided((IN, IN, rows, across, channels), strides, top * OUT * row)
        points = input_transform @ patches.reshape(IN * IN, -1)  # (36, rows * across * C)
        points = torch.bmm(points.view(IN * IN, -1, channels), kernels)  # (36, rows * across, K)
        outputs = output_transform @ points.view(IN * IN, -1)  # (16, rows * across * K)
        blocks[top : top + rows] = outputs.view(OUT, OUT, rows, across, out_channels).permute(2, 0, 3, 1, 4)
    if shape[-2:] == (height, width):
        return convolved_maps
    return convolved_maps[..., :height, :width].clone(memory_format=torch.channels_last)


@cache
def transform_2d(rows: tuple[tuple[int, ...], ...], dtype: torch.dtype) -> Tensor:
    """A transform along both rows and columns, as one matrix for flattened blocks."""
    matrix = torch.tensor(rows, dtype=dtype)
    return torch.kron(matrix, matrix)
