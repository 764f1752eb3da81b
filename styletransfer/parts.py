"""What is measured in a tile: functions of the network, the pixels and the tile alone, for any process to call."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
    """A tile with what its sums depend on, by layer: the content's maps inside it, each region's guide (None:
    everywhere), and each region's nearest neighbours. All are views of the whole picture's; pickled are the tile's own
    values alone.
    """

    tile: Tile
    contents: Mapping[str, Tensor]
    guides: Mapping[str, Sequence[Tensor | None]]
    matches: Mapping[str, Sequence[Matches]] = field(default_factory=dict)

    def outside(self, image: Tensor) -> Tensor:
        return self.tile.outside(image)

    def __getstate__(self) -> dict[str, Any]:
        contents = {layer: maps.clone() for layer, maps in self.contents.items()}
        guides = {
            layer: [None if guide is None else guide.clone() for guide in group] for layer, group in self.guides.items()
        }
        matches = {
            layer: [Matches(match.target.clone(), match.center) for match in group]
            for layer, group in self.matches.items()
        }
        return {"tile": self.tile, "contents": contents, "guides": guides, "matches": matches}


def measured(network: Network, piece: Tensor, part: Part) -> Sums:
    """The additive sums of one tile: `LAYER/error` is a content layer's squared error, `LAYER/first/N` (C,) and
    `LAYER/second/N` (C, C) are a style layer's moments in region N, `LAYER/nearest/N` its cosines to its matches.
    """
    sums: Sums = {}

    def tap(layer: str, maps: Tensor) -> Tensor:  # (1, C, h, w)
        stride = network.reach(layer)[0]
        if layer in part.contents:
            inside = network.project(layer, part.tile.of_own(maps, stride))
            sums[f"{layer}/error"] = squared_error(inside, part.contents[layer])
        for place, matches in enumerate(part.matches.get(layer, ())):
            inside = network.project(layer, part.tile.of_own(maps, stride))
            sums[f"{layer}/nearest/{place}"] = similarity(inside, matches)
        for place, guide in enumerate(part.guides.get(layer, ())):
            inside = part.tile.of_own(maps, stride)
            onward, first, second = sums_with_passthrough(inside, guide)
            maps = onward if inside is maps else maps
            sums[f"{layer}/first/{place}"], sums[f"{layer}/second/{place}"] = first, second
        return maps

    network.backbone(piece, {**part.contents, **part.guides}, tap)
    return sums


def content_inside(network: Network, piece: Tensor, tile: Tile, layers: Sequence[str]) -> dict[str, Tensor]:
    """The activations (1, C, h, w) inside one tile, by layer."""
    with torch.no_grad():
        return {
            layer: network.project(layer, tile.of_own(maps, network.reach(layer)[0]))
            for layer, maps in network.backbone(piece, layers).items()
        }
