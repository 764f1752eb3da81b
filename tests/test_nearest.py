"""Nearest-neighbour statistics against plain loops, and the scales of a run that have them."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from oracles import FIVE, SMALL, noise, random_network
from torch import Tensor

from styletransfer import RECIPES, Config, Step, stylize
from styletransfer.features import Design, Network
from styletransfer.nearest import STYLE_VECTORS, drawn, find_matches, similarity
from styletransfer.objective import Objective

RUN = Config(
    content_layers=("relu4_2",),
    style_layers=FIVE,
    size=64,
    scales=(0.5, 1.0, 1.0, 1.0),
    iterations=(2, 2, 3, 2),
    nearest_weight=0.5,
)


@pytest.fixture(scope="module")
def network() -> Network:
    return random_network(Design(SMALL), (*FIVE, "relu4_2"))


def cosine_distances(features: Tensor, style: Tensor) -> list[list[float]]:
    """From every position of a map (1, C, h, w) to every style vector (n, C), each side less its mean."""
    rows = features[0].flatten(1).T
    center, style_center = rows.mean(0), style.mean(0)
    return [[1 - float(F.cosine_similarity(row - center, other - style_center, 0)) for other in style] for row in rows]


def test_each_position_is_matched_with_the_nearest_by_centred_cosine() -> None:
    features, style = noise(1, 5, 6, 7, seed=1), noise(11, 5, seed=2)
    matches = find_matches(features, style)
    distances = cosine_distances(features, style)
    centered = style - style.mean(0)
    for position, row in enumerate(distances):
        nearest = F.normalize(centered[row.index(min(row))], dim=0)
        assert torch.allclose(matches.target[0].flatten(1)[:, position], nearest)
    mean_distance = 1 - float(similarity(features, matches)) / len(distances)
    assert mean_distance == pytest.approx(sum(map(min, distances)) / len(distances), rel=1e-12)


def test_the_gradient_is_that_of_plain_autograd() -> None:
    matches = find_matches(noise(1, 4, 5, 6, seed=1), noise(9, 4, seed=2))
    features = noise(1, 4, 5, 6, seed=3).requires_grad_(True)
    (result,) = torch.autograd.grad(similarity(features, matches), features)
    units = F.normalize(features - matches.center.view(1, -1, 1, 1), dim=1)
    (wanted,) = torch.autograd.grad((units * matches.target).sum(), features)
    assert torch.allclose(result, wanted, rtol=1e-10, atol=1e-14)
    assert torch.autograd.gradcheck(lambda values: similarity(values, matches), features)


def test_a_region_takes_its_own_mean_and_its_guide_weighs_the_matches() -> None:
    features, style = noise(1, 3, 4, 6, seed=1), noise(8, 3, seed=2)
    guide = torch.zeros(1, 1, 4, 6, dtype=torch.float64)
    guide[..., :3] = 0.5
    matches, left = find_matches(features, style, guide), find_matches(features[..., :3], style)
    assert torch.allclose(matches.center, left.center)
    assert torch.allclose(matches.target[..., :3], left.target / 2) and not matches.target[..., 3:].any()


def test_styles_give_vectors_in_number_as_their_weights() -> None:
    maps = [torch.full((1, 2, 80, 100), float(number)) for number in range(3)]
    vectors = drawn(maps, (3.0, 0.0, 1.0), torch.Generator().manual_seed(0))
    counts = [int((vectors[:, 0] == number).sum()) for number in range(3)]
    assert counts == [STYLE_VECTORS * 3 // 4, 0, STYLE_VECTORS // 4]


def test_the_style_itself_is_at_distance_0_and_another_picture_is_not(network: Network) -> None:
    config = replace(RUN, content_weight=0.0, tv_weight=0.0)
    style, other = noise(1, 3, 64, 48, seed=1), noise(1, 3, 64, 48, seed=2)
    for start, is_nearest in ((style, True), (other, False)):
        terms = Objective(network, config, None, [style], start=start)(start).terms
        distances = [float(terms[f"nearest/{layer}"]) for layer in FIVE[1:]]
        assert all((distance < 1e-12) == is_nearest for distance in distances)
        assert "nearest/relu1_1" not in terms


def test_scales_that_repeat_a_size_have_the_term_and_strength_0_has_none(network: Network) -> None:
    pictures = noise(1, 3, 64, 64, seed=1), [noise(1, 3, 64, 64, seed=2)]
    history = stylize(*pictures, RUN, network=network).history
    assert [int(losses["scale"]) for losses in history if "nearest" in losses] == [2, 2, 2, 3, 3]
    for config in (replace(RUN, nearest_weight=0.0), replace(RUN, strength=0.0)):
        assert not any("nearest" in losses for losses in stylize(*pictures, config, network=network).history)


def test_a_repeated_scale_starts_from_the_very_picture_before(network: Network) -> None:
    steps: list[Step] = []
    pictures = noise(1, 3, 64, 64, seed=1), [noise(1, 3, 64, 64, seed=2)]
    stylize(*pictures, RUN, network=network, callback=steps.append)
    start = steps[4].state.start
    assert start is not None and torch.equal(start, steps[3].raw) and steps[1].state.start is None


@pytest.mark.parametrize("stop", [4, 5, 7, 8])
def test_a_run_stopped_amid_its_matches_goes_on_to_the_same_bits(network: Network, stop: int) -> None:
    pictures = noise(1, 3, 64, 64, seed=1), [noise(1, 3, 64, 64, seed=2)]
    steps: list[Step] = []

    def until(step: Step) -> bool:
        steps.append(step)
        return len(steps) < stop

    whole = stylize(*pictures, RUN, network=network)
    stopped = stylize(*pictures, RUN, network=network, callback=until)
    assert torch.equal(stylize(*pictures, RUN, network=network, resume=stopped).image, whole.image)


def test_best_ends_with_nearest_neighbours() -> None:
    best = RECIPES["best"]
    assert best.nearest_weight > 0 and best.scales[-2:] == (1.0, 1.0)


def test_new_matches_are_those_of_an_objective_built_from_that_picture(network: Network) -> None:
    first, second, style = noise(1, 3, 64, 48, seed=1), noise(1, 3, 64, 48, seed=2), noise(1, 3, 64, 64, seed=3)
    config = replace(RUN, style_layers=FIVE)
    built = Objective(network, config, first, [style], start=second)(first)
    matched = Objective(network, config, first, [style], start=first)
    before = matched(first)
    matched.match(second, [style])
    assert torch.equal(matched(first).gradient, built.gradient)
    assert not torch.equal(before.gradient, built.gradient)
