"""What a student learns from: crops of pictures, procedural textures, and pictures that it is optimising itself."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from ..config import Config
from ..features import Network
from ..pixels import Size, fit_size, resize, size_of
from ..transfer import iterate

KEPT_STEPS = (4, 12, 30, 60, 90)  # of the student's optimisations: late ones have collected what it cannot see


class OnTrajectory(NamedTuple):
    """An optimised picture before the end of its run, its content and its style, all (1, 3, H, W)."""

    picture: Tensor
    content: Tensor
    style: Tensor


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
    """The square (1, 3, side, side) whose top left corner is at `place`."""
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


def own_optimisation(student: Network, images: Sequence[Tensor], generator: random.Random) -> Iterator[OnTrajectory]:
    """Pictures from a style transfer by the student as it is now, with random pictures and settings."""
    main_layer = student.design.content_layers[0]
    config = Config(
        size=generator.choice((224, 256, 320, 384)),
        scales=generator.choice(((1.0,), (0.5, 1.0))),
        iterations=(generator.choice((30, 60, 90)),),
        init=generator.choice(("content",) * 7 + ("noise",)),
        content_layers=(generator.choice((main_layer,) * 6 + student.design.content_layers),),
        content_weight=generator.choice((0.0, 0.01, 0.02, 0.02, 0.05, 0.2)),
        seed=generator.getrandbits(32),
    )
    content, style = (varied(image, generator) for image in generator.sample(list(images), 2))
    for step in iterate(content, [style], config, network=student):
        if step.iteration in KEPT_STEPS:
            long_side = max(step.size)
            fitted = resize(style, fit_size(size_of(style), long_side))
            yield OnTrajectory(step.image, resize(content, step.size), fitted)
