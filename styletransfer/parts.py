"""The sums measured in one tile: functions of network, pixels and tile alone, so that any process can call them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from .features import Network
from .losses import squared_error, sums_with_passthrough
from .nearest import Matches, similarity
from .tiles import Sums, Tile


@dataclass(frozen=True, eq=False)
class Part:
    """A tile and what its sums depend on, by layer: the content's maps, and by region the guides (None: everywhere) and
    the matches. They are views of the whole picture's tensors; only the values inside the tile are pickled.
    """

    tile: Tile
    contents: Mapping[str, Tensor]
    guides: Mapping[str, Sequence[Tensor | None]]
    matches: Mapping[str, Sequence[Matches]] = field(default_factory=dict)

    def outside(self, image: Tensor) -> Tensor:
        return self.tile.outside(image)

    def inside(self, tile: Tile, network: Network) -> Part:
        """This part of a whole picture, reduced to a tile: with views of its tensors."""
        return self._changed(tile, lambda maps, layer: tile.of_whole(maps, network.reach(layer)[0]))

    def __getstate__(self) -> dict[str, Any]:
        return vars(self._changed(self.tile, lambda maps, _: maps.clone()))

    def _changed(self, tile: Tile, change: Callable[[Tensor, str], Tensor]) -> Part:
        """The part of a tile whose maps (1, ?, h, w), guides and matches have been changed by a function."""
        return Part(
            tile,
            {layer: change(maps, layer) for layer, maps in self.contents.items()},
            {layer: [g if g is None else change(g, layer) for g in group] for layer, group in self.guides.items()},
            {layer: [Matches(change(m.target, layer), m.center) for m in ms] for layer, ms in self.matches.items()},
        )


def measured(network: Network, piece: Tensor, part: Part) -> Sums:
    """The additive sums of one tile: `LAYER/error` is a content layer's squared error, `LAYER/first/N` (C,) and
    `LAYER/second/N` (C, C) are the sums of f and f f^T of a style layer in region N, `LAYER/nearest/N` that of the
    cosines between its features and their matches.
    """
    sums: Sums = {}

    def tap(layer: str, maps: Tensor) -> Tensor:  # (1, C, h, w)
        stride = network.reach(layer)[0]
        if layer in part.contents:
            inside = network.project(layer, part.tile.of_own(maps, stride))
            sums[f"{layer}/error"] = squared_error(inside, part.contents[layer])
        for region, matches in enumerate(part.matches.get(layer, ())):
            inside = network.project(layer, part.tile.of_own(maps, stride))
            sums[f"{layer}/nearest/{region}"] = similarity(inside, matches)
        for region, guide in enumerate(part.guides.get(layer, ())):
            inside = part.tile.of_own(maps, stride)
            unchanged, first, second = sums_with_passthrough(inside, guide)
            maps = unchanged if inside is maps else maps
            sums[f"{layer}/first/{region}"], sums[f"{layer}/second/{region}"] = first, second
        return maps

    network.backbone(piece, {**part.contents, **part.guides}, tap)
    return sums


def content_inside(network: Network, piece: Tensor, tile: Tile, layers: Sequence[str]) -> dict[str, Tensor]:
    """The activations (1, C, h, w) inside a tile, by layer, from its pixels with their halo."""
    with torch.no_grad():
        return {
            layer: network.project(layer, tile.of_own(maps, network.reach(layer)[0]))
            for layer, maps in network.backbone(piece, layers).items()
        }
