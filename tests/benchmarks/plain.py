"""What the others are measured against: style transfer as a tutorial writes it, in float32, and what timing shares."""

from __future__ import annotations

import json
import platform
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torchvision.models.vgg import cfgs, make_layers

NAMES = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")
INDICES = {"relu1_1": 1, "relu2_1": 6, "relu3_1": 11, "relu3_4": 17, "relu4_1": 20, "relu4_2": 22, "relu5_1": 29}


@dataclass
class Plain:
    """Loss and gradient of a tutorial: VGG-19, one loss a layer, everything in float32 and the default layout.

    Losses are relative, |G - A|^2 / |A|^2 averaged over the style layers and |F - P|^2 / |P|^2 times 0.05.
    """

    network: nn.Sequential
    content: Tensor
    style: Tensor
    style_layers: tuple[str, ...] = NAMES
    content_layer: str = "relu4_2"
    grams: dict[str, Tensor] = field(default_factory=dict)

    def __post_init__(self) -> None:
        with torch.no_grad():
            self.goal = self.features(self.content)[self.content_layer]
            self.grams = {layer: gram(maps) for layer, maps in self.features(self.style).items()}

    def features(self, image: Tensor) -> dict[str, Tensor]:
        wanted = {INDICES[layer]: layer for layer in (*self.style_layers, self.content_layer)}
        result = {}
        for index, module in enumerate(self.network[: max(wanted) + 1]):
            image = module(image)
            if index in wanted:
                result[wanted[index]] = image
        return result

    def loss(self, image: Tensor) -> Tensor:
        result = self.features(image)
        loss = 0.05 * (result[self.content_layer] - self.goal).square().sum() / self.goal.square().sum()
        for layer in self.style_layers:
            wanted = self.grams[layer]
            loss = loss + (gram(result[layer]) - wanted).square().sum() / wanted.square().sum() / len(self.style_layers)
        return loss

    def step(self, image: Tensor) -> Tensor:
        pixels = image.clone().requires_grad_(True)
        return torch.autograd.grad(self.loss(pixels), pixels)[0]


def random_vgg19() -> nn.Sequential:
    """VGG-19 up to relu5_1 with random weights, which do not change its speed."""
    network: nn.Sequential = make_layers(cfgs["E"])[:30].requires_grad_(False)
    for module in network:
        if isinstance(module, nn.ReLU):
            module.inplace = False
    return network


def gram(maps: Tensor) -> Tensor:
    rows = maps.flatten(2)[0]
    return rows @ rows.T / rows.shape[1]


def seconds_of(run: Callable[[], object], repeats: int) -> float:
    """The median of several runs, after one that warms up."""
    run()
    times = []
    for _ in range(repeats):
        began = time.perf_counter()
        run()
        times.append(time.perf_counter() - began)
    return sorted(times)[len(times) // 2]


def machine() -> str:
    """The line that stands over a table."""
    return (
        f"torch {torch.__version__}, {torch.get_num_threads()} threads, {torch.backends.cpu.get_cpu_capability()}, "
        f"{platform.machine()}"
    )


def write_json(path: Path | None, figures: Mapping[str, Any] | list[Any]) -> None:
    if path is not None:
        path.write_text(json.dumps(figures, indent=1))
