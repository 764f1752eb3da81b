"""The networks that compute features, cut at the deepest layer asked for, with frozen weights.

All of them are VGG-shaped (Simonyan and Zisserman, 2014), with torchvision's order of modules. The compact
network is VGG-19 with fewer channels and some convolutions left out or factored. At each matched layer that has fewer
channels than VGG-19's, a 1x1 head predicts VGG-19's activations in a rotated basis no wider than the layer itself. A
rotation keeps inner products, so that Gram matrices, covariances and distances are those of the predicted activations.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from .. import winograd
from ..config import StyleTransferError
from ..weights import Weights
from .designs import DESIGNS, VGG19_NAMES, Design, Factored, channels_of, in_depth_order, module_names, whole_layers

Tap = Callable[[str, Tensor], Tensor]


class FactoredConv2d(nn.Sequential):
    """A 3x3 convolution as 1x1, 3x3 and 1x1, with no activation in between: see `Factored`."""

    def __init__(self, in_channels: int, width: Factored) -> None:
        inner = width.reduced or in_channels
        parts: dict[str, nn.Module] = {}
        if width.reduced:
            parts["reduce"] = nn.Conv2d(in_channels, inner, 1, bias=False)
        parts["mix"] = nn.Conv2d(inner, width.mixed, 3, padding=1, bias=False)
        parts["expand"] = nn.Conv2d(width.mixed, width.channels, 1)
        super().__init__(OrderedDict(parts))
        self.out_channels = width.channels


class Network(nn.Module):
    """A frozen feature network: image (1, 3, H, W), sRGB in [0, 1], to a dict of feature maps (1, C, h, w) by layer
    name.

    name, reason: which network this is and why it was chosen; digest: identifies its weights; origin: where they are
    from.
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
        self.compact = heads is not None
        heads = heads or {}
        self.names = module_names(design)
        if self.compact:
            known = in_depth_order([*heads, *whole_layers(design.widths)])
        else:
            known = tuple(name for name in self.names if name.startswith("relu"))
        if missing := [layer for layer in layers if layer not in (known if self.compact else self.names)]:
            raise StyleTransferError(f"network {name} has no layer {missing[0]}: it has {', '.join(known)}")
        depth = max(self.names[layer] for layer in layers) + 1
        # On the meta device, since torch would initialise weights that are loaded anyway.
        with torch.device("meta"):
            self.features = _stack(design)[:depth]
            if self.compact:
                self.features = _with_keys_of_vgg19(self.features, self.names)
            self.heads = nn.ModuleDict(
                {layer: nn.Conv2d(design.channels(layer), heads[layer], 1) for layer in layers if layer in heads}
            )
        # A head that was not asked for is not loaded.
        loaded = (layer for layer in known if layer in self.heads or layer not in heads)
        self.layers = tuple(layer for layer in loaded if self.names[layer] < depth)
        for index, module in enumerate(self.features):
            if isinstance(module, nn.MaxPool2d) and pooling == "average":
                self.features[index] = nn.AvgPool2d(2)
            if isinstance(module, nn.ReLU):  # in place, unless the layer that it overwrites is asked for
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
        """Move to a device and number format; the input is always normalised in at least float32."""
        self.features.to(device, dtype, memory_format=torch.channels_last)
        self.heads.to(device, dtype)
        exact = torch.promote_types(dtype, torch.float32)
        self.mean, self.std = self.mean.to(device, exact), self.std.to(device, exact)
        for stack in (self.features, *(module for module in self.features if isinstance(module, FactoredConv2d))):
            for index, module in enumerate(stack):
                if winograd.pays(module):
                    stack[index] = winograd.WinogradConv2d(module)
        return self

    @property
    def computing(self) -> dict[str, Any]:
        """How the network computes: device, number format, its 3x3 convolutions, and those by Winograd's algorithm."""
        threes = [module for module in self.modules() if isinstance(module, nn.Conv2d) and module.kernel_size == (3, 3)]
        return {
            "device": self.mean.device.type,
            "precision": str(self.features[0].weight.dtype).removeprefix("torch."),
            "convolutions": len(threes),
            "winograd": sum(isinstance(module, winograd.WinogradConv2d) for module in threes),
        }

    @property
    def stride(self) -> int:
        """Pixels of the picture per position of the deepest layer."""
        return _reach(self.features)[0]

    def reach(self, layer: str) -> tuple[int, int]:
        """The layer's stride, and by how many pixels a receptive field exceeds its stride x stride square on a side."""
        return _reach(self.features[: self.names[layer] + 1])

    def width(self, layer: str) -> int:
        """Channels of the layer's maps as they are computed: of its head, if it has one."""
        return self.heads[layer].out_channels if layer in self.heads else self.design.channels(layer)  # type: ignore[return-value]

    def channels(self, layer: str) -> int:
        """Channels of the layer as published losses count them: a compact network's are VGG-19's."""
        return (DESIGNS["vgg19"] if self.compact else self.design).channels(layer)

    def forward(self, image: Tensor, layers: Iterable[str]) -> dict[str, Tensor]:
        return {layer: self.project(layer, maps) for layer, maps in self.backbone(image, layers).items()}

    def normalised(self, image: Tensor) -> Tensor:
        """A picture (1, 3, H, W) in the input convention of the weights, as the first convolution takes it."""
        values = (image - self.mean) / self.std
        return values.flip(1) if self.design.bgr else values

    def backbone(self, image: Tensor, layers: Iterable[str], tap: Tap | None = None) -> dict[str, Tensor]:
        """The feature maps by layer, before any heads: statistics can pass through a head at no cost.

        tap: called with a layer and its maps once they are computed; returns the maps that the next layer takes.
        """
        wanted = {self.names[layer]: layer for layer in layers}
        x = self.normalised(image).to(self.features[0].weight.dtype).contiguous(memory_format=torch.channels_last)
        maps = {}
        for index, module in self._in_order(wanted):
            x = module(x)  # (1, C, h, w)
            if index in wanted:
                x = maps[wanted[index]] = tap(wanted[index], x) if tap else x
        return maps

    def _in_order(self, wanted: Collection[int]) -> list[tuple[int, nn.Module]]:
        """The modules, with their indices, down to the deepest one wanted. A max pooling is moved before the ReLU that
        it follows, unless that ReLU is wanted: values and gradients are the same, from a quarter of the positions.
        """
        order = list(enumerate(self.features[: max(wanted) + 1]))
        for number, ((index, module), (_, after)) in enumerate(pairwise(order)):
            if isinstance(module, nn.ReLU) and isinstance(after, nn.MaxPool2d) and index not in wanted:
                order[number], order[number + 1] = order[number + 1], order[number]
        return order

    def project(self, layer: str, maps: Tensor) -> Tensor:
        """A layer's maps (1, C, h, w) from `backbone` through its head, if it has one: (1, K, h, w)."""
        return self.heads[layer](maps) if layer in self.heads else maps

    def head(self, layer: str) -> tuple[Tensor, Tensor] | None:
        """The layer's head as a matrix (K, C) and a bias (K,), in at least float32, or None."""
        if layer not in self.heads:
            return None
        module: Any = self.heads[layer]
        return module.weight.to(self.mean.dtype).flatten(1), module.bias.to(self.mean.dtype)


def _stack(design: Design) -> nn.Sequential:
    """All modules of a design in torchvision's order, by which the weights' keys number them."""
    modules: list[nn.Module] = []
    channels = 3
    for width in design.widths:
        if isinstance(width, str):
            modules.append(nn.MaxPool2d(2, 2))
        elif width:
            if isinstance(width, Factored):
                modules.append(FactoredConv2d(channels, width))
            else:
                modules.append(nn.Conv2d(channels, width, 3, padding=1))
            channels = channels_of(width)
            modules += [nn.BatchNorm2d(channels)] if design.batch_norm else []
            modules.append(nn.ReLU(inplace=True))
    return nn.Sequential(*modules)


def _with_keys_of_vgg19(stack: nn.Sequential, names: Mapping[str, int]) -> nn.Sequential:
    """The same modules under VGG-19's keys; a pooling has the key before its block's."""
    keys = {index: str(VGG19_NAMES[name]) for name, index in names.items()}
    before = {index - 1: str(VGG19_NAMES[name] - 1) for name, index in names.items() if name.startswith("conv")}
    return nn.Sequential(OrderedDict((keys.get(index) or before[index], module) for index, module in enumerate(stack)))


def _reach(modules: Iterable[nn.Module]) -> tuple[int, int]:
    """Stride and one-sided reach of a stack of 3x3 convolutions and 2x2 poolings."""
    stride, reach = 1, 0
    for module in modules:
        if isinstance(module, (nn.Conv2d, FactoredConv2d)):
            reach += stride
        if isinstance(module, (nn.MaxPool2d, nn.AvgPool2d)):
            stride *= 2
    return stride, reach
