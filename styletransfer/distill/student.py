"""The student: its design, the layers that it takes from an earlier fit, and its file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ..features import Design, Factored, Network, Width, whole_layers

EIGHT_BITS = 2**16  # values from which on a kernel is stored in 8 bits
CPU = torch.device("cpu")


@dataclass(frozen=True)
class Fit:
    """Settings of a fit.

    steps: of Adam; batch: crops a step; crop: their side in pixels; start: crops for the closed-form start; widths: the
    student's channels for the teacher's convolutions (0: left out, M: a pooling); style_layers, content_layers: the
    teacher's layers that the student predicts; runs with the student use the first content layer.
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
        """All layers that the student predicts: also those that have all of VGG-19's channels."""
        return tuple(dict.fromkeys((*self.style_layers, *self.content_layers, *whole_layers(self.widths))))

    @property
    def learnt_layers(self) -> tuple[str, ...]:
        """All but the first one, which is complete after the start."""
        return tuple(layer for layer in self.layers if layer != "relu1_1")


def new_student(teacher: Network, fit: Fit) -> Network:
    """A student of zeros, with heads as wide as the teacher's layers where its own layers lack channels."""
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
    """Copy the layers of an earlier fit (its parameters by name) that fit a student, and return their names.

    A layer fits if its shapes are the same and so is its input: the layer before was copied, too, or has all of the
    teacher's channels.
    """
    keys, whole, taken = list(student.features._modules), whole_layers(student.design.widths), set[str]()
    same_input = True
    for layer in student.design.convolutions:
        relu = layer.replace("conv", "relu")
        own = dict(student.features[student.names[layer]].named_parameters(f"features.{keys[student.names[layer]]}"))
        if relu in student.heads:
            own.update(student.heads[relu].named_parameters(f"heads.{relu}"))
        if same_input and all(name in earlier and earlier[name].shape == value.shape for name, value in own.items()):
            for name, value in own.items():
                value.copy_(earlier[name])
            taken.add(relu)
        same_input = relu in taken or relu in whole
    return taken


def packed(student: Network, scale: dict[str, Tensor]) -> dict[str, Tensor]:
    """The student's tensors for its file, in the teacher's units, and of its heads only the R factors.

    [W b] = Q R with orthonormal Q: R f keeps all inner products of the predicted activations, at the student's own
    width. Large kernels are whole numbers from -127 to 127 with a scale by output channel, the rest is float16.
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
    """The tensors of the student's layers; those without a head are multiplied by their `scale`."""
    tensors = {key: value.clone() for key, value in student.features.state_dict().items()}
    keys, whole = list(student.features._modules), whole_layers(student.design.widths)
    unit = torch.tensor(1.0)  # of the input activations
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
