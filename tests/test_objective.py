"""The loss of one scale: which terms it has, what they weigh, and its gradient against finite differences."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from oracles import FIVE, SMALL, gram, noise, positions, random_network, torchvision_input, vgg
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from styletransfer import losses, objective, solvers, spectrum
from styletransfer.config import STATISTICS, TOTAL_VARIATIONS, Config
from styletransfer.features import Design, Network, load_network
from styletransfer.images import load_image
from styletransfer.losses import moments, total_variation
from styletransfer.objective import Objective, term_weights
from styletransfer.pixels import cover, resize

CONFIG = Config(content_layers=("relu4_2",), style_layers=FIVE, tv_weight=0.1)
SHALLOW = ("relu1_1", "relu2_1")


def picture(seed: int, height: int = 32, width: int = 40) -> Tensor:
    return noise(1, 3, height, width, seed=seed)


def terms(
    network: Network, config: Config, content: Tensor | None, styles: list[Tensor], image: Tensor
) -> dict[str, float]:
    evaluation = Objective(network, config, content, styles)(image)
    return {name: float(value) for name, value in evaluation.terms.items()}


def halved(image: Tensor) -> Tensor:
    """Means of 2 x 2 pixels; an odd last row or column is dropped."""
    _, _, height, width = image.shape
    rows = [
        [image[..., 2 * y : 2 * y + 2, 2 * x : 2 * x + 2].mean((2, 3)) for x in range(width // 2)]
        for y in range(height // 2)
    ]
    return torch.stack([torch.stack(row, -1) for row in rows], -2)


# --- terms


def test_terms_are_named_by_layer_and_add_up_to_the_loss(network: Network) -> None:
    evaluation = Objective(network, CONFIG, picture(1), [picture(2)])(picture(3))
    assert set(evaluation.terms) == {"content/relu4_2", "tv/pixels", *(f"style/{layer}" for layer in FIVE)}
    assert float(evaluation.loss) == pytest.approx(math.fsum(map(float, evaluation.terms.values())), rel=1e-14)
    assert evaluation.gradient.shape == (1, 3, 32, 40)


def test_layer_weights_scale_their_terms(network: Network) -> None:
    even = terms(network, CONFIG, picture(1), [picture(2)], picture(3))
    skewed = replace(CONFIG, style_layer_weights=(5.0, 1.0, 0.5, 0.0, 2.0), style_weight=3.0, content_weight=7.0)
    result = terms(network, skewed, picture(1), [picture(2)], picture(3))
    for layer, weight in zip(FIVE, skewed.style_layer_weights):
        wanted = even[f"style/{layer}"] * 5 * weight * 3  # equal weights are 1/5 each
        assert result.get(f"style/{layer}", 0.0) == pytest.approx(wanted, rel=1e-12)
    assert result["content/relu4_2"] == pytest.approx(even["content/relu4_2"] * 7 / CONFIG.content_weight, rel=1e-12)


@pytest.mark.parametrize(
    ("config", "content", "styles", "kinds"),
    [
        (CONFIG, None, True, {"style", "tv"}),
        (CONFIG, True, False, {"content", "tv"}),
        (replace(CONFIG, tv_weight=0.0), True, True, {"content", "style"}),
        (replace(CONFIG, content_weight=0.0), True, True, {"style", "tv"}),
        (replace(CONFIG, style_weight=0.0), True, True, {"content", "tv"}),
        (replace(CONFIG, style_layer_weights=(0.0,) * 5), True, True, {"content", "tv"}),
        (replace(CONFIG, strength=0), True, True, {"content"}),
        (replace(CONFIG, strength=100), True, True, {"style", "tv"}),
    ],
)
def test_a_term_without_a_picture_or_weight_is_not_built(
    network: Network, config: Config, content: bool | None, styles: bool, kinds: set[str]
) -> None:
    objective = Objective(network, config, picture(1) if content else None, [picture(2)] if styles else [])
    assert {name.split("/")[0] for name in objective(picture(3)).terms} == kinds
    assert bool(objective.content_targets) == ("content" in kinds)
    assert bool(objective.style_targets) == ("style" in kinds)


def test_the_network_computes_no_layer_without_a_weight(network: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[set[str]] = []
    backbone = network.backbone
    monkeypatch.setattr(
        network, "backbone", lambda image, layers, tap: asked.append(set(layers)) or backbone(image, layers, tap)
    )
    config = replace(CONFIG, content_weight=0.0, style_layer_weights=(1.0, 0.0, 1.0, 0.0, 0.0))
    Objective(network, config, picture(1), [picture(2)])(picture(3))
    assert asked == [{"relu1_1", "relu3_1"}] * 2
    asked.clear()
    Objective(network, replace(CONFIG, content_weight=0.0, style_weight=0.0), picture(1), [picture(2)])(picture(3))
    assert asked == []


def test_with_nothing_to_do_the_picture_stays(network: Network) -> None:
    evaluation = Objective(network, replace(CONFIG, content_weight=0.0, tv_weight=0.0), picture(1), [])(picture(3))
    assert float(evaluation.loss) == 0 and not bool(evaluation.gradient.any())


class Formats(TorchDispatchMode):
    """Number formats of all tensors that are made meanwhile."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: set[torch.dtype] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        self.seen |= {tree_leave.dtype for tree_leave in tree_leaves(result) if isinstance(tree_leave, torch.Tensor)}
        return result


@pytest.mark.parametrize("optimizer", ["lbfgs", "adam"])
@pytest.mark.parametrize("device", ["mps", "cuda"])
def test_no_step_uses_float64_on_mps_which_has_none(
    network: Network, optimizer: str, device: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    width = losses.widest(torch.device(device))
    for module in (objective.total, solvers, spectrum):
        monkeypatch.setattr(module, "widest", lambda _: width)
    config = replace(CONFIG, optimizer=optimizer)
    single = copy.deepcopy(network).to_working(torch.device("cpu"), torch.float32)
    evaluate = Objective(single, config, picture(1).float(), [picture(2).float()], start=picture(4).float())
    state = solvers.step(solvers.start(picture(3).float(), config), evaluate, config)
    with Formats() as formats:
        solvers.step(state, evaluate, config)
    assert torch.float32 in formats.seen
    assert (torch.float64 in formats.seen) == (device == "cuda")


# --- strength


def test_strength_has_known_weights_at_its_marks() -> None:
    config = replace(
        CONFIG, content_weight=2.0, style_weight=3.0, nearest_weight=4.0, tv_weight=0.5, temporal_weight=0.25
    )
    weights = {strength: term_weights(replace(config, strength=strength)) for strength in (0, 50, 100)}
    assert weights == {0: (2.0, 0.0, 0.0, 0.0, 0.0), 50: (2.0, 3.0, 4.0, 0.5, 0.25), 100: (0.0, 3.0, 4.0, 0.5, 0.25)}


@given(st.floats(0.01, 99.9), st.floats(0.01, 99.9))
def test_strength_tilts_style_over_content_geometrically(a: float, b: float) -> None:
    """Every step of the slider multiplies style over content alike; 50 steps by 100."""
    ratios = []
    for strength in (a, b):
        content, style, *_ = term_weights(replace(CONFIG, strength=strength))
        ratios.append(style / content)
        assert content <= CONFIG.content_weight and style <= CONFIG.style_weight
        assert content == CONFIG.content_weight or style == CONFIG.style_weight
    assert math.log(ratios[1] / ratios[0], 100) == pytest.approx((b - a) / 50, abs=1e-9)


# --- several styles


@pytest.mark.parametrize("weights", [(), (1.0, 3.0, 0.5)])
def test_several_styles_are_one_mixture(network: Network, weights: tuple[float, ...]) -> None:
    """The target's Gram matrix is the weighted mean of the styles', by the plain formula."""
    styles = [picture(2), picture(4, 48, 32), picture(5, 64, 32)]
    config = replace(CONFIG, style_weights=weights, style_norm="gatys", content_weight=0.0, tv_weight=0.0)
    result = terms(network, config, None, styles, picture(3))
    maps = [vgg(network.state_dict(), Design(SMALL), torchvision_input(each[0])) for each in (picture(3), *styles)]
    shares = [weight / sum(weights or (3,)) for weight in weights or (1, 1, 1)]
    for layer in FIVE:
        grams = [gram(each[layer]) / positions(each[layer]) for each in maps]
        gap = grams[0] - sum(share * each for share, each in zip(shares, grams[1:]))
        assert result[f"style/{layer}"] == pytest.approx(float(gap.square().sum()) / (4 * len(gap) ** 2) / 5, rel=1e-6)


@pytest.mark.parametrize("statistic", STATISTICS)
def test_the_same_style_twice_is_that_style_and_a_weight_of_0_is_none(network: Network, statistic: str) -> None:
    config = replace(CONFIG, style_statistic=statistic)
    once = terms(network, config, picture(1), [picture(2)], picture(3))
    twice = terms(network, replace(config, style_weights=(0.3, 5.0)), picture(1), [picture(2)] * 2, picture(3))
    absent = terms(network, replace(config, style_weights=(2.0, 0.0)), picture(1), [picture(2), picture(4)], picture(3))
    assert twice == pytest.approx(once, rel=1e-9)
    assert absent == pytest.approx(once, rel=1e-9)


def test_targets_of_an_earlier_objective_are_as_good_as_the_styles(network: Network) -> None:
    first = Objective(network, CONFIG, picture(1), [picture(2)])
    again = Objective(network, CONFIG, picture(1), [], first.style_targets)
    assert torch.equal(again(picture(3)).gradient, first(picture(3)).gradient)


# --- the gradient


@pytest.mark.parametrize("statistic", STATISTICS)
@pytest.mark.parametrize("tv", TOTAL_VARIATIONS)
def test_gradient_is_that_of_central_differences(network: Network, statistic: str, tv: str) -> None:
    config = replace(CONFIG, style_statistic=statistic, tv=tv, tv_weight=0.5, content_weight=1.0, pixel_range=255)
    objective = Objective(network, config, picture(1), [picture(2)])
    image, step = picture(3), 1e-5
    gradient = objective(image).gradient
    for seed in (4, 5):
        direction = picture(seed) - 0.5
        ahead, behind = (float(objective(image + sign * step * direction).loss) for sign in (1, -1))
        # Twelve steps do not carry the root's gradient all the way where a covariance is of four positions.
        tolerance = 1e-2 if statistic == "wasserstein" else 1e-4
        assert float((gradient * direction).sum()) == pytest.approx((ahead - behind) / (2 * step), rel=tolerance)


@contextmanager
def inference() -> Iterator[None]:
    with torch.inference_mode():
        yield


@pytest.mark.parametrize("mode", [torch.no_grad, inference])
@pytest.mark.parametrize("statistic", STATISTICS)
def test_gradient_is_the_same_in_every_grad_mode(network: Network, mode: type, statistic: str) -> None:
    config = replace(CONFIG, style_statistic=statistic)
    outside = Objective(network, config, picture(1), [picture(2)])
    wanted = outside(picture(3))
    with mode():
        within = outside(picture(3)), Objective(network, config, picture(1), [picture(2)])(picture(3))
    for result in within:
        assert torch.equal(result.gradient, wanted.gradient)
        assert torch.equal(result.loss, wanted.loss)
        assert not result.gradient.is_inference() and not result.gradient.requires_grad


def test_the_picture_given_is_neither_changed_nor_tracked(network: Network) -> None:
    image = picture(3).requires_grad_()
    evaluation = Objective(network, CONFIG, picture(1), [picture(2)])(image)
    assert torch.equal(image.detach(), picture(3)) and image.grad is None
    assert not any(value.requires_grad for value in (evaluation.loss, evaluation.gradient, *evaluation.terms.values()))


def test_half_precision_features_give_the_loss_and_a_float32_gradient() -> None:
    layers = (*FIVE, "relu4_2")
    exact, half = (random_network(Design(SMALL), layers, dtype) for dtype in (torch.float64, torch.bfloat16))
    wanted = Objective(exact, CONFIG, picture(1), [picture(2)])(picture(3))
    result = Objective(half, CONFIG, picture(1).float(), [picture(2).float()])(picture(3).float())
    assert result.gradient.dtype == torch.float32
    assert float(result.loss) == pytest.approx(float(wanted.loss), rel=0.03)
    cosine = torch.nn.functional.cosine_similarity(result.gradient.flatten().double(), wanted.gradient.flatten(), 0)
    assert float(cosine) > 0.9


# --- relative weights


@pytest.mark.parametrize("tv", TOTAL_VARIATIONS)
@pytest.mark.parametrize("size", [(32, 40), (64, 80), (48, 33)])
def test_relative_variation_of_the_content_itself_is_the_weight(
    network: Network, tv: str, size: tuple[int, int]
) -> None:
    """With a content it is measured by that; without one, by the mean of the styles."""
    config = replace(CONFIG, tv=tv, tv_weight=0.7, content_weight=0.0, style_weight=0.0)
    content = picture(1, *size)
    assert terms(network, config, content, [], content)["tv/pixels"] == pytest.approx(0.7)
    shares = [terms(network, config, None, [content, picture(2)], each)["tv/pixels"] for each in (content, picture(2))]
    assert sum(shares) / 2 == pytest.approx(0.7)


@pytest.mark.parametrize("strength", [20, 50, 80])
@pytest.mark.parametrize("part", [0.0, 0.4, 1.0])
def test_the_flatter_the_content_the_more_the_style_is_the_measure(
    network: Network, part: float, strength: float
) -> None:
    """Of the variation below which a content is flat it has a part: so much do its own amounts count, and the rest
    those of the style.
    """

    def variation_of(image: Tensor) -> float:
        return float(total_variation(image, "l1")) / image.numel()

    style, rough = picture(2), picture(1)
    coarse, style_coarse = (variation_of(halved(halved(image))) for image in (rough, style))
    content = 0.5 + (rough - 0.5) * part * objective.FLAT * style_coarse / coarse
    own, theirs = variation_of(content), variation_of(style)
    config = replace(CONFIG, strength=strength, tv_weight=0.7, content_norm="relative")
    loss = Objective(network, config, content, [style])
    tilt = min(1.0, 100 ** ((strength - 50) / 50))
    variation, energy = own, {layer: float(target.square().sum()) for layer, target in loss.content_targets.items()}
    if part < 1:
        maps = Objective(network, config, style, [style]).content_targets
        energies = {layer: float(values.square().sum()) / values[0, 0].numel() for layer, values in maps.items()}
        variation = part * own + (1 - part) * theirs
        for layer, target in loss.content_targets.items():
            energy[layer] = part * energy[layer] + (1 - part) * energies[layer] * target[0, 0].numel()
    assert loss.tv_weight == pytest.approx(0.7 * (part + (1 - part) * tilt) / variation)
    assert {layer: float(scale) for layer, scale in loss.content_scales.items()} == pytest.approx(energy)


def test_noise_of_one_level_leaves_a_content_flat(network: Network) -> None:
    flat = torch.full((1, 3, 96, 96), 0.5, dtype=torch.float64)
    style = picture(2, 12, 12).repeat_interleave(8, 2).repeat_interleave(8, 3)
    noisy = flat + (picture(1, 96, 96) * 3 - 1).floor() / 255
    config = replace(CONFIG, content_norm="relative")
    scales = [float(Objective(network, config, image, [style]).content_scales["relu4_2"]) for image in (flat, noisy)]
    assert scales[1] == pytest.approx(scales[0], rel=0.2)


def test_flat_pictures_have_a_finite_loss_and_gradient(network: Network) -> None:
    flat, black = torch.full((1, 3, 32, 40), 0.5, dtype=torch.float64), torch.zeros(1, 3, 32, 40, dtype=torch.float64)
    for statistic in STATISTICS:
        config = replace(CONFIG, style_statistic=statistic)
        for content, style, image in ((flat, black, picture(3)), (black, flat, flat), (flat, flat, flat)):
            evaluation = Objective(network, config, content, [style])(image)
            assert math.isfinite(float(evaluation.loss)) and bool(torch.isfinite(evaluation.gradient).all())


def test_relative_losses_mean_the_same_at_256_and_1024_pixels(shared: Path) -> None:
    """On real weights and pictures, half content and half style: within 15 % of each other."""
    layers = ("relu1_1", "relu2_1", "relu3_1")
    weights = shared / "weights" / "vgg19_caffe_blocks1-3.safetensors"
    config = Config(
        network="vgg19-caffe",
        weights=str(weights),
        device="cpu",
        precision="float32",
        style_layers=layers,
        content_layers=("relu2_2",),
        tv="l1",
        tv_weight=1.0,
    )
    network = load_network(config)
    content, style = (
        cover(load_image(shared / "images" / name), (512, 1024))
        for name in ("content/tubingen.jpg", "style/starry_night.jpg")
    )
    losses = []
    for size in ((128, 256), (512, 1024)):
        pair = [resize(image, size) for image in (content, style)]
        objective = Objective(network, config, pair[0], pair[1:])
        with torch.no_grad():  # the gradient, which is not looked at, would take twice as long as the loss
            losses.append({name: float(term) for name, term in objective._terms((pair[0] + pair[1]) / 2).items()})
    for term in ("content", "style", "tv"):
        small, large = (sum(value for name, value in losse.items() if name.startswith(term)) for losse in losses)
        assert large == pytest.approx(small, rel=0.15)


# --- regions


def half_mask(height: int, width: int) -> Tensor:
    """1 on the left, falling softly to 0 on the right."""
    return torch.linspace(3, -3, width, dtype=torch.float64).sigmoid().expand(1, 1, height, width)


def test_a_mask_of_ones_is_no_mask(network: Network) -> None:
    pair = picture(1, 96, 80), [picture(2, 96, 80)]
    plain = Objective(network, CONFIG, *pair)(picture(3, 96, 80))
    masked = Objective(network, CONFIG, *pair, masks=[torch.ones(1, 1, 96, 80, dtype=torch.float64)])
    result = masked(picture(3, 96, 80))
    assert torch.allclose(result.gradient, plain.gradient, rtol=1e-9, atol=1e-15)
    assert float(result.loss) == pytest.approx(float(plain.loss), rel=1e-12)


def test_a_region_has_the_gram_matrix_of_its_own_positions(network: Network) -> None:
    """A loop over positions: each counts with the mask's mean over its square (Gatys et al. 2017, section 4)."""
    layer, (height, width) = "relu2_1", (16, 24)
    config = Config(style_layers=(layer,), content_weight=0.0, tv_weight=0.0)
    mask, style, image = half_mask(height, width), picture(2, height, width), picture(3, height, width)
    loss = float(Objective(network, config, None, [style], masks=[mask])(image).loss)
    maps = network(image, (layer,))[layer][0]
    total, second = 0.0, torch.zeros(maps.shape[0], maps.shape[0], dtype=torch.float64)
    for y in range(height // 2):
        for x in range(width // 2):
            weight = float(mask[0, 0, 2 * y : 2 * y + 2, 2 * x : 2 * x + 2].mean())
            second += weight * torch.outer(maps[:, y, x], maps[:, y, x])
            total += weight
    rows = network(style, (layer,))[layer][0].flatten(1)
    target = rows @ rows.T / rows.shape[1]
    gap = float((second / total - target).square().sum() / target.square().sum())
    assert loss == pytest.approx(float(mask.mean()) * gap, rel=1e-9)


def test_what_is_masked_out_is_not_pulled_to_the_style(network: Network) -> None:
    """Beyond the reach of the layers, a hard mask's style leaves the other side's gradient 0."""
    mask = torch.zeros(1, 1, 64, 96, dtype=torch.float64)
    mask[..., :32] = 1
    config = Config(style_layers=SHALLOW, content_weight=0.0, tv_weight=0.0)
    style, image = picture(2, 64, 96), picture(3, 64, 96)
    gradient = Objective(network, config, None, [style], masks=[mask])(image).gradient
    reach = sum(network.reach("relu2_1"))
    assert float(gradient[..., 32 + reach :].abs().max()) == 0 and float(gradient[..., :32].abs().max()) > 0


def test_a_style_without_a_mask_takes_the_rest(network: Network) -> None:
    config = replace(CONFIG, content_weight=0.0, tv_weight=0.0)
    styles, image, mask = [picture(2), picture(4)], picture(3), half_mask(32, 40)
    rest = Objective(network, config, None, styles, masks=[mask, None])(image)
    stated = Objective(network, config, None, styles, masks=[mask, 1 - mask])(image)
    assert float(rest.loss) == pytest.approx(float(stated.loss), rel=1e-12)
    swapped = Objective(network, config, None, styles, masks=[1 - mask, None])(image)
    assert float(swapped.loss) != pytest.approx(float(stated.loss), rel=1e-3)


# --- tiles


@given(st.integers(64, 120), st.integers(64, 120), st.sampled_from((16, 32, 48)), st.booleans())
def test_tiled_is_untiled(height: int, width: int, tile: int, masked: bool) -> None:
    network = random_network(Design(SMALL), (*FIVE, "relu4_2"))
    config = replace(CONFIG, nearest_weight=2.0)
    size = height, width
    masks = [half_mask(*size), None] if masked else None
    content, styles, image = picture(1, *size), [picture(2, 80, 70), picture(4, *size)], picture(3, *size)
    options: dict[str, Any] = {"masks": masks, "start": picture(5, *size)}
    whole = Objective(network, config, content, styles, **options)(image)
    tiled = Objective(network, config, content, styles, tile=tile, **options)(image)
    assert float((tiled.gradient - whole.gradient).norm()) <= 1e-9 * float(whole.gradient.norm())
    assert list(tiled.terms) == list(whole.terms)
    for name, value in whole.terms.items():
        assert float(tiled.terms[name]) == pytest.approx(float(value), rel=1e-9)


def test_tiled_is_untiled_on_real_weights_in_float32(shared: Path) -> None:
    weights = str(shared / "weights" / "vgg19_caffe_blocks1-3.safetensors")
    config = Config(
        network="vgg19-caffe",
        weights=weights,
        style_layers=("relu1_1", "relu2_1", "relu3_1"),
        content_layers=("relu3_4",),
        content_weight=0.02,
        pooling="average",  # with max, rounding picks another maximum in a few places
        precision="float32",
        device="cpu",
    )
    network = load_network(config)
    content = resize(load_image(shared / "images" / "content" / "tubingen.jpg"), (150, 200))
    style = resize(load_image(shared / "images" / "style" / "night_cafe.jpg"), (160, 200))
    whole, tiled = (Objective(network, config, content, [style], tile=tile)(content).gradient for tile in (0, 64))
    assert float((tiled - whole).norm()) <= 1e-5 * float(whole.norm())


def test_moments_pass_through_a_head(network: Network) -> None:
    """The head on the maps, and on their moments."""
    maps, weight, bias = noise(1, 6, 7, 5), noise(9, 6, seed=1), noise(9, seed=2)
    wanted = moments(torch.nn.functional.conv2d(maps, weight[:, :, None, None], bias), half_mask(7, 5))
    result = moments(maps, half_mask(7, 5)).through((weight, bias))
    assert torch.allclose(result.mean, wanted.mean, atol=1e-12) and torch.allclose(result.second, wanted.second)
