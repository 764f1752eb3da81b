"""Which network a run uses, on which device and in which number format."""

from __future__ import annotations

import logging
from collections.abc import Callable

import torch
from torch import nn

from ..config import Config, StyleTransferError
from ..machine import decided, fastest
from ..weights import BUILTIN, available, load_weights, on_disk
from .designs import DESIGNS, Design, compact_design, compact_heads
from .network import Network

logger = logging.getLogger(__name__)


def choose_device(config: Config) -> torch.device:
    """The device of the settings, or the best available for `auto`. Raises StyleTransferError if it is not usable."""
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
    """The convolutions' number format: for `auto`, bfloat16 if it is faster on this hardware, else float32."""
    if config.precision != "auto":
        return {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}[config.precision]
    if device.type == "cuda" and torch.cuda.get_device_capability(device) >= (8, 0):
        return torch.bfloat16
    if device.type == "cpu" and torch.cpu._is_avx512_bf16_supported() and _bfloat16_pays():
        return torch.bfloat16
    return torch.float32


def _bfloat16_pays() -> bool:
    """Whether this processor convolves clearly faster in bfloat16: with the same instructions, some were twice as fast
    as in float32, others six tenths as fast.
    """
    return decided("bfloat16 pays", _bfloat16_is_faster)


@torch.no_grad()
def _bfloat16_is_faster() -> bool:
    def seconds(dtype: torch.dtype) -> float:
        maps = torch.ones(1, 64, 96, 96, dtype=dtype).contiguous(memory_format=torch.channels_last)
        weight = torch.ones(64, 64, 3, 3, dtype=dtype).contiguous(memory_format=torch.channels_last)
        return fastest(lambda: nn.functional.conv2d(maps, weight, padding=1))

    return seconds(torch.float32) > 1.2 * seconds(torch.bfloat16)


def choose_network(config: Config, device: torch.device) -> tuple[str, str]:
    """The network's name and, in a phrase, why it was chosen."""
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
    """The content and style layers of a run: those of the settings, or the network's defaults."""
    return config.content_layers or design.content_layers, config.style_layers or design.style_layers


def load_network(
    config: Config,
    *,
    dtype: torch.dtype | None = None,
    report: Callable[[str], None] | None = None,
    download: bool = True,
) -> Network:
    """The network of the settings: cut at its deepest layer, loaded, frozen and on its device.

    dtype: overrides the number format (float64 for checks). Raises StyleTransferError if layers or weights are missing.
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
    """Raise StyleTransferError for a local file that is not deep enough, in names of layers instead of keys."""
    held = available(path)
    lacking = {name: f"features.{index}.weight" for name, index in network.names.items() if name.startswith("conv")}
    reach = [name for name, key in lacking.items() if key in held]
    needed = [name for name, key in lacking.items() if key in network.shapes()]
    if reach and needed and not set(needed) <= set(reach):
        deepest, asked = reach[-1].replace("conv", "relu"), needed[-1].replace("conv", "relu")
        raise StyleTransferError(
            f"the weights given reach {deepest} only, and {asked} was asked for: choose layers up to {deepest}"
        )
