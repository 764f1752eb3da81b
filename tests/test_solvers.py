"""The optimisers: known minima, torch's Adam, dense BFGS, and what they do when a loss misbehaves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from styletransfer import solvers
from styletransfer.config import Config
from styletransfer.objective import Evaluation
from styletransfer.solvers import State, start, step

SHAPE = (1, 3, 4, 5)


def evaluator(loss: Callable[[Tensor], Tensor]) -> solvers.Evaluate:
    def evaluate(image: Tensor) -> Evaluation:
        pixels = image.detach().clone().requires_grad_(True)
        value = loss(pixels)
        (gradient,) = torch.autograd.grad(value, pixels)
        return Evaluation(value.detach(), gradient, {"total": value.detach()})

    return evaluate


def draw(seed: int, shape: tuple[int, ...] = SHAPE) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def run(loss: Callable[[Tensor], Tensor], image: Tensor, config: Config, steps: int) -> State:
    state = start(image, config)
    for _ in range(steps):
        state = step(state, evaluator(loss), config)
        if state.outcome:
            break
    return state


def quadratic(seed: int, size: int = 60) -> tuple[Tensor, Tensor]:
    """A symmetric positive definite matrix of condition about 1e3, and a centre."""
    basis = torch.linalg.qr(draw(seed, (size, size))).Q
    return basis * torch.logspace(-2, 1, size, dtype=torch.float64) @ basis.T, draw(seed + 1, (size,))


def test_lbfgs_finds_the_minimum_of_a_quadratic() -> None:
    matrix, centre = quadratic(3)

    def loss(image: Tensor) -> Tensor:
        gap = image.flatten() - centre
        return gap @ matrix @ gap / 2

    state = run(loss, draw(9), Config(box=False), 300)
    assert torch.allclose(state.image.flatten(), centre, atol=1e-5)


@settings(max_examples=6)
@given(st.integers(0, 10**6))
def test_lbfgs_in_the_box_finds_the_bound_minimum(seed: int) -> None:
    """For a separable quadratic the minimum in the box is the centre, clamped."""
    centre, scales = 0.5 + draw(seed), torch.logspace(-1, 1, 60, dtype=torch.float64).view(SHAPE)
    state = run(
        lambda image: (scales * (image - centre).square()).sum(), torch.full(SHAPE, 0.5).double(), Config(), 120
    )
    assert torch.allclose(state.image, centre.clamp(0, 1), atol=1e-4)


def test_the_lbfgs_direction_is_that_of_dense_bfgs() -> None:
    """The two-loop recursion with all pairs equals the explicit inverse Hessian, started from the scaled identity."""
    matrix, _ = quadratic(5)
    moves = [draw(seed, (1, 3, 4, 5)) for seed in range(6)]
    changes = [(matrix @ move.flatten()).view(SHAPE) for move in moves]
    pairs = tuple((move, change, (move * change).sum()) for move, change in zip(moves, changes))
    gradient = draw(77)
    s, y = (each.flatten() for each in pairs[-1][:2])
    eye = torch.eye(60, dtype=torch.float64)
    inverse = (s @ y) / (y @ y) * eye
    for move, change, _ in pairs:
        s, y = move.flatten(), change.flatten()
        left = eye - torch.outer(s, y) / (s @ y)
        inverse = left @ inverse @ left.T + torch.outer(s, s) / (s @ y)
    result = solvers._two_loop_recursion(
        -gradient, pairs, solvers._initial_inverse_hessian(State(gradient, memory=pairs))
    ).flatten()
    assert torch.allclose(result, -inverse @ gradient.flatten(), rtol=1e-9)


def test_every_step_of_lbfgs_lowers_the_loss_and_meets_the_wolfe_conditions() -> None:
    def loss(image: Tensor) -> Tensor:  # Rosenbrock's valley
        x = image.flatten()
        return (100 * (x[1:] - x[:-1].square()).square() + (1 - x[:-1]).square()).sum()

    config = Config(box=False)
    evaluate = evaluator(loss)
    state = step(start(torch.zeros(SHAPE, dtype=torch.float64), config), evaluate, config)
    for _ in range(60):
        before, state = state, step(state, evaluate, config)
        assert before.evaluation and state.evaluation
        move = (state.image - before.image).flatten()
        slope = before.evaluation.gradient.flatten() @ move
        assert slope < 0
        assert state.evaluation.loss <= before.evaluation.loss + 1e-4 * slope
        assert state.evaluation.gradient.flatten() @ move >= 0.9 * slope


def test_without_a_search_lbfgs_blows_up_where_with_one_it_converges() -> None:
    """|x|^1.5 has unbounded curvature at 0: steps of fixed length jump across it."""

    def loss(image: Tensor) -> Tensor:
        return (1e6 * (image - 0.3).abs().pow(1.5)).sum() + (1e3 * (image - 0.3)).pow(4).sum()

    begin = torch.full(SHAPE, 0.9, dtype=torch.float64) - 0.1 * draw(1).abs()
    plain = Config(box=False, history=20, preconditioner="none")
    safe = run(loss, begin, plain, 40)
    bare = run(loss, begin, replace(plain, line_search="none", learning_rate=1.0), 40)
    assert safe.evaluation and bare.evaluation
    assert safe.evaluation.loss < 1e-3 * loss(begin)
    assert bare.evaluation.loss > 1e3 * safe.evaluation.loss


def test_a_loss_that_is_not_finite_ahead_is_backed_away_from() -> None:
    def loss(image: Tensor) -> Tensor:  # nothing is defined beyond 0.6, and the minimum lies close to it
        return (image - 0.59).square().sum() + 0 * (0.6 - image).log().sum()

    state = run(loss, torch.full(SHAPE, 0.1, dtype=torch.float64), Config(), 40)
    assert state.outcome in ("", "stalled")
    assert torch.allclose(state.image, torch.full(SHAPE, 0.59, dtype=torch.float64), atol=1e-3)


@pytest.mark.parametrize("optimizer", ["lbfgs", "adam"])
def test_a_loss_that_is_never_finite_ends_the_run_with_the_picture_as_it_was(optimizer: str) -> None:
    begin = torch.rand(SHAPE)
    state = run(lambda image: image.sum() * torch.nan, begin, Config(optimizer=optimizer), 3)
    assert state.outcome == "non-finite"
    assert torch.equal(solvers.result(state, Config()), begin)


def test_adam_keeps_the_best_picture_when_the_loss_breaks_later() -> None:
    config = Config(optimizer="adam", learning_rate=0.05)
    state = run(
        lambda image: (image + 1).square().sum() + 0 * (image.mean() - 0.2).log(), torch.full(SHAPE, 0.5), config, 50
    )
    assert state.outcome == "non-finite"
    assert 0.2 < float(solvers.result(state, config).mean()) < 0.3


def test_adam_is_torchs_adam() -> None:
    matrix, centre = quadratic(11)

    def loss(image: Tensor) -> Tensor:
        gap = image.flatten() - centre
        return gap @ matrix @ gap / 2

    config = Config(optimizer="adam", learning_rate=0.07, beta1=0.8, beta2=0.95, epsilon=1e-3, box=False)
    theirs = draw(2).requires_grad_(True)
    optimizer = torch.optim.Adam([theirs], lr=0.07, betas=(0.8, 0.95), eps=1e-3)
    for _ in range(25):
        optimizer.zero_grad()
        loss(theirs).backward()
        optimizer.step()
    assert torch.allclose(run(loss, draw(2), config, 25).image, theirs.detach(), rtol=1e-10, atol=1e-12)


def test_tensorflows_adam_adds_epsilon_to_the_uncorrected_root() -> None:
    config = Config(
        optimizer="adam",
        learning_rate=5.0,
        beta1=0.99,
        beta2=0.999,
        epsilon=0.1,
        epsilon_form="tensorflow",
        pixel_range=255,
    )
    image = 128 + 20 * draw(4)
    x, m, v = image.clone(), torch.zeros(SHAPE, dtype=torch.float64), torch.zeros(SHAPE, dtype=torch.float64)
    for t in range(1, 9):
        g = 2 * (x - 100)
        m, v = 0.99 * m + 0.01 * g, 0.999 * v + 0.001 * g * g
        x = (x - 5.0 * (1 - 0.999**t) ** 0.5 / (1 - 0.99**t) * m / (v.sqrt() + 0.1)).clamp(0, 255)
    assert torch.allclose(run(lambda z: (z - 100).square().sum(), image, config, 8).image, x, rtol=1e-12)


def test_the_average_is_exponential_and_free_of_its_start() -> None:
    config = Config(optimizer="adam", averaging=0.9)
    state, seen = start(torch.full(SHAPE, 0.8, dtype=torch.float64), config), []
    for _ in range(7):
        state = step(state, evaluator(lambda image: image.square().sum()), config)
        seen.append(state.image)
    weights = torch.tensor([0.9 ** (6 - k) for k in range(7)], dtype=torch.float64)
    expected = sum(w * image for w, image in zip(weights, seen, strict=True)) / weights.sum()
    assert torch.allclose(solvers.result(state, config), expected, rtol=1e-12)


def test_adams_moments_are_carried_to_the_next_scale_and_curvature_is_not() -> None:
    adam = Config(optimizer="adam")
    state = run(lambda image: (image - 0.2).square().sum(), torch.full((1, 3, 8, 8), 0.7), adam, 5)
    grown = start(torch.full((1, 3, 16, 16), 0.5), adam, state)
    assert grown.updates == 5 and [tuple(each.shape) for each in grown.memory[0]] == [(1, 3, 16, 16)] * 2
    assert torch.allclose(grown.memory[0][0].mean(), state.memory[0][0].mean(), rtol=1e-4)
    assert bool((grown.memory[0][1] >= 0).all())
    lbfgs = Config()
    state = run(lambda image: (image - 0.2).square().sum(), torch.full((1, 3, 8, 8), 0.7), lbfgs, 1)
    assert start(torch.full((1, 3, 16, 16), 0.5), lbfgs, state).memory == ()


@pytest.mark.parametrize("optimizer", ["lbfgs", "adam"])
def test_a_step_changes_no_earlier_state(optimizer: str) -> None:
    config = Config(optimizer=optimizer, averaging=0.5)

    def loss(image: Tensor) -> Tensor:
        return (image - 0.3).pow(4).sum()

    early = run(loss, torch.rand(SHAPE), config, 3)
    copies = early.image.clone(), early.average.clone(), [part.clone() for pair in early.memory for part in pair]
    first = step(early, evaluator(loss), config)
    again = step(early, evaluator(loss), config)
    assert torch.equal(first.image, again.image)
    assert torch.equal(early.image, copies[0]) and torch.equal(early.average, copies[1])
    assert all(torch.equal(a, b) for a, b in zip((p for pair in early.memory for p in pair), copies[2], strict=True))


def test_the_best_iterate_is_kept() -> None:
    config = Config(optimizer="adam", learning_rate=0.3, beta1=0.0)
    losses = []

    def loss(image: Tensor) -> Tensor:
        value = (image - 0.45).square().sum()
        losses.append((float(value.detach()), image.detach().clone()))
        return value

    state = run(loss, torch.full(SHAPE, 1.0), config, 12)
    best = min(losses, key=lambda entry: entry[0])
    assert torch.equal(solvers.result(state, config), best[1].clamp(0, 1))
    assert torch.equal(solvers.result(state, replace(config, keep="last")), state.image)
