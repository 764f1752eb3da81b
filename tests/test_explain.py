"""What a network sees: reconstructions that lose what deeper layers do not see, and pictures of Gram matrices."""

from __future__ import annotations

import itertools
import math
from pathlib import Path

import pytest
import torch
from oracles import FIVE, gram, noise, positions
from torch import Tensor

from styletransfer import Config, Network, StyleTransferError, load_image, load_network
from styletransfer.explain import (
    APART,
    CELLS,
    GRAM_PIXELS,
    TOGETHER,
    Reconstruction,
    content_layers,
    gram_layers,
    gram_moments,
    gram_picture,
    reconstructions,
    style_layers,
)
from styletransfer.pixels import fit_size, resize

EXAMPLES = Path(__file__).parents[1] / "examples"


@pytest.fixture(scope="module")
def builtin() -> Network:
    return load_network(Config(network="builtin", device="cpu", precision="float32"))


@pytest.fixture(scope="module")
def pair() -> tuple[Tensor, Tensor]:
    return load_image(EXAMPLES / "photos" / "temple.jpg"), load_image(EXAMPLES / "styles" / "night.jpg")


@pytest.fixture(scope="module")
def rebuilt(builtin: Network, pair: tuple[Tensor, Tensor]) -> list[Reconstruction]:
    return list(reconstructions(*pair, builtin, side=48, steps=(24,)))


# --- reconstructions


def test_the_layers_are_those_in_use_shallow_to_deep(builtin: Network, network: Network) -> None:
    for each in (builtin, network):
        assert content_layers(each) == ("relu1_1", "relu2_1", "relu3_1", "relu4_2", "relu5_1")
        assert style_layers(each) == FIVE


def test_layers_that_were_not_loaded_are_left_out() -> None:
    config = Config(network="builtin", device="cpu", content_layers=("relu2_1",), style_layers=("relu1_1",))
    assert content_layers(load_network(config)) == ("relu1_1", "relu2_1")


def test_one_layer_of_content_at_a_time_then_more_and_more_of_style(rebuilt: list[Reconstruction]) -> None:
    assert [(part.kind, part.layers) for part in rebuilt] == [
        *(("content", (layer,)) for layer in ("relu1_1", "relu2_1", "relu3_1", "relu4_2", "relu5_1")),
        *(("style", FIVE[:count]) for count in range(1, 6)),
    ]
    for part in rebuilt:
        terms = {name for name in part.losses if "/" in name and not name.startswith("tv")}
        assert terms == {f"{part.kind}/{layer}" for layer in part.layers}


def test_pictures_have_the_frame_of_what_they_are_of(
    rebuilt: list[Reconstruction], pair: tuple[Tensor, Tensor]
) -> None:
    for part in rebuilt:
        original = pair[part.kind == "style"]
        assert part.image.shape == (1, 3, *fit_size((original.shape[-2], original.shape[-1]), 48))
        assert float(part.image.min()) >= 0 and float(part.image.max()) <= 1


def test_the_deeper_the_layer_the_further_the_pixels(
    rebuilt: list[Reconstruction], pair: tuple[Tensor, Tensor]
) -> None:
    content = [part.image for part in rebuilt if part.kind == "content"]
    photograph = resize(pair[0], (content[0].shape[-2], content[0].shape[-1]))
    errors = [float((image - photograph).square().mean()) for image in content]
    assert all(1.1 * near < far for near, far in itertools.pairwise(errors)) and 10 * errors[0] < errors[3]


def test_every_further_layer_brings_its_own_statistics_nearer(
    rebuilt: list[Reconstruction], pair: tuple[Tensor, Tensor], builtin: Network
) -> None:
    few, _, three_layers, *_ = (part.image for part in rebuilt if part.kind == "style")
    style = resize(pair[1], (few.shape[-2], few.shape[-1]))
    seen = [gram_moments(image, builtin, side=48)["relu3_1"].second for image in (style, few, three_layers)]
    assert float((seen[2] - seen[0]).norm()) < float((seen[1] - seen[0]).norm()) / 2


def test_the_seed_alone_decides(builtin: Network, pair: tuple[Tensor, Tensor], rebuilt: list[Reconstruction]) -> None:
    first, again, other = (next(reconstructions(*pair, builtin, side=48, steps=(3,), seed=seed)) for seed in (1, 1, 2))
    assert torch.equal(first.image, again.image) and first.losses == again.losses
    assert not torch.equal(first.image, other.image)


def test_no_mode_of_torch_is_left_behind_between_two_pictures(builtin: Network, pair: tuple[Tensor, Tensor]) -> None:
    for _ in zip(range(2), reconstructions(*pair, builtin, side=32, steps=(1,))):
        assert torch.is_grad_enabled() and not torch.is_inference_mode_enabled()
    for _ in gram_layers(pair, builtin, side=32):
        assert torch.is_grad_enabled() and not torch.is_inference_mode_enabled()


def test_what_is_no_picture_is_refused(builtin: Network, pair: tuple[Tensor, Tensor]) -> None:
    with pytest.raises(StyleTransferError, match="the content image must have values"):
        next(reconstructions(2 + pair[0], pair[1], builtin))
    with pytest.raises(StyleTransferError, match="choose a larger size"):
        list(reconstructions(pair[0][..., :40, :], pair[1], builtin, side=32, steps=(1,)))


# --- Gram matrices


def test_gram_matrices_are_those_of_the_plain_formula(network: Network) -> None:
    image = noise(1, 3, 32, 48)
    features = network(image, style_layers(network))
    for layer, part in gram_moments(image, network, side=48).items():
        wanted = gram(features[layer][0]) / positions(features[layer][0])
        assert torch.allclose(part.second, wanted, rtol=1e-12)


def test_gram_pictures_are_symmetric_and_of_whole_cells(builtin: Network, pair: tuple[Tensor, Tensor]) -> None:
    for layer, channels in zip(gram_layers(pair, builtin, side=64), builtin_channels(builtin), strict=True):
        for picture in layer.pictures:
            assert torch.allclose(picture, picture.transpose(-1, -2), atol=1e-4)
            cells = min(channels, CELLS)
            side = picture.shape[-1] // cells
            assert picture.shape == (1, 3, side * cells, side * cells) and side > 1
            small = picture[..., ::side, ::side]
            assert torch.equal(small.repeat_interleave(side, -1).repeat_interleave(side, -2), picture)


def builtin_channels(network: Network) -> list[int]:
    return [network.width(layer) for layer in style_layers(network)]


def test_distances_are_the_relative_style_loss(network: Network) -> None:
    style, other = noise(1, 3, 32, 32), noise(1, 3, 32, 32, seed=1).sqrt()
    wanted, result = gram_moments(style, network, side=32), gram_moments(other, network, side=32)
    for gram_layer in gram_layers([style, other, style], network, side=32):
        goal = wanted[gram_layer.layer].second
        gap = (result[gram_layer.layer].second - goal).square().sum() / goal.square().sum()
        assert gram_layer.distances == pytest.approx((0, float(gap), 0)) and gram_layer.distances[1] > 0
        assert torch.equal(gram_layer.pictures[0], gram_layer.pictures[2]) and not torch.equal(
            gram_layer.pictures[0], gram_layer.pictures[1]
        )


def test_the_colour_map_has_white_in_the_middle_and_its_ends_at_the_peak() -> None:
    picture = gram_picture(torch.tensor([[1.0, 0.0], [0.0, -1.0]]))
    step = GRAM_PIXELS // 2
    corner = [tuple(picture[0, :, row, column].tolist()) for row in (0, step) for column in (0, step)]
    assert corner == [pytest.approx(color, abs=1e-6) for color in (TOGETHER[-1], TOGETHER[0], APART[0], APART[-1])]


def test_the_scale_is_logarithmic_and_rises_in_darkness() -> None:
    values = torch.tensor([1.0, 0.3, 0.1, 0.03, 0.01, 0.001, 0.0])
    row = gram_picture(values.diag())[0].mean(0).diagonal()[:: round(GRAM_PIXELS / 7)]
    assert bool((row.diff() > 0).all())
    halfway = (math.sqrt(1 + 100) - 1) / 100  # log1p is half as large
    assert gram_picture(torch.tensor([[halfway]]), 1.0)[0, :, 0, 0].tolist() == pytest.approx(TOGETHER[1], abs=1e-6)


def test_a_matrix_of_zeros_is_white_and_a_wide_one_is_cut() -> None:
    assert torch.allclose(gram_picture(torch.zeros(4, 4))[0, :, 0, 0], torch.tensor(TOGETHER[0]))
    assert gram_picture(torch.eye(512)).shape[-1] == CELLS * round(GRAM_PIXELS / CELLS)
