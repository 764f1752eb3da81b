"""The command line of a fit."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

from torch import Tensor

from .. import allocator
from ..config import Config, StyleTransferError
from ..features import Factored, Width, load_network
from ..images import load_image
from ..pixels import fit_size, resize, size_of
from .course import distill
from .student import Fit


def read_folder(folder: Path, smallest: int, kept_out: Sequence[str]) -> tuple[list[Tensor], list[Tensor]]:
    """The pictures of a folder to fit on, and those held out by name: at most 640 px on the long side, and enlarged if
    the short side is below `smallest`.
    """
    fitted: list[Tensor] = []
    held: list[Tensor] = []
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() not in (".jpg", ".jpeg", ".png", ".webp"):
            continue
        image = load_image(path)
        size = size_of(image)
        long_side = max(min(640, max(size)), -(-smallest * max(size) // min(size)))
        (held if path.stem in kept_out else fitted).append(resize(image, fit_size(size, long_side)))
    if len(fitted) < 2:
        raise StyleTransferError(f"{folder.name} holds {len(fitted)} usable pictures: a fit needs at least 2")
    return fitted, held


def parse_widths(text: str) -> tuple[Width, ...]:
    """The channels of a student from text like 32,24,M,64,0,M,512:96:128. Raises StyleTransferError."""
    words = [word.strip() for word in text.split(",")]
    if not all(re.fullmatch(r"M|\d+|[1-9]\d*:\d+:[1-9]\d*", word) for word in words) or not words[0].isdigit():
        raise StyleTransferError(_WIDTHS.format(text))
    widths = tuple(_width(word) for word in words)
    if not widths[0]:
        raise StyleTransferError(_WIDTHS.format(text))
    return widths


_WIDTHS = (
    "widths must be numbers of channels, 0 for a convolution left out, M for a pooling and CHANNELS:REDUCED:MIXED for "
    "a factored convolution, like 32,24,M,64:0:32: got {!r}"
)


def _width(word: str) -> Width:
    return word if word == "M" else Factored(*map(int, word.split(":"))) if ":" in word else int(word)


def _shown(width: Width) -> str:
    return ":".join(map(str, width)) if isinstance(width, Factored) else str(width)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="styletransfer.distill", description="Fit a compact feature network to a teacher."
    )
    parser.add_argument("--teacher", required=True, help="file of the teacher's weights, deep enough for all layers")
    parser.add_argument(
        "--network", default="vgg19-caffe", choices=("vgg19", "vgg19-caffe"), help="the teacher's input convention"
    )
    parser.add_argument("--images", required=True, type=Path, help="folder of pictures to fit on")
    parser.add_argument("--held-out", default="", help="NAME,NAME: pictures, without suffix, for the score alone")
    parser.add_argument("--steps", type=int, default=Fit.steps)
    parser.add_argument("--batch", type=int, default=Fit.batch, help="crops a step")
    parser.add_argument("--crop", type=int, default=Fit.crop, help="side of a crop in pixels")
    parser.add_argument("--start", type=int, default=Fit.start, help="crops for the closed-form start")
    parser.add_argument(
        "--earlier", type=Path, help="FILE.fit of another fit: its layers of the same shape are taken over"
    )
    parser.add_argument("--seed", type=int, default=Fit.seed)
    for name, what in (("style", "style layers"), ("content", "content layers, the default one first")):
        shown = ",".join(getattr(Fit, f"{name}_layers"))
        parser.add_argument(f"--{name}-layers", default=shown, help=f"the teacher's {what} ({shown})")
    shown = ",".join(map(_shown, Fit.widths))
    parser.add_argument(
        "--widths",
        default=shown,
        help="the student's channels; 0: left out, M: a pooling, CHANNELS:REDUCED:MIXED: a factored convolution "
        f"({shown})",
    )
    parser.add_argument("-o", "--output", required=True, type=Path, help="FILE.safetensors; FILE.fit beside it resumes")
    options = parser.parse_args(arguments)
    try:
        layers = Config(
            network=options.network,
            weights=options.teacher,
            style_layers=tuple(options.style_layers.split(",")),
            content_layers=tuple(options.content_layers.split(",")),
            device="cpu",
        )
        fit = Fit(
            options.steps,
            options.batch,
            options.crop,
            options.start,
            options.seed,
            parse_widths(options.widths),
            layers.style_layers,
            layers.content_layers,
        )
        allocator.keep()
        images, held_out = read_folder(options.images, fit.crop, options.held_out.split(","))
        held_out = held_out or list(islice(images, 4))
        distill(load_network(layers), images, held_out, fit, options.output, options.earlier)
    except (StyleTransferError, FileNotFoundError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0
