"""A fit: the stream of batches that the student learns from, its score, and the steps of Adam."""

from __future__ import annotations

import copy
import io
import math
import random
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import safetensors.torch
import torch
from torch import Tensor, nn
from tqdm import tqdm

from ..config import Config
from ..features import Network, choose_dtype
from ..files import write_atomically
from ..losses import moments
from ..pixels import size_of
from .layers import fit_layers
from .losses import Goal, fit_loss, relative_error
from .pictures import OnTrajectory, crop_of, cut, own_optimisation, place_in, texture
from .student import CPU, Fit, new_student, packed, take_over

RATE = 1.2e-4  # highest learning rate of Adam: three times as much undid the closed-form start within 500 steps
KEPT_BATCHES, REUSES = 160, 5  # a batch costs the teacher more than the student, so batches are reused
OWN_SHARE = 0.7  # share of the batches that are from the student's own optimisations
POOL = 240  # pictures of those that are kept
OWN_EVERY = 6 * REUSES  # steps between two of them
TEXTURES = 0.1  # share of procedural textures among the other crops
SCORED_EVERY = 500  # steps


class Batch(NamedTuple):
    """Crops (N, 3, H, W) and the teacher's activations for them; `trajectory`: N = 3, see `OnTrajectory`."""

    crops: Tensor
    goals: dict[str, Goal]
    trajectory: bool


class Course:
    """The stream of batches."""

    def __init__(
        self, teacher: Network, student: Network, images: Sequence[Tensor], scale: dict[str, Tensor], fit: Fit
    ) -> None:
        self.teacher, self.student, self.images, self.scale, self.fit = teacher, student, images, scale, fit
        self.dtype = choose_dtype(Config(), CPU)
        self.random = random.Random(fit.seed)
        self.kept: deque[Batch] = deque(maxlen=KEPT_BATCHES)
        self.pool: deque[OnTrajectory] = deque(maxlen=POOL)
        self.running: Iterator[OnTrajectory] = iter(())

    def batch(self, step: int) -> Batch:
        if self.kept and step % REUSES:
            return self.random.choice(self.kept)
        if step % OWN_EVERY == 0:
            self._continue_optimisation()
        trajectory = bool(self.pool) and self.random.random() < OWN_SHARE
        crops = torch.cat(self._trajectory_crops() if trajectory else [self.crop() for _ in range(self.fit.batch)])
        with torch.no_grad():
            maps = self.teacher(crops, self.fit.learnt_layers)
            goals = {
                layer: Goal.of(maps[layer] / self.scale[layer], style=layer in self.fit.style_layers) for layer in maps
            }
        batch = Batch(crops, goals, trajectory)
        self.kept.append(batch)
        return batch

    def crop(self) -> Tensor:
        """A crop (1, 3, S, S) of a picture or, now and then, of a texture."""
        if self.random.random() < TEXTURES:
            return texture(self.random, self.fit.crop)
        return crop_of(self.random.choice(self.images), self.random, self.fit.crop)

    def _trajectory_crops(self) -> list[Tensor]:
        """Crops at one place of an optimised picture and its content, and at a place of its style."""
        picture, content, style = self.random.choice(self.pool)
        side = self.fit.crop
        here = place_in(size_of(picture), self.random, side)
        elsewhere = place_in(size_of(style), self.random, side)
        return [cut(picture, here, side), cut(content, here, side), cut(style, elsewhere, side)]

    def _continue_optimisation(self) -> None:
        """Add a picture of the student's own optimisation; a finished optimisation is followed by a new one."""
        state = next(self.running, None)
        if state is None:
            student = copy.deepcopy(self.student).requires_grad_(False).to_working(CPU, self.dtype)
            self.running = own_optimisation(student, self.images, self.random)
            state = next(self.running, None)
        if state is not None and min(min(size_of(image)) for image in state) >= self.fit.crop:
            self.pool.append(state)


@torch.no_grad()
def teacher_scale(teacher: Network, images: Sequence[Tensor], layers: Sequence[str]) -> dict[str, Tensor]:
    """RMS of the teacher's activations by layer."""
    squares: dict[str, list[Tensor]] = {}
    for image in images:
        for layer, maps in teacher(image, layers).items():
            squares.setdefault(layer, []).append(maps.float().square().mean())
    return {layer: torch.stack(values).mean().sqrt() for layer, values in squares.items()}


@torch.no_grad()
def held_out_score(
    student: Network, teacher: Network, scale: dict[str, Tensor], images: Sequence[Tensor]
) -> dict[str, float]:
    """Mean relative error on held-out pictures: of activations by layer, and of Gram matrices (`gram/layer`)."""
    scores: dict[str, list[float]] = {}
    for image in images:
        predicted, target = student(image, scale), teacher(image, scale)
        for layer, maps in predicted.items():
            goal = target[layer].float() / scale[layer]
            scores.setdefault(layer, []).append(float((maps - goal).square().mean() / goal.square().mean()))
            if layer in student.design.style_layers:
                error = float(relative_error(moments(maps).second, moments(goal).second))
                scores.setdefault(f"gram/{layer}", []).append(error)
    return {name: sum(values) / len(values) for name, values in scores.items()}


def distill(
    teacher: Network,
    images: Sequence[Tensor],
    held_out: Sequence[Tensor],
    fit: Fit,
    output: Path,
    earlier: Path | None = None,
) -> dict[str, float]:
    """Fit a student, resuming from `output`.fit if that exists, write it to `output` and return its held-out score.

    images, held_out: (1, 3, H, W) in [0, 1], with sides of at least `fit.crop`; earlier: the .fit file of another fit
    to the same teacher, with the same first 24 pictures, whose layers of the same shape are taken over. The same seed
    gives the same student if the fit is not interrupted.
    """
    student = new_student(teacher, fit)
    scale = teacher_scale(teacher, images[:24], fit.layers)
    course = Course(teacher, student, images, scale, fit)
    checkpoint = output.with_name(output.name + ".fit")
    if not checkpoint.exists():
        done = take_over(student, torch.load(earlier, weights_only=True)["student"]) if earlier else set[str]()
        fit_layers(student, teacher, [course.crop() for _ in range(fit.start)], scale, done)
    optimizer = _optimizer(student)
    if first := _resume(student, optimizer, checkpoint):
        course.random.seed(fit.seed + first)
    bar = tqdm(range(first, fit.steps), initial=first, total=fit.steps, unit="step")

    def keep(step: int) -> dict[str, float]:
        """Write the student and the checkpoint, and return the student's score."""
        write_atomically(output, safetensors.torch.save(packed(student, scale)))
        state = io.BytesIO()
        torch.save({"student": student.state_dict(), "optimizer": optimizer.state_dict(), "step": step}, state)
        write_atomically(checkpoint, state.getvalue())
        score = held_out_score(student, teacher, scale, held_out)
        bar.write(f"step {step}: held out " + " ".join(f"{name} {value:.4f}" for name, value in score.items()))
        return score

    score, average = keep(first), 0.0
    for step in bar:
        for group in optimizer.param_groups:
            group["lr"] = _learning_rate(step, fit.steps)
        loss = _learn(student, optimizer, course.batch(step), course.dtype)
        average = loss if step == first else 0.98 * average + 0.02 * loss
        bar.set_postfix(loss=f"{average:.4f}")
        if (step + 1) % SCORED_EVERY == 0 or step + 1 == fit.steps:
            score = keep(step + 1)
    return score


def _optimizer(student: Network) -> torch.optim.Adam:
    """Adam for all parameters but those of the first layer, if it has a head: the start has fitted both."""
    if "relu1_1" in student.heads:
        for module in (student.features[0], student.heads["relu1_1"]):
            module.requires_grad_(False)
    learnt = [parameter for parameter in student.parameters() if parameter.requires_grad]
    return torch.optim.Adam(learnt, lr=RATE, betas=(0.9, 0.99))


def _resume(student: Network, optimizer: torch.optim.Adam, checkpoint: Path) -> int:
    """Load the checkpoint, if there is one, and return the number of steps taken."""
    if not checkpoint.exists():
        return 0
    saved = torch.load(checkpoint, weights_only=True)
    student.load_state_dict(saved["student"])
    optimizer.load_state_dict(saved["optimizer"])
    return int(saved["step"])


def _learn(student: Network, optimizer: torch.optim.Adam, batch: Batch, dtype: torch.dtype) -> float:
    """Take one step of Adam on a batch, and return the loss before it."""
    optimizer.zero_grad(set_to_none=True)
    with torch.autocast("cpu", torch.bfloat16, enabled=dtype == torch.bfloat16):
        predicted = student(batch.crops, batch.goals)
    loss = fit_loss(predicted, batch.goals, trajectory=batch.trajectory)
    loss.backward()
    nn.utils.clip_grad_norm_(optimizer.param_groups[0]["params"], 1.0)
    optimizer.step()
    return float(loss.detach())


def _learning_rate(step: int, steps: int) -> float:
    """Rises over 100 steps and falls along half a cosine."""
    falling = (1 + math.cos(math.pi * step / steps)) / 2
    return RATE * min(1.0, (step + 1) / 100) * (0.005 + 0.995 * falling)
