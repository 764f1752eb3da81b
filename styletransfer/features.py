"""The networks that compute features, cut at the deepest layer asked for, with frozen weights.

All of them are VGG-shaped (Simonyan and Zisserman, 2014) and built by torchvision's own definition. The compact
network is VGG-19 with fewer channels and some convolutions left out. At each layer that is matched, a 1x1 head predicts
VGG-19's activations in a rotated basis no wider than the layer itself. A rotation keeps inner products, so that Gram
matrices, covariances and distances are those of the predicted activations.
"""

from __future__ import annotations

import logging
import re
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn
from torchvision.models.vgg import cfgs, make_layers

from . import winograd
from .config import COMPACT_STEPS, STEPS, Config, StyleTransferError
from .weights import BUILTIN, Weights, available, load_weights, on_disk

logger = logging.getLogger(__name__)

Width = int | str
Tap = Callable[[str, Tensor], Tensor]
Shapes = Mapping[str, tuple[int, ...]]

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
CAFFE_MEAN = (123.68 / 255, 116.779 / 255, 103.939 / 255)  # R, G, B, published for 0-255


@dataclass(frozen=True)
class Design:
    """What sets one VGG-shaped network apart from another, as data.

    widths: the channels of each convolution, 0 where it is left out, and M for a pooling.
    """

    widths: tuple[Width, ...]
    batch_norm: bool = False
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD
    bgr: bool = False
    style_layers: tuple[str, ...] = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")
    content_layers: tuple[str, ...] = ("relu4_2",)
    iterations: tuple[int, ...] = STEPS


# The original weights take 0-255 minus the mean: in [0, 1] this is a standard deviation of 1/255.
DESIGNS = {
    "vgg19": Design(tuple(cfgs["E"])),
    "vgg19-caffe": Design(
        tuple(cfgs["E"]),
        mean=CAFFE_MEAN,
        std=(1 / 255,) * 3,
        bgr=True,
    ),
    "vgg16": Design(tuple(cfgs["D"])),
    "vgg16_bn": Design(tuple(cfgs["D"]), batch_norm=True),
}


def layer_names(widths: Sequence[Width]) -> dict[str, int]:
    """Each layer (conv1_1, relu1_1, ...) and its index among torchvision's modules without batch norm.

    A convolution of 0 channels takes up a number, but no module.
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


VGG19_NAMES = layer_names(cfgs["E"])


def compact_design(shapes: Shapes) -> Design:
    """Read a compact network's widths off its weights, whose keys are those of the same convolutions of VGG-19.

    Raises StyleTransferError where the file holds no such network.
    """
    kernels = {key: shape for key, shape in shapes.items() if len(shape) == 4}
    channels = {
        int(m[1]): shape[0] for key, shape in kernels.items() if (m := re.fullmatch(r"features\.(\d+)\.weight", key))
    }
    places = {index: name for name, index in VGG19_NAMES.items() if name.startswith("conv")}
    if strangers := sorted(set(channels) - set(places)):
        raise StyleTransferError(f"not a compact network: VGG-19 has no convolution at features.{strangers[0]}")
    widths: list[Width] = []
    for index, name in places.items():
        if index > max(channels, default=-1):
            break
        if name.endswith("_1") and index:
            widths.append("M")
        widths.append(channels.get(index, 0))
    heads = tuple(sorted(compact_heads(kernels)))
    if not heads or not set(heads) <= set(layer_names(widths)):
        raise StyleTransferError("not a compact network: it has no heads that fit its layers")
    others = tuple(name for name in heads if not name.endswith("_1"))
    content = [name for name in Design.content_layers if name in heads] or others[-1:] or heads[-1:]
    return Design(
        tuple(widths),
        style_layers=tuple(name for name in heads if name not in others) or heads,
        content_layers=tuple(content),
        iterations=COMPACT_STEPS,
    )


def compact_heads(shapes: Shapes) -> dict[str, int]:
    """The layers that a compact network has heads at, and the channels of each."""
    matches = ((re.fullmatch(r"heads\.(relu\d_\d)\.weight", key), shape) for key, shape in shapes.items())
    return {found[1]: shape[0] for found, shape in matches if found and len(shape) == 4}


class Network(nn.Module):
    """A frozen feature network: image (1, 3, H, W), sRGB in [0, 1], to a dict of feature maps (1, C, h, w) by layer
    name.

    `name` and `reason` say which network this is and why, `digest` identifies its weights, `origin` tells where they
    are from.
    """

    features: Any  # an nn.Sequential, whose modules are indexed by position
    mean: Tensor
    std: Tensor

    def __init__(
        self,
        name: str,
        design: Design,
        layers: Sequence[str],
        *,
        pooling: str = "max",
        padding: str = "zeros",
        heads: Mapping[str, int] | None = None,
    ) -> None:
        super().__init__()
        self.name, self.design, self.reason, self.digest, self.origin = name, design, "", "", ""
        names = layer_names(design.widths)
        missing = [layer for layer in layers if layer not in (heads if heads is not None else names)]
        if missing:
            known = list(heads) if heads is not None else [n for n in names if n.startswith("relu")]
            raise StyleTransferError(f"network {name} has no layer {missing[0]}: it has {', '.join(known)}")
        self.names = _module_names(design)
        depth = max(self.names[layer] for layer in layers) + 1
        # Built without memory, since torchvision would draw random numbers for weights that are loaded anyway.
        with torch.device("meta"):
            stack = make_layers([width for width in design.widths if width], design.batch_norm)[:depth]
            self.features = stack if heads is None else _with_keys_of_vgg19(stack, self.names)
            self.heads = nn.ModuleDict()
            for layer in layers if heads is not None else ():
                self.heads[layer] = nn.Conv2d(_width_at(design, layer), (heads or {})[layer], 1)
        for index, module in enumerate(self.features):
            if isinstance(module, nn.MaxPool2d) and pooling == "average":
                self.features[index] = nn.AvgPool2d(2)
            if isinstance(module, nn.ReLU):  # in place, unless what it overwrites is asked for
                module.inplace = not any(self.names[layer] == index - 1 for layer in layers)
        self.features[0].padding_mode = padding
        self.register_buffer("mean", torch.tensor(design.mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(design.std).view(1, 3, 1, 1), persistent=False)
        self.eval()

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The tensors that this network needs, by their keys in a file of weights."""
        # Evaluation never uses batch norm's count, and files may lack it: torch then loads a zero.
        tensors = self.state_dict().items()
        return {key: tuple(value.shape) for key, value in tensors if not key.endswith("num_batches_tracked")}

    def load(self, weights: Weights) -> Network:
        """Take the weights and freeze them."""
        self.load_state_dict(dict(weights.tensors), assign=True)
        self.digest, self.origin = weights.digest, weights.origin
        return self.requires_grad_(False)

    def to_working(self, device: torch.device, dtype: torch.dtype) -> Network:
        """Move to a device and number format; the input is normalised in at least float32 in any case."""
        self.features.to(device, dtype, memory_format=torch.channels_last)
        self.heads.to(device, dtype)
        exact = torch.promote_types(dtype, torch.float32)
        self.mean, self.std = self.mean.to(device, exact), self.std.to(device, exact)
        for index, module in enumerate(self.features):
            if winograd.pays(module):
                self.features[index] = winograd.WinogradConv2d(module)
        return self

    @property
    def stride(self) -> int:
        """Pixels of the picture per position of the deepest layer."""
        return _reach(self.features)[0]

    def reach(self, layer: str) -> tuple[int, int]:
        """The layer's stride, and how many pixels beyond its own stride x stride square a position sees around."""
        return _reach(self.features[: self.names[layer] + 1])

    def width(self, layer: str) -> int:
        """Channels that are computed of the layer, its head included."""
        return self.heads[layer].out_channels if len(self.heads) else _width_at(self.design, layer)  # type: ignore[return-value]

    def channels(self, layer: str) -> int:
        """Channels of the layer as published losses count them: VGG-19's, where a head predicts its activations."""
        return _width_at(DESIGNS["vgg19"] if len(self.heads) else self.design, layer)

    def forward(self, image: Tensor, layers: Iterable[str]) -> dict[str, Tensor]:
        return {layer: self.headed(layer, maps) for layer, maps in self.bare(image, layers).items()}

    def normalised(self, image: Tensor) -> Tensor:
        """A picture (1, 3, H, W) in the input convention of the weights, as the first convolution takes it."""
        values = (image - self.mean) / self.std
        return values.flip(1) if self.design.bgr else values

    def bare(self, image: Tensor, layers: Iterable[str], tap: Tap | None = None) -> dict[str, Tensor]:
        """The feature maps before the heads, where there are any: statistics pass through a head at no cost.

        `tap` is called with each layer and its maps as they come, and returns the maps that the next layer takes.
        """
        wanted = {self.names[layer]: layer for layer in layers}
        x = self.normalised(image).to(self.features[0].weight.dtype).contiguous(memory_format=torch.channels_last)
        found = {}
        for index, module in enumerate(self.features[: max(wanted) + 1]):
            x = module(x)
            if index in wanted:
                x = found[wanted[index]] = tap(wanted[index], x) if tap else x
        return found

    def headed(self, layer: str, maps: Tensor) -> Tensor:
        """A layer's bare maps (1, C, h, w) through its head, where there is one."""
        return self.heads[layer](maps) if len(self.heads) else maps

    def head(self, layer: str) -> tuple[Tensor, Tensor] | None:
        """The layer's head as a matrix (K, C) and a bias (K,), in at least float32; None where there is none."""
        if not len(self.heads):
            return None
        module: Any = self.heads[layer]
        return module.weight.to(self.mean.dtype).flatten(1), module.bias.to(self.mean.dtype)


def _with_keys_of_vgg19(stack: nn.Sequential, names: Mapping[str, int]) -> nn.Sequential:
    """The same modules under the keys that VGG-19's have; a pooling's is the one before its block."""
    keys = {index: str(VGG19_NAMES[name]) for name, index in names.items()}
    before = {index - 1: str(VGG19_NAMES[name] - 1) for name, index in names.items() if name.startswith("conv")}
    return nn.Sequential(OrderedDict((keys.get(index) or before[index], module) for index, module in enumerate(stack)))


def _reach(modules: Iterable[nn.Module]) -> tuple[int, int]:
    """Stride and one-sided reach of a stack of 3x3 convolutions and 2x2 poolings."""
    stride, reach = 1, 0
    for module in modules:
        if isinstance(module, nn.Conv2d):
            reach += stride
        if isinstance(module, (nn.MaxPool2d, nn.AvgPool2d)):
            stride *= 2
    return stride, reach


def _module_names(design: Design) -> dict[str, int]:
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


def _width_at(design: Design, layer: str) -> int:
    convs = [width for width in design.widths if width != "M" and width]
    names = [name for name in layer_names(design.widths) if name.startswith("relu")]
    return int(convs[names.index(layer.replace("conv", "relu"))])


def choose_device(config: Config) -> torch.device:
    """The device asked for, or for auto the best there is. Raises StyleTransferError where it is not usable."""
    if config.device == "auto":
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
        return torch.device(name)
    try:
        device = torch.device(config.device)
        usable = device.type in ("cpu", "cuda", "mps") and torch.zeros(1, device=device).numel() == 1
    except (RuntimeError, AssertionError):
        usable = False
    if not usable:
        raise StyleTransferError(f"device {config.device!r} cannot be used here: choose auto, cpu, cuda or mps")
    return device


def choose_dtype(config: Config, device: torch.device) -> torch.dtype:
    """The convolutions' number format: bfloat16 where the hardware computes with it, otherwise float32."""
    if config.precision != "auto":
        return {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}[config.precision]
    if device.type == "cuda" and torch.cuda.get_device_capability(device) >= (8, 0):
        return torch.bfloat16
    if device.type == "cpu" and torch.cpu._is_avx512_bf16_supported() and _bfloat16_pays():
        return torch.bfloat16
    return torch.float32


@cache
def _bfloat16_pays() -> bool:
    """Whether this processor convolves clearly faster in bfloat16: some that have the instructions were measured at
    twice the speed of float32, some at six tenths of it.
    """
    times = {}
    for dtype in (torch.float32, torch.bfloat16):
        maps = torch.ones(1, 64, 96, 96, dtype=dtype).contiguous(memory_format=torch.channels_last)
        weight = torch.ones(64, 64, 3, 3, dtype=dtype).contiguous(memory_format=torch.channels_last)
        seconds = []
        for _ in range(5):
            began = time.perf_counter()
            nn.functional.conv2d(maps, weight, padding=1)
            seconds.append(time.perf_counter() - began)
        times[dtype] = min(seconds)
    return times[torch.float32] > 1.2 * times[torch.bfloat16]


def choose_network(config: Config, device: torch.device) -> tuple[str, str]:
    """The network's name and, in a phrase, why this one."""
    if config.network != "auto":
        return config.network, "as asked"
    if config.weights:
        return "vgg19", "weights were given"
    if device.type == "cpu":
        return "builtin", "no GPU"
    if on_disk("vgg19", Network("vgg19", DESIGNS["vgg19"], DESIGNS["vgg19"].style_layers).shapes()):
        return "vgg19", "its weights are on disk and there is a GPU"
    return "builtin", "VGG-19's weights are not on disk"


def wanted_layers(config: Config, design: Design) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Content and style layers of a run: as configured, or the network's own."""
    return config.content_layers or design.content_layers, config.style_layers or design.style_layers


def load_network(
    config: Config,
    *,
    dtype: torch.dtype | None = None,
    report: Callable[[str], None] | None = None,
    download: bool = True,
) -> Network:
    """The network that a configuration asks for, cut, loaded, frozen and on its device.

    `dtype` overrides the number format (float64 for checks). Raises StyleTransferError where layers or weights are
    missing.
    """
    device = choose_device(config)
    name, reason = choose_network(config, device)
    heads = None
    if name == "builtin":
        shapes = available(config.weights or str(BUILTIN))
        design, heads = compact_design(shapes), compact_heads(shapes)
    else:
        design = DESIGNS[name]
    content, style = wanted_layers(config, design)
    network = Network(name, design, [*content, *style], pooling=config.pooling, padding=config.padding, heads=heads)
    network.reason = reason
    if config.weights and heads is None:
        _check_depth(network, config.weights)
    loaded = load_weights(name, network.shapes(), config.weights, report or logger.info, download=download)
    return network.load(loaded).to_working(device, dtype or choose_dtype(config, device))


def _check_depth(network: Network, path: str) -> None:
    """Say in layers, not in keys, what a local file is too short for."""
    held = available(path)
    lacking = {name: f"features.{index}.weight" for name, index in network.names.items() if name.startswith("conv")}
    reach = [name for name, key in lacking.items() if key in held]
    needed = [name for name, key in lacking.items() if key in network.shapes()]
    if reach and needed and not set(needed) <= set(reach):
        deepest, asked = reach[-1].replace("conv", "relu"), needed[-1].replace("conv", "relu")
        raise StyleTransferError(
            f"the weights given reach {deepest} only, and {asked} was asked for: choose layers up to {deepest}"
        )
