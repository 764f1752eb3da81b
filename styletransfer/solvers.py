"""Optimisers of a picture: L-BFGS and Adam as pure functions from one state to the next.

A step changes nothing in place, so that every earlier state stays valid: a run can be left, kept and continued
anywhere.
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
from .spectrum import Spectrum, learnt

Evaluate = Callable[[Tensor], Evaluation]

FIRST_MOVE = 0.02  # RMS change of the picture, as a share of its range, that the first step of L-BFGS tries
SUFFICIENT, CURVATURE = 1e-4, 0.9  # Wolfe conditions, Nocedal and Wright 2006, section 3.1
TRIALS = 20  # evaluations that one line search may spend


@dataclass(frozen=True)
class State:
    """Where an optimisation stands.

    image: the iterate (1, 3, H, W) in 0 .. pixel_range; evaluation: the newest one, of the iterate itself with
    L-BFGS and of the one before it with Adam; iteration, evaluations: counts at this scale; memory: the optimiser's
    own tensors; spectrum: the curvature that L-BFGS has seen, by frequency, colour and place; average: the running
    average (without bias correction) or None; best, best_loss: the lowest-loss picture that was evaluated; outcome: ""
    while going on, "stalled" (no step lowers the loss) or "non-finite".
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
    """The state before the first step at a scale: the spectrum of the scale before, and Adam's moments resampled.

    Resampling as in Crowson's style-transfer-pytorch: first moment bicubic, second bilinear and not negative.
    """
    state = State(image, spectrum=None if previous is None else previous.spectrum)
    if previous is None or config.optimizer != "adam" or not previous.memory:
        return state
    first, second = previous.memory[0]
    size = size_of(image)
    memory = (resample(first, size), resample(second, size, "bilinear").clamp_min(0))
    return replace(state, memory=(memory,), updates=previous.updates)


def step(state: State, evaluate: Evaluate, config: Config) -> State:
    """One iteration of the configured optimiser."""
    moved = _adam(state, evaluate, config) if config.optimizer == "adam" else _lbfgs(state, evaluate, config)
    moved = replace(moved, iteration=state.iteration + 1)
    if moved.outcome or not config.averaging:
        return moved
    old = torch.zeros_like(moved.image) if state.average is None else state.average
    return replace(moved, average=config.averaging * old + (1 - config.averaging) * moved.image)


def result(state: State, config: Config) -> Tensor:
    """The picture of a state, in [0, 1]: the average where there is one, else the best or the last iterate."""
    image = state.image
    if state.average is not None and not state.outcome:
        image = state.average / (1 - config.averaging**state.iteration)
    elif state.best is not None and (config.keep == "best" or state.outcome == "non-finite"):
        image = state.best
    return (image / config.pixel_range).clamp(0, 1)


# --- Adam (Kingma and Ba, 2015)


def _adam(state: State, evaluate: Evaluate, config: Config) -> State:
    evaluation = evaluate(state.image)
    state = _remembering_best(replace(state, evaluation=evaluation, evaluations=state.evaluations + 1))
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
    image = _boxed(state.image - rate * first / (second.sqrt() + eps), config)
    return replace(state, image=image, memory=((first, second),), updates=count)


# --- L-BFGS (Liu and Nocedal, 1989) with projection onto the box (Bertsekas, 1982) and a Wolfe line search


def _lbfgs(state: State, evaluate: Evaluate, config: Config) -> State:
    if state.evaluation is None:
        state = _remembering_best(replace(state, evaluation=evaluate(state.image), evaluations=1))
        if state.outcome:
            return state
    found, spent = _moved(state, evaluate, config)
    if found is None and state.memory:  # the curvature has gone stale: once more, downhill
        state = replace(state, memory=(), spectrum=None)
        found, more = _moved(state, evaluate, config)
        spent += more
    if found is None:
        return replace(state, evaluations=state.evaluations + spent, outcome="stalled")
    newest, reached = state.evaluation, found.evaluation
    assert newest is not None and reached is not None
    moved = found.image - state.image
    # A pixel that stays at its bound says nothing on the curvature that the free ones see.
    change = (reached.gradient - newest.gradient).mul_(moved != 0)
    curvature = _dot(moved, change)
    seen, far, strong = fetched(curvature, moved.norm(), change.norm())
    found = replace(found, evaluations=state.evaluations + spent)
    if not seen > 1e-8 * far * strong:  # only positive curvature keeps the direction downhill
        return found
    spectrum = learnt(state.spectrum, moved, change) if config.preconditioner == "spectrum" else None
    memory = (*state.memory, (moved, change, curvature))[-config.history :]
    return replace(found, memory=memory, spectrum=spectrum)


def _moved(state: State, evaluate: Evaluate, config: Config) -> tuple[State | None, int]:
    """The state at the next iterate, None where none is better, and the evaluations spent."""
    direction = _descent(state, config)
    length = _first_length(direction, config) if not state.memory else _later_length(config)
    if config.line_search == "none":
        return _unsafe_move(state, direction, length, evaluate, config), 1
    return _search(state, direction, length, evaluate, config)


def _descent(state: State, config: Config) -> Tensor:
    """The L-BFGS direction of the pixels that stay inside the box; those that would leave it go to their bound.

    Pixels at their bounds and those that go there are out of the guess of the Hessian on either side, as if they were
    constants (Bertsekas, 1982): otherwise a step cut at the bounds is no longer that of the model, and line searches
    were seen to spend twenty evaluations where one is enough.
    """
    assert state.evaluation is not None
    gradient, guess = state.evaluation.gradient, _first_guess(state)

    def inside(free: Tensor) -> Tensor:
        ones = free.to(gradient.dtype)  # products with ones and zeros take a tenth of a masked fill's time
        downhill = gradient.neg().mul_(ones)
        return _two_loops(downhill, state.memory, lambda values: guess(values.mul_(ones)).mul_(ones)).mul_(ones)

    free = ~_held(gradient, state.image, config)
    direction = inside(free)
    if not config.box or not state.memory:
        return direction
    target = direction.add_(state.image)
    stays = (target >= 0) & (target <= config.pixel_range)
    to_bounds = target.clamp_(0, config.pixel_range).sub_(state.image)
    return torch.where(stays, inside(free & stays), to_bounds)


def _first_guess(state: State) -> Callable[[Tensor], Tensor]:
    """The inverse Hessian before any pair is told: the spectrum's, scaled to the newest pair (Nocedal and Wright 2006,
    eq. 7.20, where it is the identity).
    """
    divide = torch.clone if state.spectrum is None else state.spectrum.divider(state.image)
    if not state.memory:
        return divide
    _, change, curvature = state.memory[-1]
    scale = curvature / _dot(change, divide(change))
    return lambda values: divide(values).mul_(scale)


def _two_loops(direction: Tensor, memory: tuple[tuple[Tensor, ...], ...], guess: Callable[[Tensor], Tensor]) -> Tensor:
    """-H g by the two-loop recursion (Nocedal and Wright 2006, algorithm 7.4), in the place of -g; each pair comes with
    its dot product.
    """
    alphas = []
    for moved, change, curvature in reversed(memory):
        alphas.append(_dot(moved, direction) / curvature)
        direction.addcmul_(change, alphas[-1], value=-1)
    direction = guess(direction)
    for (moved, change, curvature), alpha in zip(memory, reversed(alphas)):
        direction.addcmul_(moved, alpha - _dot(change, direction) / curvature)
    return direction


def _search(
    state: State, direction: Tensor, length: float, evaluate: Evaluate, config: Config
) -> tuple[State | None, int]:
    """A point along the projected direction that meets the weak Wolfe conditions, and the evaluations spent.

    Bracketing and bisection of Lewis and Overton 2013 (algorithm 2.6), which needs no interpolation and takes the
    first trial nearly always; a trial with a non-finite loss counts as too far. None where the direction does not lead
    downhill, or no trial lowers the loss.
    """
    assert state.evaluation is not None
    gradient = state.evaluation.gradient
    steepness, low, high = _dot(direction, gradient), 0.0, math.inf
    lowest: State | None = None
    for trial in range(1, TRIALS + 1):
        image = _boxed(state.image + length * direction, config)
        evaluation = evaluate(image)
        move = image - state.image
        # All that is decided on comes from the device at once: each wait for a number would leave it idle.
        downhill, before, loss, expected, slope = fetched(
            steepness,
            state.evaluation.loss,
            evaluation.loss,
            _dot(gradient, move),
            _dot(evaluation.gradient, move),  # no number where any of the gradient is none
        )
        if not downhill < 0:
            return None, trial
        decreased = loss <= before + SUFFICIENT * expected and expected < 0
        if not (decreased and math.isfinite(loss) and math.isfinite(slope)):
            high = length
        else:
            lowest = replace(state, image=image, evaluation=evaluation)
            if loss < state.best_loss:
                lowest = replace(lowest, best=image, best_loss=loss)
            if slope >= CURVATURE * expected:
                return lowest, trial
            low = length
        length = (low + high) / 2 if math.isfinite(high) else 2 * low
    return lowest, TRIALS


def _unsafe_move(state: State, direction: Tensor, length: float, evaluate: Evaluate, config: Config) -> State:
    """A step of fixed length with no safeguard, as the peers run L-BFGS."""
    image = _boxed(state.image + length * direction, config)
    return _remembering_best(replace(state, image=image, evaluation=evaluate(image)))


def _first_length(direction: Tensor, config: Config) -> float:
    if config.line_search == "none":  # torch.optim.LBFGS's rule, which those systems inherit
        return min(1.0, 1.0 / max(float(direction.abs().sum()), 1e-300)) * config.learning_rate
    rms = float(direction.cpu().double().square().mean().sqrt())  # squares of small numbers; MPS has no float64
    return FIRST_MOVE * config.pixel_range / max(rms, 1e-300)


def _later_length(config: Config) -> float:
    return config.learning_rate if config.line_search == "none" else 1.0


def _held(gradient: Tensor, image: Tensor, config: Config) -> Tensor:
    """The pixels at a bound of the box that would be pushed out of it, downhill."""
    if not config.box:
        return torch.zeros_like(image, dtype=torch.bool)
    return ((image <= 0) & (gradient > 0)) | ((image >= config.pixel_range) & (gradient < 0))


def _boxed(image: Tensor, config: Config) -> Tensor:
    return image.clamp(0, config.pixel_range) if config.box else image


def _dot(a: Tensor, b: Tensor) -> Tensor:
    return torch.dot(a.flatten(), b.flatten())


def fetched(*values: Tensor) -> list[float]:
    """Several numbers from the device in one go."""
    found: list[float] = torch.stack([value.to(widest(value.device)) for value in values]).tolist()
    return found


def _remembering_best(state: State) -> State:
    """The state with its newest picture as the best one where it is, or with its outcome where it is no number."""
    assert state.evaluation is not None
    loss, energy = fetched(state.evaluation.loss, state.evaluation.gradient.abs().max())
    if not (math.isfinite(loss) and math.isfinite(energy)):
        return replace(state, outcome="non-finite")
    return replace(state, best=state.image, best_loss=loss) if loss < state.best_loss else state
