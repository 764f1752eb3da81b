"""Optimisers of a picture: L-BFGS and Adam as pure functions from one state to the next.

States are immutable, so that a run can be stopped, kept and continued at any step.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from .config import Config
from .losses import widest
from .objective import Evaluation
from .pixels import resample, size_of
from .spectrum import Spectrum, updated

Evaluate = Callable[[Tensor], Evaluation]

FIRST_MOVE = 0.02  # RMS change of the picture in the first trial of L-BFGS, as a share of its range
SUFFICIENT, CURVATURE = 1e-4, 0.9  # Wolfe conditions, Nocedal and Wright 2006, section 3.1
TRIALS = 20  # most evaluations of one line search


@dataclass(frozen=True)
class State:
    """The state of an optimisation.

    image: the iterate (1, 3, H, W) in 0 .. pixel_range; evaluation: with L-BFGS of this iterate, with Adam of the
    iterate before it; iteration, evaluations: counts at this scale; memory: the (s, y, s.y) of L-BFGS, or one pair of
    Adam's moments; updates: Adam's steps in all scales; spectrum: the curvature that L-BFGS has measured; average: the
    running average (without bias correction) or None; best, best_loss: the evaluated picture of the lowest loss;
    outcome: "" while running, "stalled" (no step lowers the loss) or "non-finite".
    """

    image: Tensor
    evaluation: Evaluation | None = None
    iteration: int = 0
    evaluations: int = 0
    memory: tuple[tuple[Tensor, ...], ...] = ()
    updates: int = 0
    spectrum: Spectrum | None = None
    average: Tensor | None = None
    best: Tensor | None = None
    best_loss: float = math.inf
    outcome: str = ""


def start(image: Tensor, config: Config, previous: State | None = None) -> State:
    """The state before the first step at a scale, with the last scale's spectrum, and its L-BFGS pairs where the size
    stays (new matches change the curvature little), or Adam's moments, resampled.

    Resampled as in Crowson's style-transfer-pytorch: the first moment bicubic, the second bilinear and not negative.
    """
    state, size = State(image, spectrum=None if previous is None else previous.spectrum), size_of(image)
    if previous is None or not previous.memory:
        return state
    if config.optimizer == "lbfgs":
        return replace(state, memory=previous.memory) if size == size_of(previous.image) else state
    first, second = previous.memory[0]
    memory = (resample(first, size), resample(second, size, "bilinear").clamp_min(0))
    return replace(state, memory=(memory,), updates=previous.updates)


def step(state: State, evaluate: Evaluate, config: Config) -> State:
    """One iteration of the configured optimiser."""
    after = _adam(state, evaluate, config) if config.optimizer == "adam" else _lbfgs(state, evaluate, config)
    after = replace(after, iteration=state.iteration + 1)
    if after.outcome or not config.averaging:
        return after
    average = torch.zeros_like(after.image) if state.average is None else state.average
    return replace(after, average=config.averaging * average + (1 - config.averaging) * after.image)


def result(state: State, config: Config) -> Tensor:
    """The picture of a state, in [0, 1]: the running average, if any, else the best or the last iterate."""
    image = state.image
    if state.average is not None and not state.outcome:
        image = state.average / (1 - config.averaging**state.iteration)
    elif state.best is not None and (config.keep == "best" or state.outcome == "non-finite"):
        image = state.best
    return (image / config.pixel_range).clamp(0, 1)


# --- Adam (Kingma and Ba, 2015)


def _adam(state: State, evaluate: Evaluate, config: Config) -> State:
    evaluation = evaluate(state.image)
    state = _with_best(replace(state, evaluation=evaluation, evaluations=state.evaluations + 1))
    if state.outcome:
        return state
    gradient, count = evaluation.gradient, state.updates + 1
    zeros = torch.zeros_like(gradient)
    first, second = state.memory[0] if state.memory else (zeros, zeros)
    first = config.beta1 * first + (1 - config.beta1) * gradient
    second = config.beta2 * second + (1 - config.beta2) * gradient.square()
    correction = math.sqrt(1 - config.beta2**count)
    # TensorFlow adds epsilon to the uncorrected root, the form of the paper's section 2 ("epsilon hat").
    eps = config.epsilon if config.epsilon_form == "tensorflow" else config.epsilon * correction
    rate = config.learning_rate * correction / (1 - config.beta1**count)
    image = _clamped(state.image - rate * first / (second.sqrt() + eps), config)
    return replace(state, image=image, memory=((first, second),), updates=count)


# --- L-BFGS (Liu and Nocedal, 1989) with projection onto the box (Bertsekas, 1982) and a Wolfe line search
#
# s is a step of the image, y the change of the gradient along it, as in Nocedal and Wright 2006, section 7.2.


def _lbfgs(state: State, evaluate: Evaluate, config: Config) -> State:
    if state.evaluation is None:
        state = _with_best(replace(state, evaluation=evaluate(state.image), evaluations=1))
        if state.outcome:
            return state
    after, evaluations = _next_iterate(state, evaluate, config)
    if after is None and state.memory:  # the pairs no longer describe the loss: try steepest descent
        state = replace(state, memory=(), spectrum=None)
        after, more = _next_iterate(state, evaluate, config)
        evaluations += more
    if after is None:
        return replace(state, evaluations=state.evaluations + evaluations, outcome="stalled")
    assert state.evaluation is not None and after.evaluation is not None
    s = after.image - state.image
    # A pixel that stays at its bound has no information on the curvature of the free ones.
    y = (after.evaluation.gradient - state.evaluation.gradient).mul_(s != 0)
    sy = _dot(s, y)
    curvature, s_norm, y_norm = read_scalars(sy, s.norm(), y.norm())
    after = replace(after, evaluations=state.evaluations + evaluations)
    if not curvature > 1e-8 * s_norm * y_norm:  # only positive curvature keeps the direction a descent direction
        return after
    spectrum = updated(state.spectrum, s, y) if config.preconditioner == "spectrum" else None
    memory = (*state.memory, (s, y, sy))[-config.history :]
    return replace(after, memory=memory, spectrum=spectrum)


def _next_iterate(state: State, evaluate: Evaluate, config: Config) -> tuple[State | None, int]:
    """The state at the next iterate, None if no trial lowers the loss, and the number of evaluations."""
    direction = _direction(state, config)
    length = _later_length(config) if state.memory else _first_length(direction, config)
    if config.line_search == "none":
        return _fixed_step(state, direction, length, evaluate, config), 1
    return _line_search(state, direction, length, evaluate, config)


def _direction(state: State, config: Config) -> Tensor:
    """The L-BFGS direction for the pixels that stay inside the box; pixels that would leave it move to their bound.

    Pixels at a bound, or moved to one, are constants for the inverse Hessian (Bertsekas, 1982). If steps were only
    clamped to the box, they would not be the model's steps: some line searches then took twenty evaluations.
    """
    assert state.evaluation is not None
    gradient, precondition = state.evaluation.gradient, _initial_inverse_hessian(state)

    def restricted(free: Tensor) -> Tensor:
        """-H g over the free pixels (1, 3, H, W), 0 elsewhere."""
        mask = free.to(gradient.dtype)  # multiplying by it takes a tenth of a masked fill's time
        downhill = gradient.neg().mul_(mask)
        return _two_loop_recursion(
            downhill, state.memory, lambda values: precondition(values.mul_(mask)).mul_(mask)
        ).mul_(mask)

    free = ~_at_active_bound(gradient, state.image, config)
    direction = restricted(free)
    if not config.box or not state.memory:
        return direction
    target = direction.add_(state.image)
    stays_inside = (target >= 0) & (target <= config.pixel_range)
    to_bounds = target.clamp_(0, config.pixel_range).sub_(state.image)
    return torch.where(stays_inside, restricted(free & stays_inside), to_bounds)


def _initial_inverse_hessian(state: State) -> Callable[[Tensor], Tensor]:
    """H0 of the two-loop recursion: the spectrum's inverse, or the identity without one, scaled by the newest (s, y)
    pair as in Nocedal and Wright 2006, eq. 7.20; unscaled before the first pair.
    """
    precondition = torch.clone if state.spectrum is None else state.spectrum.divider(state.image)
    if not state.memory:
        return precondition
    _, y, sy = state.memory[-1]
    scale = sy / _dot(y, precondition(y))
    return lambda values: precondition(values).mul_(scale)


def _two_loop_recursion(
    direction: Tensor, memory: tuple[tuple[Tensor, ...], ...], precondition: Callable[[Tensor], Tensor]
) -> Tensor:
    """-H g from -g, which is overwritten (Nocedal and Wright 2006, algorithm 7.4); `memory` holds (s, y, s.y)."""
    alphas = []
    for s, y, sy in reversed(memory):
        alphas.append(_dot(s, direction) / sy)
        direction.addcmul_(y, alphas[-1], value=-1)
    direction = precondition(direction)
    for (s, y, sy), alpha in zip(memory, reversed(alphas)):
        direction.addcmul_(s, alpha - _dot(y, direction) / sy)
    return direction


def _line_search(
    state: State, direction: Tensor, length: float, evaluate: Evaluate, config: Config
) -> tuple[State | None, int]:
    """A point along the projected direction that meets the weak Wolfe conditions, and the number of evaluations.

    Bracketing and bisection of Lewis and Overton 2013 (algorithm 2.6), which needs no interpolation and nearly always
    accepts the first trial; a trial with a non-finite loss counts as too long. None for a direction that is not a
    descent direction, or if no trial lowers the loss.
    """
    assert state.evaluation is not None
    gradient = state.evaluation.gradient
    directional_derivative, low, high = _dot(direction, gradient), 0.0, math.inf
    lowest: State | None = None
    for trial in range(1, TRIALS + 1):
        image = _clamped(state.image + length * direction, config)
        evaluation = evaluate(image)
        s = image - state.image
        # All decisions from one copy: the device is idle until it arrives.
        descent, loss_before, loss, slope_before, slope = read_scalars(
            directional_derivative,
            state.evaluation.loss,
            evaluation.loss,
            _dot(gradient, s),
            _dot(evaluation.gradient, s),  # non-finite if any gradient is
        )
        if not descent < 0:
            return None, trial
        decreased = loss <= loss_before + SUFFICIENT * slope_before and slope_before < 0
        if not (decreased and math.isfinite(loss) and math.isfinite(slope)):
            high = length
        else:
            lowest = replace(state, image=image, evaluation=evaluation)
            if loss < state.best_loss:
                lowest = replace(lowest, best=image, best_loss=loss)
            if slope >= CURVATURE * slope_before:
                return lowest, trial
            low = length
        length = (low + high) / 2 if math.isfinite(high) else 2 * low
    return lowest, TRIALS


def _fixed_step(state: State, direction: Tensor, length: float, evaluate: Evaluate, config: Config) -> State:
    """A step without a line search, as other systems run L-BFGS."""
    image = _clamped(state.image + length * direction, config)
    return _with_best(replace(state, image=image, evaluation=evaluate(image)))


def _first_length(direction: Tensor, config: Config) -> float:
    if config.line_search == "none":  # the rule of torch.optim.LBFGS
        return min(1.0, 1.0 / max(float(direction.abs().sum()), 1e-300)) * config.learning_rate
    rms = float(direction.cpu().double().square().mean().sqrt())  # small squares need float64, which MPS lacks
    return FIRST_MOVE * config.pixel_range / max(rms, 1e-300)


def _later_length(config: Config) -> float:
    return config.learning_rate if config.line_search == "none" else 1.0


def _at_active_bound(gradient: Tensor, image: Tensor, config: Config) -> Tensor:
    """Whether pixels are at a bound of the box that a descent step would cross."""
    if not config.box:
        return torch.zeros_like(image, dtype=torch.bool)
    return ((image <= 0) & (gradient > 0)) | ((image >= config.pixel_range) & (gradient < 0))


def _clamped(image: Tensor, config: Config) -> Tensor:
    return image.clamp(0, config.pixel_range) if config.box else image


def _dot(a: Tensor, b: Tensor) -> Tensor:
    return torch.dot(a.flatten(), b.flatten())


def read_scalars(*values: Tensor) -> list[float]:
    """Copy several scalars from the device at once."""
    scalars: list[float] = torch.stack([value.to(widest(value.device)) for value in values]).tolist()
    return scalars


def _with_best(state: State) -> State:
    """The state with its image as the best one if its loss is the lowest, or marked as non-finite."""
    assert state.evaluation is not None
    loss, largest_gradient = read_scalars(state.evaluation.loss, state.evaluation.gradient.abs().max())
    if not (math.isfinite(loss) and math.isfinite(largest_gradient)):
        return replace(state, outcome="non-finite")
    return replace(state, best=state.image, best_loss=loss) if loss < state.best_loss else state
