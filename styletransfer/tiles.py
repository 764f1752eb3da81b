"""A picture in overlapping tiles, for sums over its positions that need not fit into memory at once.

Sums over a feature map are sums over its parts. With a halo as wide as the layers see, aligned to their stride, a
tile's inner positions have exactly the features of the whole picture, so that sums and gradients are the whole's: no
tile has statistics of its own, and there are no seams.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import torch
from torch import Tensor

from .pixels import Size


class Span(NamedTuple):
    """Along one axis, in pixels: the inside of a tile, and the outside that is computed for it."""

    inside: tuple[int, int]
    outside: tuple[int, int]

    def positions(self, stride: int) -> tuple[slice, slice]:
        """The inside at a layer of this stride: among the whole picture's positions, and among the tile's own."""
        start, end = (edge // stride for edge in self.inside)
        before = self.outside[0] // stride
        return slice(start, end), slice(start - before, end - before)


class Tile(NamedTuple):
    """A part of a picture: rows and columns."""

    rows: Span
    columns: Span

    @property
    def area(self) -> int:
        """Pixels that are computed for this tile, its halo included."""
        (top, bottom), (left, right) = self.rows.outside, self.columns.outside
        return (bottom - top) * (right - left)

    def outside(self, image: Tensor) -> Tensor:
        """The tile with its halo, of (..., H, W): a view."""
        return image[..., slice(*self.rows.outside), slice(*self.columns.outside)]

    def of_whole(self, maps: Tensor, stride: int) -> Tensor:
        """The inside, of the whole picture's (..., h, w) at this stride: a view."""
        return maps[..., self.rows.positions(stride)[0], self.columns.positions(stride)[0]]

    def of_own(self, maps: Tensor, stride: int) -> Tensor:
        """The inside, of the tile's own (..., h, w) at this stride: a view."""
        if self.rows.inside == self.rows.outside and self.columns.inside == self.columns.outside:
            return maps  # a slice's gradient would be another copy
        return maps[..., self.rows.positions(stride)[1], self.columns.positions(stride)[1]]


def tiles_of(size: Size, side: int, stride: int, halo: int) -> list[Tile]:
    """The tiles of a picture (H, W), at most `side` pixels inside along each axis; 0: the picture in one piece.

    stride: of the deepest layer, which tiles begin at multiples of; halo: what it sees beyond its own square.
    """
    rows, columns = (_spans(length, side, stride, halo) for length in size)
    return [Tile(row, column) for row in rows for column in columns]


def _spans(length: int, side: int, stride: int, halo: int) -> list[Span]:
    if not side or side >= length:
        return [Span((0, length), (0, length))]
    step, margin = max(stride, side // stride * stride), -(-halo // stride) * stride
    edges = [*range(0, length - stride + 1, step), length]  # what is less than a stride stays with the last one
    return [Span((start, end), (max(0, start - margin), min(length, end + margin))) for start, end in pairwise(edges)]


Measure = Callable[[Tensor, Tile], tuple[Tensor, ...]]


def summed(image: Tensor, tiles: Sequence[Tile], measure: Measure) -> tuple[Tensor, ...]:
    """The sums over all tiles of what `measure` finds in (a tile's pixels, the tile), differentiable by the image.

    In one piece this is `measure` itself; otherwise tiles are measured once without keeping anything, and once more,
    one at a time, when the gradient is asked for (checkpointing: Chen et al. 2016).
    """
    if len(tiles) == 1:
        return measure(image, tiles[0])
    found: tuple[Tensor, ...] = _Summed.apply(image, tiles, measure)
    return found


class _Summed(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, image: Tensor, tiles: Sequence[Tile], measure: Measure) -> tuple[Tensor, ...]:
        ctx.save_for_backward(image)
        ctx.tiles, ctx.measure = tiles, measure
        total: list[Tensor] = []
        for tile in tiles:
            parts = measure(tile.outside(image), tile)
            total = [a + b for a, b in zip(total, parts)] if total else list(parts)
        return tuple(total)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        (image,) = ctx.saved_tensors
        gradient = torch.zeros_like(image)
        for tile in ctx.tiles:
            with torch.enable_grad():
                piece = tile.outside(image).detach().clone().requires_grad_(True)
                (part,) = torch.autograd.grad(ctx.measure(piece, tile), piece, gradients)
            tile.outside(gradient).add_(part)
        return gradient, None, None
