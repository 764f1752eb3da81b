"""Statistics, distances and total variation against loops, eigenvalues and autograd of plain float64."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from oracles import content_loss, nine_point, noise, relative_error
from torch import Tensor

from styletransfer.config import STATISTICS, TOTAL_VARIATIONS
from styletransfer.losses import Moments, matrix_sqrt, mix, moments, style_loss, sums_with_passthrough, total_variation


def features(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    """Maps (1, C, h, w) of both signs, whose channels depend on each other."""
    maps = noise(1, *shape, seed=seed) * 2 - 0.7
    return (maps + maps.roll(1, 1) / 2).to(dtype)


def loop_moments(maps: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and second moment, one product at a time."""
    _, channels, height, width = maps.shape
    mean, second = torch.zeros(channels, dtype=torch.float64), torch.zeros(channels, channels, dtype=torch.float64)
    for i in range(channels):
        mean[i] = math.fsum(maps[0, i].flatten().tolist()) / (height * width)
        for j in range(channels):
            products = [float(maps[0, i, y, x] * maps[0, j, y, x]) for y in range(height) for x in range(width)]
            second[i, j] = math.fsum(products) / (height * width)
    return mean, second


def normal(mean: Tensor, covariance: Tensor) -> Moments:
    return Moments(1, mean, covariance + torch.outer(mean, mean))


def covariance(size: int, seed: int) -> Tensor:
    """Symmetric, well conditioned."""
    root = noise(size, size, seed=seed) - 0.5
    return root @ root.T + 0.3 * torch.eye(size, dtype=torch.float64)


def exact_root(matrix: Tensor) -> Tensor:
    """By eigenvalues; autograd goes through them."""
    values, vectors = torch.linalg.eigh(matrix)
    return vectors @ torch.diag(values.clamp_min(0).sqrt()) @ vectors.T


# --- moments


def test_moments_are_those_of_a_triple_loop() -> None:
    maps = features(3, 4, 5)
    result, (mean, second) = moments(maps), loop_moments(maps)
    assert result.count == 20
    assert torch.allclose(result.mean, mean, atol=1e-14)
    assert torch.allclose(result.second, second, atol=1e-14)
    assert torch.allclose(result.covariance, second - mean[:, None] * mean[None, :], atol=1e-14)


def test_moments_do_not_depend_on_the_memory_layout() -> None:
    maps = features(3, 4, 5)
    last = moments(maps.contiguous(memory_format=torch.channels_last))
    assert torch.allclose(last.second, moments(maps).second, atol=1e-14)


@given(first=st.tuples(st.integers(1, 6), st.integers(1, 6)), second=st.tuples(st.integers(1, 6), st.integers(1, 6)))
def test_a_mixture_by_position_counts_is_the_concatenation(first: tuple[int, int], second: tuple[int, int]) -> None:
    a, b = features(3, *first, seed=1), features(3, *second, seed=2) + 1
    mixed = mix([moments(a), moments(b)], [a[0, 0].numel(), b[0, 0].numel()])
    whole = moments(torch.cat([a.flatten(2), b.flatten(2)], dim=2)[..., None])
    assert torch.allclose(mixed.mean, whole.mean, atol=1e-12)
    assert torch.allclose(mixed.second, whole.second, atol=1e-12)
    assert torch.allclose(mixed.covariance, whole.covariance, atol=1e-12)


def test_the_covariance_of_a_mixture_holds_the_distance_of_its_means() -> None:
    a, b = moments(features(3, 4, 4, seed=1)), moments(features(3, 4, 4, seed=2) + 1)
    gap = a.mean - b.mean  # law of total covariance, shares 3/4 and 1/4
    wanted = 0.75 * a.covariance + 0.25 * b.covariance + 0.75 * 0.25 * torch.outer(gap, gap)
    assert torch.allclose(mix([a, b], [3, 1]).covariance, wanted, atol=1e-12)
    assert torch.equal(mix([a, b], [0, 2]).second, b.second)


@pytest.mark.parametrize("used", [(1, 1, 1), (0, 1, 1), (1, 1, 0), (1, 0, 1), (1, 0, 0)])
@pytest.mark.parametrize("guided", [False, True])
def test_what_goes_on_from_a_tap_adds_its_gradient_to_that_of_the_sums(guided: bool, used: tuple[int, ...]) -> None:
    guide = noise(1, 1, 4, 5, seed=3) if guided else None
    weights = noise(1, 3, 4, 5, seed=4), noise(3, seed=5), noise(3, 3, seed=6)

    def total(*result: Tensor) -> Tensor:
        return torch.stack(
            [(weight * value.sin()).sum() for weight, value, taken in zip(weights, result, used) if taken]
        ).sum()

    def plain(maps: Tensor) -> tuple[Tensor, ...]:
        rows = maps.flatten(2)[0].T
        weighted = rows if guide is None else rows * guide.flatten()[:, None]
        return maps, weighted.sum(0), weighted.T @ rows

    gradients = []
    for way in (lambda maps: sums_with_passthrough(maps, guide), plain):
        maps = features(3, 4, 5).requires_grad_(True)
        gradients.append(torch.autograd.grad(total(*way(maps)), maps)[0])
    assert torch.allclose(*gradients, rtol=0, atol=1e-12)


# --- content


@pytest.mark.parametrize("norm", ["sum", "mean", "relative"])
def test_content_loss_is_that_of_a_loop(norm: str) -> None:
    result, target = features(2, 3, 4, seed=1).requires_grad_(), features(2, 3, 4, seed=2)
    gaps = [(f - p) ** 2 for f, p in zip(result.detach().flatten().tolist(), target.flatten().tolist())]
    scale = {"sum": 1, "mean": 24, "relative": sum(p**2 for p in target.flatten().tolist())}[norm]
    loss = content_loss(result, target, norm)
    (gradient,) = torch.autograd.grad(loss, result)
    assert float(loss.detach()) == pytest.approx(sum(gaps) / scale, rel=1e-12)
    assert torch.allclose(gradient, 2 * (result.detach() - target) / scale, rtol=1e-12)


# --- Gram matrices and moments

# By what sum (G - A)^2 of G = F F^T / M is divided, with N channels, and the same for `picture`, which knows no M.
SCALES = {"gatys": lambda n: 4 * n**2, "mean": lambda n: n**2, "elements": lambda n: n**4}


@pytest.mark.parametrize("norm", ["relative", "gatys", "mean", "elements", "picture"])
def test_gram_loss_and_its_gradient(norm: str) -> None:
    result, target, pixels = features(3, 4, 5, seed=1).requires_grad_(), features(3, 2, 7, seed=2), 77
    f, s = result[0].flatten(1), target[0].flatten(1)
    g, a = f @ f.T, s @ s.T
    if norm == "picture":
        wanted = (g - a).square().sum() / (36 * pixels**2)
    else:
        g, a = g / 20, a / 14
        wanted = (g - a).square().sum() / (a.square().sum() if norm == "relative" else SCALES[norm](3))
    loss = style_loss(moments(result), moments(target), "gram", norm, pixels)
    gradients = [torch.autograd.grad(each, result)[0] for each in (loss, wanted)]
    assert float(loss.detach()) == pytest.approx(float(wanted.detach()), rel=1e-12)
    assert relative_error(*gradients) < 1e-12


@pytest.mark.parametrize("norm", ["relative", "mean"])
def test_moments_loss_and_its_gradient(norm: str) -> None:
    result, target = features(3, 4, 5, seed=1).requires_grad_(), features(3, 2, 7, seed=2)
    parts = []
    for f, s in ((result[0].flatten(1), target[0].flatten(1)),):
        mean, goal = f.mean(1), s.mean(1)
        cov, goal_cov = torch.cov(f, correction=0), torch.cov(s, correction=0)
        parts.append((mean - goal).square().sum() / (goal.square().sum() if norm == "relative" else 3))
        parts.append((cov - goal_cov).square().sum() / (goal_cov.square().sum() if norm == "relative" else 9))
    wanted = sum(parts) / 2 if norm == "relative" else sum(parts)
    loss = style_loss(moments(result), moments(target), "moments", norm, 1)
    gradients = [torch.autograd.grad(each, result)[0] for each in (loss, wanted)]
    assert float(loss.detach()) == pytest.approx(float(wanted.detach()), rel=1e-12)
    assert relative_error(*gradients) < 1e-12


# --- Wasserstein


@given(st.lists(st.tuples(st.floats(0.5, 2), st.floats(0.5, 2), st.floats(-2, 2)), min_size=1, max_size=6))
def test_wasserstein_of_diagonal_covariances_is_that_of_deviations(axes: list[tuple[float, float, float]]) -> None:
    """For commuting covariances: |m - n|^2 + sum (sigma - tau)^2, here with 1e-4 on both variances."""
    sigma, tau, mean = torch.tensor(axes, dtype=torch.float64).T
    result, target = normal(mean, torch.diag(sigma**2)), normal(0 * mean, torch.diag(tau**2))
    deviations = (sigma**2 + 1e-4).sqrt() - (tau**2 + 1e-4).sqrt()
    wanted = (mean.square().sum() + deviations.square().sum()) / len(axes)
    assert float(style_loss(result, target, "wasserstein", "mean", 1)) == pytest.approx(
        float(wanted), rel=1e-6, abs=1e-9
    )


def test_wasserstein_and_its_gradient_are_those_through_eigenvalues() -> None:
    mean, goal_mean = noise(5, seed=1), noise(5, seed=2)
    cov, goal = covariance(5, 3).requires_grad_(), covariance(5, 4)
    loss = style_loss(normal(mean, cov), normal(goal_mean, goal), "wasserstein", "mean", 1)
    eye = 1e-4 * torch.eye(5, dtype=torch.float64)
    root = exact_root(goal + eye)
    cross = exact_root(root @ (cov + eye) @ root)
    wanted = ((mean - goal_mean).square().sum() + (cov + goal + 2 * eye - 2 * cross).trace()) / 5
    (found_gradient,), (gradient,) = torch.autograd.grad(loss, cov), torch.autograd.grad(wanted, cov)
    assert float(loss.detach()) == pytest.approx(float(wanted.detach()), rel=1e-9)
    assert relative_error(found_gradient, gradient) < 1e-7


def test_relative_wasserstein_divides_by_the_target_s_mean_energy() -> None:
    result, target = features(3, 4, 5, seed=1), features(3, 2, 7, seed=2)
    distance = 3 * style_loss(moments(result), moments(target), "wasserstein", "mean", 1)
    energy = float(target.square().sum() / 14)
    assert float(style_loss(moments(result), moments(target), "wasserstein", "relative", 1)) == pytest.approx(
        float(distance) / energy, rel=1e-3
    )


def test_wasserstein_is_symmetric_and_zero_between_equals() -> None:
    a, b = (normal(noise(4, seed=seed), covariance(4, seed)) for seed in (1, 2))
    there, back = (style_loss(*pair, "wasserstein", "mean", 1) for pair in ((a, b), (b, a)))
    assert float(there) == pytest.approx(float(back), rel=1e-9)
    assert abs(float(style_loss(a, a, "wasserstein", "mean", 1))) < 1e-9


def test_matrix_sqrt_squares_to_the_matrix_and_passes_gradcheck() -> None:
    matrix = covariance(4, 1)
    root = matrix_sqrt(matrix)
    assert torch.allclose(root @ root, matrix, atol=1e-10)
    assert torch.allclose(root, exact_root(matrix), atol=1e-10)
    # The published gradient is for symmetric perturbations, so only those are tried.
    assert torch.autograd.gradcheck(lambda m: matrix_sqrt((m + m.T) / 2), covariance(4, 2).requires_grad_())


# --- what holds for every statistic


@pytest.mark.parametrize("statistic", STATISTICS)
def test_style_loss_passes_gradcheck(statistic: str) -> None:
    target = moments(features(2, 3, 4, seed=2))

    def loss(maps: Tensor) -> Tensor:
        return style_loss(moments(maps), target, statistic, "relative", 1)

    assert torch.autograd.gradcheck(loss, features(2, 3, 3, seed=1).requires_grad_())


@pytest.mark.parametrize("statistic", STATISTICS)
@pytest.mark.parametrize("scale", [1.0, 30.0, 1000.0])
def test_relative_losses_do_not_depend_on_the_scale_of_the_activations(statistic: str, scale: float) -> None:
    result, target = features(3, 8, 8, seed=1), features(3, 8, 8, seed=2)
    losses = [style_loss(moments(k * result), moments(k * target), statistic, "relative", 1) for k in (1.0, scale)]
    assert float(losses[1]) == pytest.approx(
        float(losses[0]), rel=1e-3
    )  # 1e-4 on Wasserstein's variances does not scale
    content = [content_loss(k * result, k * target, "relative") for k in (1.0, scale)]
    assert float(content[1]) == pytest.approx(float(content[0]), rel=1e-12)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_large_activations_in_half_precision_give_float32_statistics(dtype: torch.dtype) -> None:
    maps = 60000 * noise(1, 4, 16, 16, seed=1)  # their products are far beyond float16
    half, other = maps.to(dtype), (maps / 2).to(dtype)
    result = moments(half)
    assert result.second.dtype == result.mean.dtype == torch.float32
    assert relative_error(result.second, moments(half.double()).second) < 1e-5
    for statistic in STATISTICS:
        loss, wanted = (
            style_loss(moments(a), moments(b), statistic, "relative", 1)
            for a, b in ((half, other), (half.double(), other.double()))
        )
        assert loss.dtype == torch.float32
        assert float(loss) == pytest.approx(float(wanted), rel=1e-3)
    target = other.float()
    assert float(content_loss(half, target, "sum")) == pytest.approx(
        float((half.double() - target.double()).square().sum()), rel=1e-5
    )


def test_many_positions_cost_no_digits() -> None:
    """A flat map of 512 x 512, the hardest case for a sum in float32: its covariance is 0, up to a few roundings."""
    maps = torch.linspace(0.3, 300, 16)[None, :, None, None].expand(1, 16, 512, 512)
    result = moments(maps)
    mean = maps[0, :, 0, 0].double()
    assert relative_error(result.mean, mean) < 1e-6
    assert relative_error(result.second, torch.outer(mean, mean)) < 2e-6  # 16 roundings
    for norm in ("mean", "relative"):
        energy = float(mean.square().sum()) / (1 if norm == "relative" else 16)
        assert abs(float(style_loss(result, result, "wasserstein", norm, 1))) < 1e-5 * (energy if norm == "mean" else 1)


FLATS = {"zero": 0.0, "one": 1.0, "loud": 700.0}


@pytest.mark.parametrize("statistic", STATISTICS)
@pytest.mark.parametrize("result", FLATS)
@pytest.mark.parametrize("target", FLATS)
def test_flat_pictures_give_finite_relative_losses_and_gradients(statistic: str, result: str, target: str) -> None:
    channels = torch.linspace(0.3, 1, 16)[None, :, None, None].expand(1, 16, 30, 30)
    maps, goal = (FLATS[result] * channels).clone().requires_grad_(), FLATS[target] * channels
    losses = [style_loss(moments(maps), moments(goal), statistic, "relative", 1), content_loss(maps, goal, "relative")]
    for loss in losses:
        (gradient,) = torch.autograd.grad(loss, maps, retain_graph=True)
        assert math.isfinite(float(loss.detach())) and bool(torch.isfinite(gradient).all())
        if result == target:
            assert abs(float(loss.detach())) < 1e-3


# --- total variation


def loop_variation(image: Tensor, form: str) -> float:
    """Pixel by pixel."""
    _, channels, height, width = image.shape
    total = 0.0
    for c in range(channels):
        v = image[0, c].tolist()
        if form == "l1":
            total += sum(abs(v[y][x + 1] - v[y][x]) for y in range(height) for x in range(width - 1))
            total += sum(abs(v[y + 1][x] - v[y][x]) for y in range(height - 1) for x in range(width))
        else:
            squares = [
                (v[y][x] - v[y + 1][x]) ** 2 + (v[y][x] - v[y][x + 1]) ** 2
                for y in range(height - 1)
                for x in range(width - 1)
            ]
            total += sum(squares) / 2 if form == "l2" else sum(square**1.25 for square in squares)
    return total


@pytest.mark.parametrize("form", ["l1", "l2", "power"])
def test_total_variation_is_that_of_a_loop(form: str) -> None:
    image = noise(1, 3, 5, 4)
    assert float(total_variation(image, form)) == pytest.approx(loop_variation(image, form), rel=1e-12)


def test_nine_point_variation_is_the_published_one() -> None:
    image = noise(1, 3, 5, 4)
    assert float(total_variation(image, "nine-point")) == pytest.approx(float(nine_point(image[0])), rel=1e-12)
    # A ramp of slope 1 across, 3 wide: dx^2 is 1 but for the last column, diagonals 1 but for the border's two columns.
    ramp = torch.arange(3.0, dtype=torch.float64).expand(1, 3, 2, 3)
    assert float(total_variation(ramp, "nine-point")) == pytest.approx(2 * ((2 / 3) / 3 + 2 * (2 / 4) / 12))


def test_johnson_s_variation_has_johnson_s_gradient() -> None:
    """jcjohnson/neural-style has no loss, only this gradient: every difference at the pixel and at its neighbour."""
    image = noise(1, 3, 4, 5).requires_grad_()
    (gradient,) = torch.autograd.grad(total_variation(image, "l2"), image)
    wanted, v = torch.zeros(3, 4, 5, dtype=torch.float64), image.detach()[0]
    for y in range(3):
        for x in range(4):
            across, down = v[:, y, x] - v[:, y, x + 1], v[:, y, x] - v[:, y + 1, x]
            wanted[:, y, x] += across + down
            wanted[:, y, x + 1] -= across
            wanted[:, y + 1, x] -= down
    assert torch.allclose(gradient[0], wanted, atol=1e-14)


@pytest.mark.parametrize("form", TOTAL_VARIATIONS)
def test_total_variation_passes_gradcheck_and_is_zero_on_a_flat_picture(form: str) -> None:
    assert torch.autograd.gradcheck(lambda image: total_variation(image, form), noise(1, 3, 3, 4).requires_grad_())
    flat = torch.full((1, 3, 4, 4), 0.3, requires_grad=True)
    loss = total_variation(flat, form)
    (gradient,) = torch.autograd.grad(loss, flat)
    assert float(loss.detach()) == 0 and not bool(gradient.any())
