"""A picture in overlapping tiles, for sums over feature maps that do not fit into memory at once.

Such sums are additive: tile sums add up to the whole map's. A tile is computed with a halo as wide as the layers'
receptive field, aligned to their stride, so the features inside it are exactly the whole picture's. Sums and gradients
are therefore exact too, and there are no seams.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import torch
from torch import Tensor

from .pixels import Size


class Span(NamedTuple):
    """A tile along one axis, in pixels (start, end): its inside, and the outside that includes the halo."""

    inside: tuple[int, int]
    outside: tuple[int, int]

    def positions(self, stride: int) -> tuple[slice, slice]:
        """The inside at a layer of this stride, as slices of the whole picture's map and of the tile's map."""
        start, end = (edge // stride for edge in self.inside)
        before = self.outside[0] // stride
        return slice(start, end), slice(start - before, end - before)


class Tile(NamedTuple):
    """A rectangle of a picture: rows and columns."""

    rows: Span
    columns: Span

    @property
    def area(self) -> int:
        """Pixels that are computed for this tile, including its halo."""
        (top, bottom), (left, right) = self.rows.outside, self.columns.outside
        return (bottom - top) * (right - left)

    def outside(self, image: Tensor) -> Tensor:
        """The tile with its halo, a view of a picture (..., H, W)."""
        return image[..., slice(*self.rows.outside), slice(*self.columns.outside)]

    def of_whole(self, maps: Tensor, stride: int) -> Tensor:
        """The inside of the tile, a view of the whole picture's maps (..., h, w) at this stride."""
        return maps[..., self.rows.positions(stride)[0], self.columns.positions(stride)[0]]

    def of_own(self, maps: Tensor, stride: int) -> Tensor:
        """The inside of the tile, a view of the tile's own maps (..., h, w) at this stride."""
        if self.rows.inside == self.rows.outside and self.columns.inside == self.columns.outside:
            return maps  # the gradient of a slice would be another copy
        return maps[..., self.rows.positions(stride)[1], self.columns.positions(stride)[1]]


def tiles_of(size: Size, side: int, stride: int, halo: int) -> list[Tile]:
    """The tiles of a picture (H, W), each about `side` pixels inside along each axis; 0: one tile for the whole.

    stride: of the deepest layer, tiles begin at multiples of it; halo: pixels of its receptive field on each side.
    """
    rows, columns = (_spans(length, side, stride, halo) for length in size)
    return [Tile(row, column) for row in rows for column in columns]


def _spans(length: int, side: int, stride: int, halo: int) -> list[Span]:
    if not side or side >= length:
        return [Span((0, length), (0, length))]
    step, margin = max(stride, side // stride * stride), -(-halo // stride) * stride
    edges = [*range(0, length - stride + 1, step), length]  # a rest of less than a stride goes to the last tile
    return [Span((start, end), (max(0, start - margin), min(length, end + margin))) for start, end in pairwise(edges)]


Sums = dict[str, Tensor]
Measure = Callable[[Tensor, Tile], Sums]  # a tile's pixels with their halo, the tile -> additive sums by name


def summed(image: Tensor, tiles: Sequence[Tile], measure: Measure) -> Sums:
    """The sums of `measure` over all tiles, differentiable with respect to the image (1, 3, H, W).

    A single tile is just measured. Several are measured without storing their feature maps, and again one by one in
    the backward pass (gradient checkpointing: Chen et al. 2016).
    """
    if len(tiles) == 1:
        return measure(image, tiles[0])
    names: list[str] = []

    def values(pixels: Tensor, tile: Tile) -> tuple[Tensor, ...]:
        sums = measure(pixels, tile)
        names[:] = sums
        return tuple(sums.values())

    return dict(zip(names, _Summed.apply(image, tiles, values)))


class _Summed(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, image: Tensor, tiles: Sequence[Tile], values: Callable[[Tensor, Tile], tuple[Tensor, ...]]
    ) -> tuple[Tensor, ...]:
        ctx.save_for_backward(image)
        ctx.tiles, ctx.values = tiles, values
        sums: list[Tensor] = []
        for tile in tiles:
            tile_sums = values(tile.outside(image), tile)
            sums = [a + b for a, b in zip(sums, tile_sums)] if sums else list(tile_sums)
        return tuple(sums)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        (image,) = ctx.saved_tensors
        gradient = torch.zeros_like(image)
        for tile in ctx.tiles:
            with torch.enable_grad():
                pixels = tile.outside(image).detach().clone().requires_grad_(True)
                (tile_gradient,) = torch.autograd.grad(ctx.values(pixels, tile), pixels, gradients)
            tile.outside(gradient).add_(tile_gradient)
        return gradient, None, None
