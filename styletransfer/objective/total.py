"""The loss of one scale: its targets, and its value and gradient for a picture."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from itertools import repeat
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from ..config import Config
from ..features import Network, wanted_layers
from ..losses import Moments, content_scale, style_loss, temporal_loss, total_variation, widen, widest
from ..nearest import Matches, drawn, find_matches
from ..parts import Part, content_inside, measured
from ..pixels import Size, size_of
from ..tiles import Map, Sums, Tile, summed, tiles_of
from .regions import Region, StyleMoments, regions_of
from .terms import TermWeights, layer_weights, matched_layers, term_weights
from .variation import LEAST_VARIATION, mean_variation, roughness, variation_per_value

Counts = dict[str, list[float]]  # by layer and region, how many positions it has: the sum of its guide


class Evaluation(NamedTuple):
    """Loss and gradient at one picture; `terms` are the weighted losses that add up to it, by term/layer."""

    loss: Tensor
    gradient: Tensor
    terms: dict[str, Tensor]


class Anchor(NamedTuple):
    """What a frame of a clip stays close to: a picture (1, 3, H, W), and how much, by place: a mask (1, 1, H, W)."""

    image: Tensor
    mask: Tensor


class Objective:
    """Content + style + nearest neighbours + total variation + temporal loss at one size, for one network. The targets
    are computed once, by the constructor. A term without its picture or with a weight of 0 is not built.

    content: (1, 3, H, W) or None; styles: any number of (1, 3, h, w), mixed by `config.style_weights`; style_targets:
    of an earlier objective with the same styles, settings and network, to reuse; masks: by style, (1, 1, h, w) in
    [0, 1], the region in which the style's statistics are matched (Gatys et al. 2017, section 4), or None for the area
    that no mask covers; start: (1, 3, H, W), the picture whose features are matched with their nearest neighbours;
    anchor: of the temporal loss; tile: side in pixels of the tiles, 0: no tiles; mapped: like Python's `map`, computes
    the tiles.
    """

    def __init__(
        self,
        network: Network,
        config: Config,
        content: Tensor | None,
        styles: Sequence[Tensor],
        style_targets: list[StyleMoments] | None = None,
        *,
        masks: Sequence[Tensor | None] | None = None,
        start: Tensor | None = None,
        anchor: Anchor | None = None,
        tile: int = 0,
        mapped: Map = map,
    ) -> None:
        self.network, self.config, self.tile, self.mapped = network, config, tile, mapped
        self._measure = partial(measured, network)
        content_layers, style_layers = wanted_layers(config, network.design)
        weights = term_weights(config)
        self.content_weights = layer_weights(content_layers, config.content_layer_weights, weights.content)
        self.style_weights = layer_weights(style_layers, config.style_layer_weights, weights.style)
        self.content_targets: dict[str, Tensor] = {}
        self.content_scales: dict[str, float | Tensor] = {}
        self.style_targets = style_targets or []
        self.tv_weight, self.temporal_weight = weights.tv, weights.temporal
        self.anchor = anchor if self.temporal_weight else None
        self.matches: dict[str, list[Matches]] = {}
        self._drawn: dict[str, list[Tensor]] = {}  # the styles' vectors that are searched, by layer, one a region
        self._parts: dict[Size, tuple[list[Part], Counts]] = {}
        with torch.no_grad():
            if content is not None and self.content_weights:
                self.content_targets = self._maps(content, self.content_weights)
                self.content_scales = {
                    layer: content_scale(target, config.content_norm, network.channels(layer))
                    for layer, target in self.content_targets.items()
                }
            if styles and self.style_weights and not self.style_targets:
                self.style_targets = [self._style_moments(style) for style in styles]
            self.regions: list[Region] = []
            if self.style_targets and self.style_weights:
                mixed = config.style_weights or (1.0,) * len(self.style_targets)
                self.regions = regions_of(masks, mixed, self.style_targets)
            self._divide_by_own_amounts(content, styles, weights)
        layers = matched_layers(network, self.style_weights) if self.regions and weights.nearest else []
        self.nearest_weights = dict.fromkeys(layers, weights.nearest / max(1, len(layers)))
        if start is not None:
            self.match(start, styles)

    # --- targets

    def _divide_by_own_amounts(self, content: Tensor | None, styles: Sequence[Tensor], weights: TermWeights) -> None:
        """Make the total variation relative to the content's, or to the styles' where there is no content.

        A flat content has next to no variation, and small activations: relative to those, any paint would cost more
        than the style term gains. So the flatter the content is, the more the styles' variation and activations count
        instead, and the less a smooth picture is asked for at a low strength.
        """
        config, relative_tv = self.config, self.tv_weight > 0 and self.config.tv_norm == "relative"
        if not (relative_tv or (self.content_targets and config.content_norm == "relative")):
            return
        variation = mean_variation([content] if content is not None else styles, config.tv)
        style_variation = max(mean_variation(styles, config.tv), LEAST_VARIATION)
        share = 1.0  # of the content's amounts; the rest are the styles'
        if content is not None and styles and weights.style:
            share = roughness(content, styles, config.tv)
        if share < 1 and config.content_norm == "relative":
            for layer, scale in self.content_scales.items():
                target = self.content_targets[layer]
                maps = [self._maps(style, [layer])[layer] for style in styles]
                energies = [widen(values).square().sum() / values[0, 0].numel() for values in maps]
                energy = torch.stack(energies).mean() * target[0, 0].numel()
                self.content_scales[layer] = share * scale + (1 - share) * energy
        if relative_tv:
            tilt = weights.style / config.style_weight if share < 1 else 1.0
            self.tv_weight *= share + (1 - share) * tilt
            self.tv_weight /= max(share * variation + (1 - share) * style_variation, 1e-6)

    def _maps(self, image: Tensor, layers: Iterable[str]) -> dict[str, Tensor]:
        """A picture's activations (1, C, h, w) by layer, computed in tiles, in the network's number format."""
        maps: dict[str, Tensor] = {}
        layers = tuple(layers)
        tiles = self._tiles(size_of(image), layers)
        mapped = self.mapped if len(tiles) > 1 else map
        pieces = (tile.outside(image) for tile in tiles)
        for tile, maps_inside in zip(
            tiles, mapped(content_inside, repeat(self.network), pieces, tiles, repeat(layers))
        ):
            for layer, inside in maps_inside.items():
                stride = self.network.reach(layer)[0]
                if layer not in maps:
                    height, width = (length // stride for length in size_of(image))
                    shape = 1, inside.shape[1], height, width  # (1, C, h, w)
                    maps[layer] = inside.new_empty(shape).to(memory_format=torch.channels_last)  # like the features
                tile.of_whole(maps[layer], stride).copy_(inside)
        return maps

    def _style_moments(self, style: Tensor) -> StyleMoments:
        size, layers = size_of(style), list(self.style_weights)
        parts = [Part(tile, {}, {layer: (None,) for layer in layers}) for tile in self._tiles(size, layers)]
        sums = summed(style, parts, self._measure, self.mapped)
        return {layer: self._moments(sums, layer, 0, self._positions(size, layer)) for layer in layers}

    @torch.no_grad()
    def match(self, start: Tensor, styles: Sequence[Tensor]) -> None:
        """Find the nearest neighbours of another picture's features; `start`, `styles`: as for the constructor."""
        layers = list(self.nearest_weights)
        if not layers:
            return
        self.matches = {}
        self._parts.clear()  # they are views of the matches
        if not self._drawn:
            generator = torch.Generator().manual_seed(self.config.seed)
            maps = [self._maps(style, layers) for style in styles]
            self._drawn = {
                layer: [drawn([of[layer] for of in maps], region.weights, generator) for region in self.regions]
                for layer in layers
            }
            del maps
        features, size = self._maps(start, layers), size_of(start)
        self.matches = {
            layer: [
                find_matches(features[layer], vectors, self._guide(region, size, layer)[0])
                for region, vectors in zip(self.regions, self._drawn[layer])
            ]
            for layer in layers
        }

    # --- value and gradient

    def __call__(self, image: Tensor) -> Evaluation:
        """Loss, gradient and terms at a picture (1, 3, H, W) in [0, 1], in any grad mode of the calling thread."""
        with torch.inference_mode(False), torch.enable_grad():
            pixels = (image.clone() if image.is_inference() else image.detach()).requires_grad_(True)
            terms = self._terms(pixels)
            loss = torch.stack([term.to(widest(term.device)) for term in terms.values()]).sum()
            (gradient,) = torch.autograd.grad(loss, pixels)
        return Evaluation(loss.detach(), gradient.contiguous(), {name: term.detach() for name, term in terms.items()})

    def _terms(self, image: Tensor) -> dict[str, Tensor]:
        terms = self._terms_of_features(image) if self.content_targets or self.regions else {}
        if self.tv_weight:
            terms["tv/pixels"] = self.tv_weight * self._variation(image)
        if self.anchor is not None:
            terms["temporal/pixels"] = self.temporal_weight * temporal_loss(image, *self.anchor)
        if not terms:  # a loss of 0, so that the picture stays as it is
            terms["content/none"] = 0 * image.sum()
        return terms

    def _terms_of_features(self, image: Tensor) -> dict[str, Tensor]:
        """The content, style and nearest-neighbour terms, in this order."""
        parts, counts = self._parts_of(size_of(image))
        sums = summed(image, parts, self._measure, self.mapped)
        terms: dict[str, Tensor] = {}
        for layer, scale in self.content_scales.items():
            terms[f"content/{layer}"] = self.content_weights[layer] / scale * sums[f"{layer}/error"]
        for layer in counts:
            terms[f"style/{layer}"] = self._style_loss(sums, layer, counts[layer], image)
        for layer in self.matches:
            terms[f"nearest/{layer}"] = self.nearest_weights[layer] * self._distance(sums, layer, counts[layer])
        return terms

    def _style_loss(self, sums: Sums, layer: str, counts: Sequence[float], image: Tensor) -> Tensor:
        """A layer's weighted style loss, over all regions."""
        loss = partial(
            style_loss,
            statistic=self.config.style_statistic,
            norm=self.config.style_norm,
            pixels=image.shape[-2] * image.shape[-1],
            channels=self.network.channels(layer),
        )
        weight = self.style_weights[layer]
        losses = [
            region.share * weight * loss(self._moments(sums, layer, place, count), region.targets[layer])
            for place, (region, count) in enumerate(zip(self.regions, counts))
            if count
        ]
        return torch.stack(losses).sum()

    def _distance(self, sums: Sums, layer: str, counts: Sequence[float]) -> Tensor:
        """Mean cosine distance between a layer's features and their matches, over all regions."""
        similar = [
            region.share * (1 - sums[f"{layer}/nearest/{place}"] / count)
            for place, (region, count) in enumerate(zip(self.regions, counts))
            if count
        ]
        return torch.stack(similar).sum()

    def _moments(self, sums: Sums, layer: str, region: int, count: float) -> Moments:
        first, second = (sums[f"{layer}/{moment}/{region}"] for moment in ("first", "second"))
        return Moments(count, first / count, second / count).through(self.network.head(layer))

    # --- sizes

    def _parts_of(self, size: Size) -> tuple[list[Part], Counts]:
        """The parts of a picture of this size, and the counts of its regions, made at the size's first use."""
        if size not in self._parts:
            layers = list(self.style_weights) if self.regions else []
            guides = {layer: [self._guide(region, size, layer) for region in self.regions] for layer in layers}
            masks = {layer: [mask for mask, _ in pairs] for layer, pairs in guides.items()}
            counts = {layer: [count for _, count in pairs] for layer, pairs in guides.items()}
            (frame,) = tiles_of(size, 0, stride=1, halo=0)
            whole = Part(frame, self.content_targets, masks, self.matches)
            tiles = self._tiles(size, [*self.content_targets, *layers])
            self._parts[size] = [whole.inside(tile, self.network) for tile in tiles], counts
        return self._parts[size]

    def _guide(self, region: Region, size: Size, layer: str) -> tuple[Tensor | None, float]:
        """A region's mask averaged over the squares of the layer's positions, (1, 1, h, w), and its sum."""
        if region.mask is None:
            return None, self._positions(size, layer)
        stride = self.network.reach(layer)[0]
        shape = size[0] // stride, size[1] // stride
        # On the CPU, since MPS pools only where the sizes divide.
        guide = F.adaptive_avg_pool2d(region.mask.cpu().to(self.network.mean.dtype), shape).to(self.network.mean)
        return guide, float(guide.sum())

    def _tiles(self, size: Size, layers: Sequence[str]) -> list[Tile]:
        reaches = [self.network.reach(layer) for layer in layers]
        stride, halo = max(reach[0] for reach in reaches), max(reach[1] for reach in reaches)
        return tiles_of(size, self.tile, stride, halo)

    def _positions(self, size: Size, layer: str) -> float:
        stride = self.network.reach(layer)[0]
        return float((size[0] // stride) * (size[1] // stride))

    def _variation(self, image: Tensor) -> Tensor:
        if self.config.tv_norm == "relative":
            return variation_per_value(image, self.config.tv)
        return total_variation(image * self.config.pixel_range, self.config.tv)
