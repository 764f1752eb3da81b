"""Tiles: their geometry, and that sums and gradients over them are the whole picture's."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from oracles import random_tensors
from torch import Tensor

from styletransfer.features import Network
from styletransfer.tiles import Sums, Tile, summed, tiles_of

LENGTHS = st.integers(16, 150)


@given(LENGTHS, LENGTHS, st.integers(1, 80), st.sampled_from((1, 2, 4, 8, 16)), st.integers(0, 40))
def test_the_insides_cover_every_pixel_once_and_begin_at_strides(
    height: int, width: int, side: int, stride: int, halo: int
) -> None:
    covered = torch.zeros(1, 1, height, width)
    for tile in tiles_of((height, width), side, stride, halo):
        tile.of_whole(covered, 1).add_(1)
        for span, length in ((tile.rows, height), (tile.columns, width)):
            assert span.inside[0] % stride == 0 and span.outside[0] % stride == 0
            assert span.outside[0] == 0 or span.inside[0] - span.outside[0] >= halo
            assert span.outside[1] == length or span.outside[1] - span.inside[1] >= halo
    assert bool((covered == 1).all())


@given(LENGTHS, st.integers(16, 80), st.sampled_from((2, 4, 8, 16)))
def test_the_positions_of_a_layer_are_shared_out_once(length: int, side: int, stride: int) -> None:
    counts = torch.zeros(1, 1, length // stride, 1)
    for tile in tiles_of((length, stride), side, 16, 20):
        tile.of_whole(counts, stride).add_(1)
    assert bool((counts == 1).all())


@pytest.mark.parametrize("size", [(96, 130), (101, 67)])
def test_a_tile_has_the_features_of_the_whole(network: Network, size: tuple[int, int]) -> None:
    image = random_tensors({"x": (1, 3, *size)})["x"].sigmoid()
    whole = network(image, ("relu1_1", "relu3_1", "relu5_1"))
    stride, halo = network.reach("relu5_1")
    assert (stride, halo) == (16, 70)
    for tile in tiles_of(size, 32, stride, halo):
        part = network(tile.outside(image), whole)
        for layer, maps in whole.items():
            step = network.reach(layer)[0]
            assert torch.allclose(tile.of_own(part[layer], step), tile.of_whole(maps, step), rtol=0, atol=1e-12)


def test_a_narrower_halo_would_not_do(network: Network) -> None:
    """The reach is no wider than it has to be: one stride less, and the features at a tile's edge are others."""
    image = random_tensors({"x": (1, 3, 192, 192)})["x"].sigmoid()
    stride, halo = network.reach("relu4_1")
    whole = network(image, ("relu4_1",))["relu4_1"]
    gaps = []
    for tile in tiles_of((192, 192), 64, stride, halo - stride):
        own = network(tile.outside(image), ("relu4_1",))["relu4_1"]
        gaps.append(float((tile.of_own(own, stride) - tile.of_whole(whole, stride)).abs().max()))
    assert max(gaps) > 1e-9


def test_sums_over_tiles_have_the_whole_gradient() -> None:
    image = random_tensors({"x": (1, 3, 40, 56)})["x"].requires_grad_(True)

    def measure(piece: Tensor, tile: Tile) -> Sums:
        smooth = torch.nn.functional.avg_pool2d(piece.square(), 3, 1, 1, count_include_pad=False)
        inside = tile.of_own(smooth, 1)
        return {"sum": inside.sum(), "squares": (inside**2).sum()}

    def gradient(side: int) -> tuple[Tensor, Tensor]:
        sums = summed(image, tiles_of((40, 56), side, 2, 1), measure)
        loss = sums["sum"].sin() * sums["squares"]
        return loss.detach(), torch.autograd.grad(loss, image)[0]

    (loss, wanted), (tiled, result) = gradient(0), gradient(8)
    assert torch.allclose(tiled, loss, rtol=1e-12) and torch.allclose(result, wanted, rtol=1e-9, atol=1e-12)
