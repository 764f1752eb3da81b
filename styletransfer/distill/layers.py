"""The start of a fit, in closed form: one least-squares problem a layer, shallow to deep."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..features import Network
from ..losses import moments

POSITIONS = 400_000  # of all pictures together, that a layer is solved from
RIDGE = 1e-5  # of the mean square of the inputs
FIRST_STEPS, FIRST_POSITIONS = 4000, 4096  # of Adam for the first layer and its head, and positions a step


@torch.no_grad()
def fit_layers(student: Network, teacher: Network, images: Sequence[Tensor], scale: dict[str, Tensor]) -> None:
    """Solve the student's convolutions and heads in turn by least squares.

    A convolution predicts, from the 3x3 patches of the student's own layer before, the pre-activations of some of the
    teacher's channels, so that each layer makes up for the errors of the last; a head then predicts all of the
    teacher's activations over `scale`, their RMS. The channels are those that best predict the rest.

    images: (1, 3, H, W) in [0, 1]. Source: channel pruning with reconstruction (He et al. 2017, Channel Pruning for
    Accelerating Very Deep Neural Networks), here without any channel of the layer before left as it was.
    """
    exact = teacher.mean.dtype
    teacher_maps = [teacher.normalised(image).half() for image in images]  # in half precision, to save memory
    student_maps = [student.normalised(image).half() for image in images]
    position = 0  # of the student's next module
    for index, module in enumerate(teacher.features):
        if isinstance(module, nn.ReLU):
            continue
        for number, maps in enumerate(teacher_maps):
            teacher_maps[number] = module(maps.to(exact)).half()
        if isinstance(module, nn.MaxPool2d):
            student_maps = [module(maps.float()).half() for maps in student_maps]
            position += 1
            continue
        name = next(layer for layer, place in teacher.names.items() if place == index + 1)
        if name in student.names:
            gram = torch.stack([moments(maps.float().relu()).second for maps in teacher_maps]).double().mean(0)
            own: Any = student.features[position]
            kept = leading_channels(gram, own.out_channels)
            # Activations of RMS 1 at every layer give all weights one order of magnitude, which Adam's steps need.
            unit = gram.diagonal()[kept].mean().sqrt().float()
            solution = _least_squares(
                (_patches(maps, at), _rows(target[:, kept], at) / unit)
                for maps, target, at in zip(student_maps, teacher_maps, _sampled(teacher_maps))
            )
            own.weight.copy_(solution[:-1].view(3, 3, own.in_channels, -1).permute(3, 2, 0, 1))
            own.bias.copy_(solution[-1])
            student_maps = [own(maps.float()).relu().half() for maps in student_maps]
            position += 2
        teacher_maps = [maps.relu() for maps in teacher_maps]
        if name in student.heads:
            head: Any = student.heads[name]
            solution = _least_squares(
                (_rows(maps, at), _rows(target, at) / scale[name])
                for maps, target, at in zip(student_maps, teacher_maps, _sampled(teacher_maps))
            )
            head.weight.copy_(solution[:-1].T[:, :, None, None])
            head.bias.copy_(solution[-1])
            if name == "relu1_1":
                inputs = [student.normalised(image).half() for image in images]
                _learn_first_layer(own, head, inputs, [maps / scale[name] for maps in teacher_maps])
                student_maps = [own(maps.float()).relu().half() for maps in inputs]
        if position >= len(student.features):
            break


@torch.enable_grad()
def _learn_first_layer(first: nn.Conv2d, head: nn.Conv2d, inputs: Sequence[Tensor], targets: Sequence[Tensor]) -> None:
    """Improve the first convolution and its head by Adam on single positions: 27 numbers in, the teacher's 64 out.

    After this they stay, so that the teacher's largest maps need not be kept for the rest of the fit.
    """
    pairs = [(_patches(maps, at), _rows(target, at)) for maps, target, at in zip(inputs, targets, _sampled(targets))]
    patches, goals = (torch.cat(parts) for parts in zip(*pairs))
    generator = torch.Generator().manual_seed(0)
    parameters = [first.weight, first.bias, head.weight, head.bias]
    optimizer = torch.optim.Adam([value for value in parameters if value is not None], lr=3e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, FIRST_STEPS)
    for _ in range(FIRST_STEPS):
        rows = torch.randint(len(patches), (FIRST_POSITIONS,), generator=generator)
        kernel = first.weight.permute(0, 2, 3, 1).flatten(1)  # (K, 27), the channel fastest as in the patches
        predicted = F.linear(F.linear(patches[rows], kernel, first.bias).relu(), head.weight.flatten(1), head.bias)
        loss = (predicted - goals[rows]).square().mean()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        schedule.step()


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


def _sampled(maps: Sequence[Tensor]) -> Iterator[Tensor]:
    """For each map (1, C, h, w) the indices, in h w, of the positions that a layer is solved from."""
    generator = torch.Generator().manual_seed(0)
    for part in maps:
        positions = part[0, 0].numel()
        yield torch.randperm(positions, generator=generator)[: max(1, POSITIONS // len(maps))]


def _rows(maps: Tensor, positions: Tensor) -> Tensor:
    """(1, C, h, w) at these positions: (n, C)."""
    return maps.flatten(2)[0][:, positions].T.float()


def _patches(maps: Tensor, positions: Tensor) -> Tensor:
    """The 3x3 surroundings of these positions of (1, C, h, w): (n, 9 C), the channel fastest."""
    padded = F.pad(maps, (1, 1, 1, 1))
    row = padded.shape[-1]
    corners = positions // maps.shape[-1] * row + positions % maps.shape[-1]
    return torch.cat([_rows(padded, corners + dy * row + dx) for dy in range(3) for dx in range(3)], 1)


def _least_squares(parts: Iterable[tuple[Tensor, Tensor]]) -> Tensor:
    """The W (D + 1, K) that minimises |[X 1] W - Y|^2 over all parts X (n, D), Y (n, K); its last row is the bias."""
    square: Tensor | float = 0.0
    product: Tensor | float = 0.0
    for inputs, targets in parts:
        rows = F.pad(inputs, (0, 1), value=1.0)
        square, product = square + (rows.T @ rows).double(), product + (rows.T @ targets).double()
    assert isinstance(square, Tensor) and isinstance(product, Tensor)
    ridge = RIDGE * square.diagonal().mean() * torch.eye(len(square), dtype=square.dtype)
    solution: Tensor = torch.linalg.solve(square + ridge, product)
    return solution.float()
