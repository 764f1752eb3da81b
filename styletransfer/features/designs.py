"""The VGG-shaped networks, as data."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from ..config import COMPACT_STEPS, STEPS, StyleTransferError

Shapes = Mapping[str, tuple[int, ...]]

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
CAFFE_MEAN = (123.68 / 255, 116.779 / 255, 103.939 / 255)  # R, G, B, published for 0-255


class Factored(NamedTuple):
    """A 3x3 convolution as three: 1x1 to `reduced` channels (0: left out), 3x3 to `mixed`, 1x1 to `channels`.

    Source: Tucker-2 decomposition (Kim et al. 2016, Compression of Deep Convolutional Neural Networks for Fast and Low
    Power Mobile Applications).
    """

    channels: int
    reduced: int
    mixed: int


Width = int | str | Factored


@dataclass(frozen=True)
class Design:
    """A network's layers and its input convention.

    widths: the convolutions' channels, 0 for one that is left out, and M for a pooling.
    """

    widths: tuple[Width, ...]
    batch_norm: bool = False
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD
    bgr: bool = False
    style_layers: tuple[str, ...] = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")
    content_layers: tuple[str, ...] = ("relu4_2",)
    iterations: tuple[int, ...] = STEPS

    @property
    def convolutions(self) -> dict[str, int | Factored]:
        """The convolutions that are not left out, by name, with their channels."""
        names = [name for name in layer_names(self.widths) if name.startswith("conv")]
        return dict(zip(names, (width for width in self.widths if width and not isinstance(width, str))))

    def channels(self, layer: str) -> int:
        """Channels of a layer like conv4_2 or relu4_2."""
        return channels_of(self.convolutions[layer.replace("relu", "conv")])


def _published(deep: int) -> tuple[Width, ...]:
    """The widths of Simonyan and Zisserman (2014, table 1), with `deep` convolutions in blocks 3 to 5."""
    widths: list[Width] = []
    for channels, count in ((64, 2), (128, 2), (256, deep), (512, deep), (512, deep)):
        widths += [*[channels] * count, "M"]
    return tuple(widths)


VGG16_WIDTHS, VGG19_WIDTHS = _published(3), _published(4)

# The original weights take 0-255 minus the mean: in [0, 1] this is a standard deviation of 1/255.
DESIGNS = {
    "vgg19": Design(VGG19_WIDTHS),
    "vgg19-caffe": Design(
        VGG19_WIDTHS,
        mean=CAFFE_MEAN,
        std=(1 / 255,) * 3,
        bgr=True,
    ),
    "vgg16": Design(VGG16_WIDTHS),
    "vgg16_bn": Design(VGG16_WIDTHS, batch_norm=True),
}


def channels_of(width: int | Factored) -> int:
    return width.channels if isinstance(width, Factored) else width


def layer_names(widths: Sequence[Width]) -> dict[str, int]:
    """The layers (conv1_1, relu1_1, ...) with their indices among torchvision's modules without batch norm.

    A convolution of 0 channels counts in the layers' numbers, but is no module.
    """
    names, block, number, index = {}, 1, 0, 0
    for width in widths:
        if width == "M":
            block, number, index = block + 1, 0, index + 1
            continue
        number += 1
        if width:
            names[f"conv{block}_{number}"], names[f"relu{block}_{number}"] = index, index + 1
            index += 2
    return names


VGG19_NAMES = layer_names(VGG19_WIDTHS)


def module_names(design: Design) -> dict[str, int]:
    """Layer names to indices of torchvision's modules; with batch norm, `conv` is the normalised convolution."""
    if not design.batch_norm:
        return layer_names(design.widths)
    names, index = {}, 0
    for name in layer_names(design.widths):
        kind, block, number = name[:4], name[4:].split("_")[0], name.split("_")[1]
        if kind == "conv":
            index += int(number == "1" and block != "1")  # the pooling before this block
            names[name] = index + 1
        else:
            names[name] = index + 2
            index += 3
    return names


def compact_design(shapes: Shapes) -> Design:
    """The design of a compact network, from the shapes of its weights, whose keys are VGG-19's.

    Raises StyleTransferError if they are not those of a compact network.
    """
    kernels: dict[int, dict[str, tuple[int, ...]]] = {}  # by VGG-19's index; the part is "" where there is only one
    for key, shape in shapes.items():
        match = re.fullmatch(r"features\.(\d+)\.(reduce\.|mix\.|expand\.|)weight", key)
        if match and len(shape) == 4:
            kernels.setdefault(int(match[1]), {})[match[2].rstrip(".")] = shape
    places = {index: name for name, index in VGG19_NAMES.items() if name.startswith("conv")}
    if strangers := sorted(set(kernels) - set(places)):
        raise StyleTransferError(f"not a compact network: VGG-19 has no convolution at features.{strangers[0]}")
    widths: list[Width] = []
    for index, name in places.items():
        if index > max(kernels, default=-1):
            break
        if name.endswith("_1") and index:
            widths.append("M")
        widths.append(_width_of(index, kernels.get(index, {})))
    heads = compact_heads(shapes)
    layers = in_depth_order([*heads, *whole_layers(widths)])
    if not layers or not set(layers) <= set(layer_names(widths)):
        raise StyleTransferError("not a compact network: it has no heads that fit its layers")
    others = tuple(name for name in layers if not name.endswith("_1"))
    content = [name for name in Design.content_layers if name in layers] or others[-1:] or layers[-1:]
    return Design(
        tuple(widths),
        style_layers=tuple(name for name in layers if name not in others) or layers,
        content_layers=tuple(content),
        iterations=COMPACT_STEPS,
    )


def _width_of(index: int, parts: Shapes) -> int | Factored:
    """A convolution's width from the shapes of its kernels: one, or the parts of a factored one."""
    if set(parts) <= {""}:
        return parts[""][0] if parts else 0
    if not {"mix", "expand"} <= set(parts) or "" in parts:
        raise StyleTransferError(f"not a compact network: features.{index} is a factored convolution without its parts")
    return Factored(parts["expand"][0], parts.get("reduce", (0,))[0], parts["mix"][0])


def compact_heads(shapes: Shapes) -> dict[str, int]:
    """The layers of a compact network that have heads, with the heads' channels."""
    matches = ((re.fullmatch(r"heads\.(relu\d_\d)\.weight", key), shape) for key, shape in shapes.items())
    return {match[1]: shape[0] for match, shape in matches if match and len(shape) == 4}


def whole_layers(widths: Sequence[Width]) -> tuple[str, ...]:
    """The layers of a compact network that are as wide as VGG-19's: they predict its activations without a head."""
    design, teacher = Design(tuple(widths)), DESIGNS["vgg19"]
    return tuple(
        name.replace("conv", "relu")
        for name, width in design.convolutions.items()
        if name in teacher.convolutions and channels_of(width) == teacher.channels(name)
    )


def in_depth_order(layers: Iterable[str]) -> tuple[str, ...]:
    """Layers of VGG-19, shallow to deep, without repetitions."""
    return tuple(sorted(set(layers)))
