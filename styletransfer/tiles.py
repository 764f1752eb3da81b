"""A picture in overlapping tiles, for sums over feature maps that do not fit into memory at once.

These sums are additive: tile sums add up to the whole map's. A tile is computed with a halo as wide as the layers'
receptive field and aligned to their stride, so its inner features equal the whole picture's. Sums and gradients are
therefore exact, without seams.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise, repeat
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor

from .pixels import Size


class Span(NamedTuple):
    """A tile along one axis, (start, end) in pixels: without (inside) and with (outside) its halo."""

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
    """The tiles of a picture (H, W), about `side` x `side` pixels without their halos; 0: one tile for the whole.

    stride: of the deepest layer: tiles begin at its multiples; halo: how far a receptive field reaches, in pixels.
    """
    rows, columns = (_spans(length, side, stride, halo) for length in size)
    return [Tile(row, column) for row in rows for column in columns]


def _spans(length: int, side: int, stride: int, halo: int) -> list[Span]:
    if not side or side >= length:
        return [Span((0, length), (0, length))]
    step, margin = max(stride, side // stride * stride), -(-halo // stride) * stride
    edges = [*range(0, length - stride + 1, step), length]  # a remainder below a stride belongs to the last tile
    return [Span((start, end), (max(0, start - margin), min(length, end + margin))) for start, end in pairwise(edges)]


class Place(Protocol):
    """A place in a picture: a tile, or a part, which has the targets inside a tile, too."""

    def outside(self, image: Tensor) -> Tensor: ...


Sums = dict[str, Tensor]
Measure = Callable[[Tensor, Any], Sums]  # a tile's pixels with their halo, the tile -> additive sums by name
Map = Callable[..., Iterable[Any]]  # Python's `map`, or one that distributes the calls


def summed(image: Tensor, tiles: Sequence[Place], measure: Measure, mapped: Map = map) -> Sums:
    """The sums of `measure` over all tiles, differentiable with respect to the image (1, 3, H, W).

    Several tiles are measured without storing their feature maps, and again in the backward pass (gradient
    checkpointing: Chen et al. 2016); `mapped` distributes the calls.
    """
    if len(tiles) == 1:
        return measure(image, tiles[0])
    names: list[str] = []
    sums = _Summed.apply(image, tiles, measure, mapped, names)
    return dict(zip(names, sums))


class _Summed(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, image: Tensor, tiles: Sequence[Place], measure: Measure, mapped: Map, names: list[str]
    ) -> tuple[Tensor, ...]:
        ctx.save_for_backward(image)
        ctx.tiles, ctx.measure, ctx.mapped = tiles, measure, mapped
        sums: Sums = {}
        for tile_sums in mapped(_sums, repeat(measure), (tile.outside(image) for tile in tiles), tiles):
            sums = {name: sums[name] + value for name, value in tile_sums.items()} if sums else tile_sums
        names[:] = sums
        return tuple(sums.values())

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None, None, None]:
        (image,) = ctx.saved_tensors
        gradient = torch.zeros_like(image)
        pieces = (tile.outside(image) for tile in ctx.tiles)
        tile_gradients = ctx.mapped(_gradient, repeat(ctx.measure), pieces, ctx.tiles, *map(repeat, gradients))
        for tile, tile_gradient in zip(ctx.tiles, tile_gradients):
            tile.outside(gradient).add_(tile_gradient)
        return gradient, None, None, None, None


def _sums(measure: Measure, piece: Tensor, tile: Place) -> Sums:
    with torch.no_grad():
        return measure(piece, tile)


def _gradient(measure: Measure, piece: Tensor, tile: Place, *gradients: Tensor) -> Tensor:
    """The gradient with respect to a tile's pixels; `gradients` are with respect to its sums."""
    with torch.enable_grad():
        pixels = piece.detach().clone().requires_grad_(True)
        (gradient,) = torch.autograd.grad(tuple(measure(pixels, tile).values()), pixels, gradients)
    return gradient
