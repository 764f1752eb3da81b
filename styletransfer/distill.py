"""Fit a compact network to a teacher: `python -m styletransfer.distill --teacher WEIGHTS --images FOLDER -o FILE`.

The student is a narrow VGG with, at each tapped layer, a 1x1 head that predicts the teacher's
activations divided by their RMS. It learns from crops of pictures, from procedural textures, and from pictures that
it is itself optimising at the time (as Ross et al. 2011 have an imitator visit its own states), since those are what
it is used on. For shipping, each head [W b] = Q R is cut down to R, which keeps all inner products: statistics of R's
output are those of the predicted activations, at the student's own width.

What a run is led by are differences: of the picture's Gram matrices from the style's, and of its activations from the
content's. An error that both sides share does no harm, so the fit is scored on the differences, too: its pictures
under way come with their content and their style.
"""

from __future__ import annotations

import argparse
import copy
import io
import math
import random
import sys
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import safetensors.torch
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from tqdm import tqdm

from .config import Config, StyleTransferError
from .features import Design, Network, Width, load_network
from .files import write_atomically
from .images import load_image
from .losses import moment_sums, moments
from .pixels import Size, fit_size, resize, size_of
from .transfer import iterate

GRAM_WEIGHT = 0.5  # of the Gram matrices' relative error beside that of the activations
DIFFERENCE_WEIGHT = 20.0  # of the error in what leads a run, in its own units
CONTENT_SHARE = 0.05  # content over style in a run
RATE = 5e-4
KEPT_BATCHES, REUSES = 48, 4  # a batch costs its teacher more than its student: each is learnt from several times
OWN_SHARE = 0.7  # batches from the student's own optimisations
POOL = 96  # pictures kept of those
OWN_EVERY = 4 * REUSES  # steps between two of them


class Batch(NamedTuple):
    """Crops (N, 3, H, W) and the teacher's activations; `led`: they are a picture under way, its content, its style."""

    crops: Tensor
    wanted: dict[str, Tensor]
    led: bool


@dataclass(frozen=True)
class Fit:
    """Settings of a fit: steps of Adam, crops a step, their side in pixels, the seed, and what the student is like: its
    channels (M is a pooling), and the teacher's layers that it has heads for.
    """

    steps: int = 15000
    batch: int = 3
    crop: int = 160
    seed: int = 0
    widths: tuple[Width, ...] = (32, 32, "M", 64, 64, "M", 128, 128, 128, 128)
    style_layers: tuple[str, ...] = ("relu1_1", "relu2_1", "relu3_1")
    content_layers: tuple[str, ...] = ("relu3_4",)

    @property
    def layers(self) -> tuple[str, ...]:
        return *self.style_layers, *self.content_layers

    @property
    def learnt_layers(self) -> tuple[str, ...]:
        """All but the first, which is at its optimum from the start: its head sees nothing else, and is linear."""
        return tuple(layer for layer in self.layers if layer != "relu1_1")


def new_student(teacher: Network, fit: Fit) -> Network:
    """An untrained student with one head a layer, as wide as the teacher's layer."""
    generator = torch.Generator().manual_seed(fit.seed)
    design = Design(fit.widths, style_layers=fit.style_layers, content_layers=fit.content_layers)
    heads = {layer: teacher.width(layer) for layer in fit.layers}
    student = Network("builtin", design, fit.layers, heads=heads)
    student.features.to_empty(device="cpu")
    student.heads.to_empty(device="cpu")
    for module in student.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu", generator=generator)
            assert module.bias is not None
            nn.init.zeros_(module.bias)
    return student.to_working(torch.device("cpu"), torch.float32)


@torch.no_grad()
def start_from_teacher(student: Network, teacher: Network, images: Sequence[Tensor], scale: dict[str, Tensor]) -> None:
    """Start the student as the teacher with channels left out, which saves most of the fit.

    Each layer keeps the teacher's channels that a pivoted Cholesky factorisation of its Gram matrix takes first; the
    others' contributions to the next convolution, and to the heads, go through their least-squares prediction from
    those kept (channel pruning with reconstruction: He et al. 2017, Channel Pruning for Accelerating Very Deep Neural
    Networks).
    """
    names = [name for name in student.names if name.startswith("relu")]
    grams: dict[str, Tensor] = {}
    for image in images:
        for name, found in teacher(image, names).items():
            grams[name] = grams.get(name, 0) + moments(found.double()).second
    # From the student's input to the teacher's; their means are the same to a tenth of a level of 8 bits.
    before = torch.diag((student.std / teacher.std).flatten().double())
    before = before.flip(0) if teacher.design.bgr else before
    for name in names:
        mine, original = (network.features[network.names[name] - 1] for network in (student, teacher))
        kept = leading_channels(grams[name], mine.weight.shape[0])
        kernel = original.weight[kept].double()
        gram = grams[name]
        # Activations of RMS 1 at every layer give all weights one order of magnitude, which Adam's steps need.
        unit = gram.diagonal()[kept].mean().sqrt()
        mine.weight.copy_(torch.einsum("oihw,ij->ojhw", kernel, before) / unit)
        mine.bias.copy_(original.bias[kept] / unit)
        ridge = 1e-6 * gram.diagonal().mean() * torch.eye(len(kept), dtype=torch.float64)
        before = torch.linalg.solve(gram[kept][:, kept] + ridge, gram[kept]).T * unit  # (teacher's channels, kept ones)
        if name in student.heads:
            head: Any = student.heads[name]
            head.weight.copy_(before[:, :, None, None] / scale[name])


def leading_channels(gram: Tensor, count: int) -> Tensor:
    """Indices of `count` channels that best predict the rest, greedily: pivots of the Cholesky factorisation of (C,
    C).
    """
    rest, chosen = gram.clone(), []
    for _ in range(count):
        pivot = int((rest.square().sum(0) / rest.diagonal().clamp_min(1e-12)).argmax())
        chosen.append(pivot)
        rest = rest - torch.outer(rest[:, pivot], rest[pivot]) / rest[pivot, pivot].clamp_min(1e-12)
        rest[chosen], rest[:, chosen] = 0, 0
    return torch.tensor(chosen)


def teacher_scale(teacher: Network, images: Sequence[Tensor], layers: Sequence[str]) -> dict[str, Tensor]:
    """RMS of the teacher's activations at each tapped layer."""
    squares: dict[str, list[Tensor]] = {}
    with torch.no_grad():
        for image in images:
            for layer, found in teacher(image, layers).items():
                squares.setdefault(layer, []).append(found.square().mean())
    return {layer: torch.stack(values).mean().sqrt() for layer, values in squares.items()}


def fit_loss(found: dict[str, Tensor], wanted: dict[str, Tensor], led: bool, fit: Fit) -> Tensor:
    """Relative error of activations plus that of each crop's Gram matrix, mean over layers; where the crops are a
    picture under way, its content and its style, the error of the differences, too.
    """
    terms: list[Tensor] = []
    differences: list[Tensor] = []
    for layer, goal in wanted.items():
        got = found[layer]
        terms.append((got - goal).square().mean() / goal.square().mean())
        if layer in fit.style_layers:
            pair = grams(got), grams(goal)
            terms.append(GRAM_WEIGHT * relative_error(*pair).clamp_max(1.0).mean())
            if led:
                differences.append(gram_difference_error(*pair) / len(fit.style_layers))
        elif led:
            differences.append(CONTENT_SHARE * content_difference_error(got, goal) / len(fit.content_layers))
    loss = torch.stack(terms).sum() / len(wanted)
    return loss + DIFFERENCE_WEIGHT * torch.stack(differences).sum() if led else loss


def gram_difference_error(found: Tensor, wanted: Tensor) -> Tensor:
    """Squared error of how far a picture's Gram matrix is from its style's, over the energy of the style's.

    Each is (3, C, C): of the picture under way, its content and its style.
    """
    return relative_error(found[0] - found[2] + wanted[2], wanted[0], wanted[2]).clamp_max(1.0)


def content_difference_error(found: Tensor, wanted: Tensor) -> Tensor:
    """Squared error of how far a picture's activations are from its content's, over the energy of the content's.

    Each is (3, C, h, w): of the picture under way, its content and its style.
    """
    return ((found[0] - found[1]) - (wanted[0] - wanted[1])).square().sum() / wanted[1].square().sum()


def grams(maps: Tensor) -> Tensor:
    """F F^T / M of each map of a batch (N, C, h, w)."""
    return torch.stack([moment_sums(each)[1] for each in maps.split(1)]) / maps[0, 0].numel()


def relative_error(found: Tensor, wanted: Tensor, target: Tensor | None = None) -> Tensor:
    """|found - wanted|^2 over the energy of the target (by default what is wanted), over the last two axes."""
    target = wanted if target is None else target
    return (found - wanted).square().sum((-2, -1)) / target.square().sum((-2, -1)).clamp_min(1e-6)


def texture(generator: random.Random, side: int) -> Tensor:
    """A procedural picture (1, 3, side, side): noise, soft spots, stripes or a flat colour, in random colours."""
    torch_generator = torch.Generator().manual_seed(generator.getrandbits(60))
    kind = generator.choice(("noise", "spots", "stripes", "flat"))
    low, high = torch.rand(2, 1, 3, 1, 1, generator=torch_generator)
    if kind == "flat":
        values = torch.zeros(1, 1, side, side)
    elif kind == "stripes":
        y, x = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
        angle, period = generator.uniform(0, math.pi), generator.uniform(2.5, 40)
        wave = torch.sin((x * math.cos(angle) + y * math.sin(angle)) * 2 * math.pi / period)
        values = (wave * generator.uniform(0.5, 4)).tanh()[None, None] / 2 + 0.5
    else:
        coarse = max(2, side // (1 if kind == "noise" else generator.choice((2, 4, 8, 16))))
        channels = generator.choice((1, 3))
        noise = torch.rand(1, channels, coarse, coarse, generator=torch_generator)
        values = F.interpolate(noise, size=(side, side), mode="bicubic", align_corners=False).clamp(0, 1)
    picture: Tensor = low + (high - low) * values
    return picture.expand(1, 3, side, side).clone()


def place_in(size: Size, generator: random.Random, side: int) -> tuple[int, int]:
    """Top and left of a random square inside (H, W)."""
    return generator.randint(0, size[0] - side), generator.randint(0, size[1] - side)


def cut(image: Tensor, place: tuple[int, int], side: int) -> Tensor:
    """The square (1, 3, side, side) at that place."""
    top, left = place
    return image[..., top : top + side, left : left + side].clone()


def varied(image: Tensor, generator: random.Random) -> Tensor:
    """A picture flipped, and its colours permuted now and then."""
    if generator.random() < 0.5:
        image = image.flip(3)
    return image[:, generator.sample(range(3), 3)] if generator.random() < 0.25 else image


def crop_of(image: Tensor, generator: random.Random, side: int) -> Tensor:
    """A random crop (1, 3, side, side) of a picture at a random scale; varied, faded and noised now and then."""
    smallest = min(image.shape[-2:])
    factor = generator.uniform(min(1.0, side / smallest), 1.0)
    image = resize(image, (max(side, round(image.shape[-2] * factor)), max(side, round(image.shape[-1] * factor))))
    crop = varied(cut(image, place_in(size_of(image), generator, side), side), generator)
    if generator.random() < 0.2:
        gain, bias = generator.uniform(0.4, 1.4), generator.uniform(-0.3, 0.3)
        crop = ((crop - 0.5) * gain + 0.5 + bias).clamp(0, 1)
    if generator.random() < 0.2:
        torch_generator = torch.Generator().manual_seed(generator.getrandbits(60))
        level = generator.choice((0.01, 0.05, 0.2))
        crop = (crop + level * torch.randn(crop.shape, generator=torch_generator)).clamp(0, 1)
    return crop


Led = tuple[Tensor, Tensor, Tensor]  # a picture under way, its content and its style, each (1, 3, H, W)


def own_optimisation(student: Network, images: Sequence[Tensor], generator: random.Random) -> Iterator[Led]:
    """Pictures on the way of a random transfer with the student as it is now, each with its content and its style."""
    config = Config(
        size=generator.choice((192, 256, 256, 320)),
        scales=(1.0,),
        iterations=(generator.choice((60, 120, 150)),),
        init=generator.choice(("content", "content", "content", "content", "noise")),
        content_weight=generator.choice((0.0, 0.02, 0.05, 0.05, 0.05, 0.2)),
        octaves=generator.choice((1, 1, 3)),
        seed=generator.getrandbits(32),
    )
    content, style = (varied(image, generator) for image in generator.sample(list(images), 2))
    for step in iterate(content, [style], config, network=student):
        if step.iteration in (8, 30, 60, 90, 120, 150):  # late ones, where what the student cannot see has piled up
            long_side = max(step.size)
            yield step.image, resize(content, step.size), resize(style, fit_size(size_of(style), long_side))


class Course:
    """The stream of crops to learn from, and the teacher's word on them."""

    def __init__(self, teacher: Network, student: Network, images: Sequence[Tensor], fit: Fit) -> None:
        self.teacher, self.student, self.images, self.fit = teacher, student, images, fit
        self.random = random.Random(fit.seed)
        self.scale = teacher_scale(teacher, images[:24], fit.layers)
        self.kept: deque[Batch] = deque(maxlen=KEPT_BATCHES)
        self.pool: deque[Led] = deque(maxlen=POOL)
        self.running: Iterator[Led] = iter(())

    def batch(self, step: int) -> Batch:
        if self.kept and step % REUSES:
            return self.random.choice(self.kept)
        if step > self.fit.steps // 20 and step % OWN_EVERY == 0:
            self._go_on_optimising()
        led = bool(self.pool) and self.random.random() < OWN_SHARE
        crops = torch.cat(self._led_crops() if led else [self._crop() for _ in range(self.fit.batch)])
        with torch.no_grad():
            found = self.teacher(crops, self.fit.learnt_layers)
        batch = Batch(crops, {layer: (found[layer] / self.scale[layer]).half() for layer in found}, led)
        self.kept.append(batch)
        return batch

    def _crop(self) -> Tensor:
        if self.random.random() < 0.15:
            return texture(self.random, self.fit.crop)
        return crop_of(self.random.choice(self.images), self.random, self.fit.crop)

    def _led_crops(self) -> list[Tensor]:
        """One place of a picture under way and of its content, and a place of its style."""
        picture, content, style = self.random.choice(self.pool)
        side = self.fit.crop
        here = place_in(size_of(picture), self.random, side)
        elsewhere = place_in(size_of(style), self.random, side)
        return [cut(picture, here, side), cut(content, here, side), cut(style, elsewhere, side)]

    def _go_on_optimising(self) -> None:
        """One more picture of the student's own; a finished optimisation is followed by a new one."""
        found = next(self.running, None)
        if found is None:
            self.running = own_optimisation(copy.deepcopy(self.student).requires_grad_(False), self.images, self.random)
            found = next(self.running, None)
        if found is not None and min(min(size_of(image)) for image in found) >= self.fit.crop:
            self.pool.append(found)


@torch.no_grad()
def held_out_score(
    student: Network, teacher: Network, scale: dict[str, Tensor], images: Sequence[Tensor]
) -> dict[str, float]:
    """Mean relative error on pictures kept out: of the activations by layer, and of the Gram matrices
    (`gram/layer`).
    """
    scores: dict[str, list[float]] = {}
    for image in images:
        found, wanted = student(image, scale), teacher(image, scale)
        for layer, got in found.items():
            goal = wanted[layer] / scale[layer]
            scores.setdefault(layer, []).append(float((got - goal).square().mean() / goal.square().mean()))
            if layer in student.design.style_layers:
                scores.setdefault(f"gram/{layer}", []).append(float(relative_error(grams(got), grams(goal))))
    return {name: sum(values) / len(values) for name, values in scores.items()}


def folded(student: Network) -> dict[str, Tensor]:
    """The student's tensors for shipping, in half precision, its heads cut down to their R factors."""
    tensors = {f"features.{key}": value for key, value in student.features.state_dict().items()}
    head: Any
    for layer, head in student.heads.items():
        weight = torch.cat([head.weight.flatten(1), head.bias[:, None]], dim=1).double()
        upper = torch.linalg.qr(weight, mode="r").R
        tensors[f"heads.{layer}.weight"], tensors[f"heads.{layer}.bias"] = upper[:, :-1, None, None], upper[:, -1]
    return {key: value.half().contiguous() for key, value in tensors.items()}


def distill(
    teacher: Network,
    images: Sequence[Tensor],
    held_out: Sequence[Tensor],
    fit: Fit,
    output: Path,
) -> dict[str, float]:
    """Fit a student, going on from `output`.fit where that exists, write it to `output` and return its held-out score.

    images, held_out: (1, 3, H, W) in [0, 1], each side at least `fit.crop`. The same seed gives the same student
    where the fit is not interrupted.
    """
    student = new_student(teacher, fit)
    course = Course(teacher, student, images, fit)
    checkpoint, first = output.with_name(output.name + ".fit"), 0
    if not checkpoint.exists():
        start_from_teacher(student, teacher, images[:24], course.scale)
    student.features[0].requires_grad_(False)
    for layer in set(fit.layers) - set(fit.learnt_layers):
        student.heads[layer].requires_grad_(False)
    learnt = [each for each in student.parameters() if each.requires_grad]
    optimizer = torch.optim.Adam(learnt, lr=RATE, betas=(0.9, 0.99))
    if checkpoint.exists():
        saved: dict[str, Any] = torch.load(checkpoint, weights_only=True)
        student.load_state_dict(saved["student"])
        optimizer.load_state_dict(saved["optimizer"])
        first = saved["step"]
        course.random.seed(fit.seed + first)
    score = held_out_score(student, teacher, course.scale, held_out)
    bar = tqdm(range(first, fit.steps), initial=first, total=fit.steps, unit="step")
    bar.write("at the start: " + _told(score))
    average = 0.0
    for step in bar:
        crops, wanted, led = course.batch(step)
        share = step / fit.steps
        for group in optimizer.param_groups:
            group["lr"] = RATE * min(1.0, (step + 1) / 100) * (0.005 + 0.995 * (1 + math.cos(math.pi * share)) / 2)
        optimizer.zero_grad(set_to_none=True)
        loss = fit_loss(student(crops, wanted), {layer: goal.float() for layer, goal in wanted.items()}, led, fit)
        loss.backward()
        nn.utils.clip_grad_norm_(learnt, 1.0)
        optimizer.step()
        average = float(loss.detach()) if step == first else 0.98 * average + 0.02 * float(loss.detach())
        bar.set_postfix(loss=f"{average:.4f}")
        if (step + 1) % 500 == 0 or step + 1 == fit.steps:
            score = held_out_score(student, teacher, course.scale, held_out)
            bar.write(f"step {step + 1}: " + _told(score))
            write_atomically(output, safetensors.torch.save(folded(student)))
            state = io.BytesIO()
            torch.save({"student": student.state_dict(), "optimizer": optimizer.state_dict(), "step": step + 1}, state)
            write_atomically(checkpoint, state.getvalue())
    return score


def _told(score: dict[str, float]) -> str:
    return "held out " + " ".join(f"{name} {value:.4f}" for name, value in score.items())


def read_folder(folder: Path, smallest: int, kept_out: Sequence[str]) -> tuple[list[Tensor], list[Tensor]]:
    """The pictures of a folder to fit on and those kept out (by stem), each at most 640 px and at least `smallest`."""
    fitted: list[Tensor] = []
    held: list[Tensor] = []
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() not in (".jpg", ".jpeg", ".png", ".webp"):
            continue
        image = load_image(path)
        size = size_of(image)
        image = resize(image, fit_size(size, min(640, max(size))))
        if min(image.shape[-2:]) >= smallest:
            (held if path.stem in kept_out else fitted).append(image)
    if len(fitted) < 2:
        raise StyleTransferError(f"{folder.name} holds {len(fitted)} usable pictures: a fit needs at least 2")
    return fitted, held


def parse_widths(text: str) -> tuple[Width, ...]:
    """The channels of a student from text like 32,24,M,64. Raises StyleTransferError."""
    words = [word.strip() for word in text.split(",")]
    if not all(word == "M" or (word.isdigit() and int(word) > 0) for word in words):
        raise StyleTransferError(
            f"widths must be numbers of channels and M for a pooling, like 32,24,M,64: got {text!r}"
        )
    return tuple(word if word == "M" else int(word) for word in words)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="styletransfer.distill", description="Fit a compact feature network to a teacher."
    )
    parser.add_argument("--teacher", required=True, help="the teacher's weights, with all layers that are asked for")
    parser.add_argument(
        "--network", default="vgg19-caffe", choices=("vgg19", "vgg19-caffe"), help="their input convention"
    )
    parser.add_argument("--images", required=True, type=Path, help="folder of pictures to fit on")
    parser.add_argument("--held-out", default="", help="comma-separated names (without suffix) that are only scored on")
    parser.add_argument("--steps", type=int, default=Fit.steps)
    parser.add_argument("--batch", type=int, default=Fit.batch, help="crops a step")
    parser.add_argument("--crop", type=int, default=Fit.crop, help="side of a crop in pixels")
    parser.add_argument("--seed", type=int, default=Fit.seed)
    for name, what in (("style", "matched"), ("content", "kept")):
        shown = ",".join(getattr(Fit, f"{name}_layers"))
        parser.add_argument(f"--{name}-layers", default=shown, help=f"the teacher's layers that are {what} ({shown})")
    shown = ",".join(map(str, Fit.widths))
    parser.add_argument("--widths", default=shown, help=f"the student's channels, M for a pooling ({shown})")
    parser.add_argument("-o", "--output", required=True, type=Path, help="FILE.safetensors; FILE.fit beside it resumes")
    options = parser.parse_args(arguments)
    try:
        layers = Config(
            network=options.network,
            weights=options.teacher,
            style_layers=tuple(options.style_layers.split(",")),
            content_layers=tuple(options.content_layers.split(",")),
            device="cpu",
            precision="float32",
        )
        widths = parse_widths(options.widths)
        fit = Fit(
            options.steps, options.batch, options.crop, options.seed, widths, layers.style_layers, layers.content_layers
        )
        images, held_out = read_folder(options.images, fit.crop, options.held_out.split(","))
        distill(load_network(layers), images, held_out or list(islice(images, 4)), fit, options.output)
    except StyleTransferError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
