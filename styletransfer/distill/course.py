"""A fit: the student, the stream of crops that it learns from, and the steps of Adam."""

from __future__ import annotations

import copy
import io
import math
import random
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import safetensors.torch
import torch
from torch import Tensor, nn
from tqdm import tqdm

from ..config import Config
from ..features import Design, Factored, Network, Width, choose_dtype, whole_layers
from ..files import write_atomically
from ..losses import moments
from ..pixels import size_of
from .layers import fit_layers
from .losses import Goal, fit_loss, relative_error
from .pictures import OnTrajectory, crop_of, cut, own_optimisation, place_in, texture

RATE = 1.2e-4  # of Adam, at its highest: three times as much undid the closed-form start within 500 steps
KEPT_BATCHES, REUSES = 160, 5  # a batch costs its teacher more than its student: each is learnt from several times
OWN_SHARE = 0.7  # batches from the student's own optimisations
POOL = 240  # pictures kept of those
OWN_EVERY = 6 * REUSES  # steps between two of them
TEXTURES = 0.1  # share of procedural textures among the other crops
EIGHT_BITS = 2**16  # values of a kernel from which on the file has it in 8 bits a value
CPU = torch.device("cpu")


class Batch(NamedTuple):
    """Crops (N, 3, H, W) and what the teacher makes of them; `trajectory`: N = 3, see `OnTrajectory`."""

    crops: Tensor
    goals: dict[str, Goal]
    trajectory: bool


@dataclass(frozen=True)
class Fit:
    """Settings of a fit.

    steps: of Adam; batch: crops a step; crop: their side in pixels; start: crops that the layers are first solved
    from; widths: the student's channels for each of the teacher's convolutions (0: left out, M: a pooling);
    style_layers, content_layers: the teacher's that the student predicts, the first content layer being the one that
    its runs keep.
    """

    steps: int = 8000
    batch: int = 3
    crop: int = 192
    start: int = 700
    seed: int = 0
    widths: tuple[Width, ...] = (
        *(24, 32, "M", 64, 64, "M", 128, 128, 0, 128, "M"),
        *(Factored(512, 0, 128), Factored(512, 128, 144), Factored(512, 176, 208), Factored(512, 208, 256), "M"),
        *(Factored(512, 320, 384), Factored(512, 192, 192)),
    )
    style_layers: tuple[str, ...] = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")
    content_layers: tuple[str, ...] = ("relu4_2", "relu3_4", "relu5_2")

    @property
    def layers(self) -> tuple[str, ...]:
        """All that the student predicts: each layer that has all of VGG-19's channels is one of them."""
        return tuple(dict.fromkeys((*self.style_layers, *self.content_layers, *whole_layers(self.widths))))

    @property
    def learnt_layers(self) -> tuple[str, ...]:
        """All but the first, which sees the picture itself and is done after the start."""
        return tuple(layer for layer in self.layers if layer != "relu1_1")


def new_student(teacher: Network, fit: Fit) -> Network:
    """A student whose weights are zeros; its heads, where layers lack channels, are as wide as the teacher's layers."""
    design = Design(fit.widths, style_layers=fit.style_layers, content_layers=fit.content_layers)
    whole = whole_layers(fit.widths)
    heads = {layer: teacher.width(layer) for layer in fit.layers if layer not in whole}
    student = Network("builtin", design, fit.layers, heads=heads)
    student.features.to_empty(device="cpu")
    student.heads.to_empty(device="cpu")
    for parameter in student.parameters():
        nn.init.zeros_(parameter)
    return student.to_working(CPU, torch.float32)


@torch.no_grad()
def take_over(student: Network, earlier: Mapping[str, Tensor]) -> set[str]:
    """Give a student the layers of an earlier fit (its parameters by name) that fit it, and return their names.

    A layer fits where its shapes are the same and it is told the same by the layer before: by one that was taken over,
    too, or that has all the teacher's channels.
    """
    keys, whole, taken = list(student.features._modules), whole_layers(student.design.widths), set[str]()
    follows = True
    for layer in student.design.convolutions:
        relu = layer.replace("conv", "relu")
        own = dict(student.features[student.names[layer]].named_parameters(f"features.{keys[student.names[layer]]}"))
        if relu in student.heads:
            own.update(student.heads[relu].named_parameters(f"heads.{relu}"))
        if follows and all(name in earlier and earlier[name].shape == value.shape for name, value in own.items()):
            for name, value in own.items():
                value.copy_(earlier[name])
            taken.add(relu)
        follows = relu in taken or relu in whole
    return taken


@torch.no_grad()
def teacher_scale(teacher: Network, images: Sequence[Tensor], layers: Sequence[str]) -> dict[str, Tensor]:
    """RMS of the teacher's activations at each of the layers."""
    squares: dict[str, list[Tensor]] = {}
    for image in images:
        for layer, maps in teacher(image, layers).items():
            squares.setdefault(layer, []).append(maps.float().square().mean())
    return {layer: torch.stack(values).mean().sqrt() for layer, values in squares.items()}


class Course:
    """The stream of batches: crops, and what the teacher makes of them."""

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
        """One crop (1, 3, S, S): of a picture, or a texture now and then."""
        if self.random.random() < TEXTURES:
            return texture(self.random, self.fit.crop)
        return crop_of(self.random.choice(self.images), self.random, self.fit.crop)

    def _trajectory_crops(self) -> list[Tensor]:
        """One place of a picture under way and of its content, and a place of its style."""
        picture, content, style = self.random.choice(self.pool)
        side = self.fit.crop
        here = place_in(size_of(picture), self.random, side)
        elsewhere = place_in(size_of(style), self.random, side)
        return [cut(picture, here, side), cut(content, here, side), cut(style, elsewhere, side)]

    def _continue_optimisation(self) -> None:
        """One more picture of the student's own; a finished optimisation is followed by a new one."""
        state = next(self.running, None)
        if state is None:
            student = copy.deepcopy(self.student).requires_grad_(False).to_working(CPU, self.dtype)
            self.running = own_optimisation(student, self.images, self.random)
            state = next(self.running, None)
        if state is not None and min(min(size_of(image)) for image in state) >= self.fit.crop:
            self.pool.append(state)


@torch.no_grad()
def held_out_score(
    student: Network, teacher: Network, scale: dict[str, Tensor], images: Sequence[Tensor]
) -> dict[str, float]:
    """Mean relative error on pictures kept out: of the activations by layer, and of the Gram matrices
    (`gram/layer`).
    """
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


def packed(student: Network, scale: dict[str, Tensor]) -> dict[str, Tensor]:
    """The student's tensors for its file, in the teacher's own units, and its heads cut down to their R factors.

    [W b] = Q R with orthonormal Q: R f keeps all inner products of the predicted activations, at the student's own
    width. Large kernels are whole numbers from -127 to 127 with a scale for each output channel, the rest is in half
    precision.
    """
    tensors: dict[str, Tensor] = {}
    for key, value in _in_teacher_units(student, scale).items():
        if value.numel() >= EIGHT_BITS:
            step = value.abs().amax((1, 2, 3)) / 127
            tensors[f"features.{key}.scale"] = step
            value = (value / step.view(-1, 1, 1, 1)).round().to(torch.int8)
        tensors[f"features.{key}"] = value
    head: Any
    for layer, head in student.heads.items():
        weight = scale[layer] * torch.cat([head.weight.flatten(1), head.bias[:, None]], dim=1).double()
        upper = torch.linalg.qr(weight, mode="r").R
        tensors[f"heads.{layer}.weight"], tensors[f"heads.{layer}.bias"] = upper[:, :-1, None, None], upper[:, -1]
    return {key: (value.half() if value.is_floating_point() else value).contiguous() for key, value in tensors.items()}


def _in_teacher_units(student: Network, scale: dict[str, Tensor]) -> dict[str, Tensor]:
    """The tensors of the student's layers, with `scale` taken out of those that have no head."""
    tensors = {key: value.clone() for key, value in student.features.state_dict().items()}
    keys, whole = list(student.features._modules), whole_layers(student.design.widths)
    unit = torch.tensor(1.0)  # of the activations that come in
    for layer in student.design.convolutions:
        key = keys[student.names[layer]]
        names = [name for name in tensors if name.startswith(f"{key}.")]  # weights first, the bias last
        weights = [name for name in names if name.endswith("weight")]
        tensors[weights[0]] /= unit
        relu = layer.replace("conv", "relu")
        unit = scale[relu] if relu in whole else torch.tensor(1.0)
        tensors[weights[-1]] *= unit
        tensors[names[-1]] *= unit
    return tensors


def distill(
    teacher: Network,
    images: Sequence[Tensor],
    held_out: Sequence[Tensor],
    fit: Fit,
    output: Path,
    earlier: Path | None = None,
) -> dict[str, float]:
    """Fit a student, going on from `output`.fit where that exists, write it to `output` and return its held-out score.

    images, held_out: (1, 3, H, W) in [0, 1], each side at least `fit.crop`; earlier: the .fit file of another fit to
    the same teacher, with the same first 24 pictures, whose layers are taken over where they have the same shape. The
    same seed gives the same student where the fit is not interrupted.
    """
    student = new_student(teacher, fit)
    scale = teacher_scale(teacher, images[:24], fit.layers)
    course = Course(teacher, student, images, scale, fit)
    checkpoint, first = output.with_name(output.name + ".fit"), 0
    if not checkpoint.exists():
        done = take_over(student, torch.load(earlier, weights_only=True)["student"]) if earlier else set[str]()
        fit_layers(student, teacher, [course.crop() for _ in range(fit.start)], scale, done)
    if "relu1_1" in student.heads:
        for module in (student.features[0], student.heads["relu1_1"]):
            module.requires_grad_(False)
    learnt = [parameter for parameter in student.parameters() if parameter.requires_grad]
    optimizer = torch.optim.Adam(learnt, lr=RATE, betas=(0.9, 0.99))
    if checkpoint.exists():
        saved: dict[str, Any] = torch.load(checkpoint, weights_only=True)
        student.load_state_dict(saved["student"])
        optimizer.load_state_dict(saved["optimizer"])
        first = saved["step"]
        course.random.seed(fit.seed + first)

    def keep(step: int) -> None:
        write_atomically(output, safetensors.torch.save(packed(student, scale)))
        state = io.BytesIO()
        torch.save({"student": student.state_dict(), "optimizer": optimizer.state_dict(), "step": step}, state)
        write_atomically(checkpoint, state.getvalue())

    keep(first)
    score = held_out_score(student, teacher, scale, held_out)
    bar = tqdm(range(first, fit.steps), initial=first, total=fit.steps, unit="step")
    bar.write("at the start: " + _score_line(score))
    average = 0.0
    for step in bar:
        batch = course.batch(step)
        for group in optimizer.param_groups:
            group["lr"] = RATE * min(1.0, (step + 1) / 100) * (0.005 + 0.995 * _falling(step / fit.steps))
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cpu", torch.bfloat16, enabled=course.dtype == torch.bfloat16):
            predicted = student(batch.crops, batch.goals)
        loss = fit_loss(predicted, batch.goals, trajectory=batch.trajectory)
        loss.backward()
        nn.utils.clip_grad_norm_(learnt, 1.0)
        optimizer.step()
        average = float(loss.detach()) if step == first else 0.98 * average + 0.02 * float(loss.detach())
        bar.set_postfix(loss=f"{average:.4f}")
        if (step + 1) % 500 == 0 or step + 1 == fit.steps:
            score = held_out_score(student, teacher, scale, held_out)
            bar.write(f"step {step + 1}: " + _score_line(score))
            keep(step + 1)
    return score


def _falling(share: float) -> float:
    """From 1 to 0 along half a cosine."""
    return (1 + math.cos(math.pi * share)) / 2


def _score_line(score: dict[str, float]) -> str:
    return "held out " + " ".join(f"{name} {value:.4f}" for name, value in score.items())
