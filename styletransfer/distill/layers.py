"""The start of a fit, in closed form: one least-squares problem per layer, shallow to deep."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..features import FactoredConv2d, Network
from ..losses import moments

POSITIONS = 400_000  # of all pictures together, for the solution of a layer
RIDGE = 1e-5  # over the mean square of the inputs
FIRST_STEPS, FIRST_POSITIONS = 4000, 4096  # steps of Adam for the first layer and its head, and positions per step


@torch.no_grad()
def fit_layers(
    student: Network,
    teacher: Network,
    images: Sequence[Tensor],
    scale: Mapping[str, Tensor],
    done: Collection[str] = (),
) -> None:
    """Solve the student's convolutions and heads one after the other by least squares, except layers that are `done`.

    A convolution predicts the pre-activations of the teacher's channels, or of those that best predict the rest, from
    the 3x3 patches of the student's layer before, so that it makes up for that layer's errors. A head then predicts
    all of the teacher's activations over `scale`, their RMS.

    images: (1, 3, H, W) in [0, 1]. Source: channel pruning with reconstruction (He et al. 2017, Channel Pruning for
    Accelerating Very Deep Neural Networks), where the input channels are a subset of the teacher's.
    """
    dtype = teacher.features[0].weight.dtype
    teacher_maps = [teacher.normalised(image).half() for image in images]  # in half precision, to save memory
    student_maps = [student.normalised(image).half() for image in images]
    position = 0  # of the student's next module
    for index, module in enumerate(teacher.features):
        if isinstance(module, nn.ReLU):
            continue
        for number, maps in enumerate(teacher_maps):
            teacher_maps[number] = module(maps.to(dtype)).half()
        if isinstance(module, nn.MaxPool2d):
            student_maps = [module(maps.float()).half() for maps in student_maps]
            position += 1
            continue
        name = next(layer for layer, place in teacher.names.items() if place == index + 1)
        if name in student.names:
            own: Any = student.features[position]
            if name not in done:
                _fit_convolution(own, module.weight.float(), student_maps, teacher_maps, scale.get(name))
            student_maps = [own(maps.float()).relu().half() for maps in student_maps]
            position += 2
        teacher_maps = [maps.relu() for maps in teacher_maps]
        if name in student.heads and name not in done:
            head: Any = student.heads[name]
            solution, _ = _least_squares(_pairs(student_maps, (maps / scale[name] for maps in teacher_maps), side=1))
            head.weight.copy_(solution[:-1].T[:, :, None, None])
            head.bias.copy_(solution[-1])
            if name == "relu1_1":
                inputs = [student.normalised(image).half() for image in images]
                _learn_first_layer(own, head, inputs, (maps / scale[name] for maps in teacher_maps))
                student_maps = [own(maps.float()).relu().half() for maps in inputs]
        if position >= len(student.features):
            break


def _fit_convolution(
    own: Any, kernel: Tensor, inputs: Sequence[Tensor], teacher_maps: Sequence[Tensor], scale: Tensor | None
) -> None:
    """Solve a convolution for the teacher's pre-activations, from its inputs; kernel: the teacher's (K, C, 3, 3)."""
    gram = torch.stack([moments(maps.float().relu()).second for maps in teacher_maps]).double().mean(0)  # (K, K)
    count: int = own.out_channels
    kept = leading_channels(gram, count) if count < len(gram) else torch.arange(count)
    # With activations of RMS 1 at every layer, weights have the same order of magnitude, as Adam's steps need.
    unit = gram.diagonal()[kept].mean().sqrt().float() if scale is None else scale
    goals = (maps[:, kept] / unit for maps in teacher_maps)  # one at a time: together they would be gigabytes
    if isinstance(own, FactoredConv2d):
        _fit_factored(own, kernel, inputs, goals)
        return
    solution, _ = _least_squares(_pairs(inputs, goals))
    own.weight.copy_(_kernel(solution[:-1], own.in_channels))
    own.bias.copy_(solution[-1])


def _fit_factored(own: FactoredConv2d, kernel: Tensor, maps: Sequence[Tensor], goals: Iterable[Tensor]) -> None:
    """Solve a factored convolution: `reduce` has the input directions that the teacher's `kernel` (K, C, 3, 3) responds
    to most, `mix` and `expand` the least-squares solution from those, reduced to its leading output directions.

    This is reduced-rank regression (Izenman 1975): the principal components of the predictions are kept.
    """
    parts: Any = own
    if "reduce" in own._modules:
        covariance = torch.stack([moments(part.float()).second for part in maps]).double().mean(0)  # (C, C)
        values, vectors = torch.linalg.eigh(covariance)
        roots = values.clamp_min(1e-9 * values.max()).sqrt()
        response = kernel.permute(0, 2, 3, 1).flatten(0, 2).double()  # (9 K, C)
        if response.shape[1] != len(covariance):  # not the teacher's channels: all directions weigh the same
            response = torch.eye(len(covariance), dtype=covariance.dtype)
        whitened = response @ (vectors * roots)
        leading = torch.linalg.eigh(whitened.T @ whitened).eigenvectors[:, -parts.reduce.out_channels :]
        reduce = ((vectors / roots) @ leading).T.float()  # (reduced, C), outputs of variance 1
        parts.reduce.weight.copy_(reduce[:, :, None, None])
        maps = [parts.reduce(part.float()).half() for part in maps]
    solution, square = _least_squares(_pairs(maps, goals))
    weights, bias = solution[:-1].double(), solution[-1].double()
    mean = square[-1, :-1] / square[-1, -1]
    spread = square[:-1, :-1] / square[-1, -1] - torch.outer(mean, mean)
    leading = torch.linalg.eigh(weights.T @ spread @ weights).eigenvectors[:, -parts.mix.out_channels :]  # (K, mixed)
    parts.mix.weight.copy_(_kernel((weights @ leading).float(), parts.mix.in_channels))
    parts.expand.weight.copy_(leading.float()[:, :, None, None])
    rest = weights - weights @ leading @ leading.T  # the dropped part, whose mean goes into the bias
    parts.expand.bias.copy_((bias + mean @ rest).float())


@torch.enable_grad()
def _learn_first_layer(first: nn.Conv2d, head: nn.Conv2d, inputs: Sequence[Tensor], targets: Iterable[Tensor]) -> None:
    """Improve the first convolution and its head by Adam, at single positions: 27 inputs, the teacher's 64 outputs.

    Both stay fixed afterwards, so that the rest of the fit needs none of the teacher's largest maps.
    """
    patches, goals = (torch.cat(parts) for parts in zip(*_pairs(inputs, targets)))
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


def _pairs(inputs: Sequence[Tensor], targets: Iterable[Tensor], side: int = 3) -> Iterator[tuple[Tensor, Tensor]]:
    """By picture, at random positions: the side x side patches of the inputs (n, D), and the targets (n, K)."""
    generator = torch.Generator().manual_seed(0)
    for maps, target in zip(inputs, targets):
        positions = torch.randperm(target[0, 0].numel(), generator=generator)[: max(1, POSITIONS // len(inputs))]
        yield _patches(maps, positions) if side == 3 else _rows(maps, positions), _rows(target, positions)


def _rows(maps: Tensor, positions: Tensor) -> Tensor:
    """Maps (1, C, h, w) at flat positions (n,): (n, C)."""
    return maps.flatten(2)[0][:, positions].T.float()


def _patches(maps: Tensor, positions: Tensor) -> Tensor:
    """The 3x3 patches of maps (1, C, h, w) around flat positions (n,): (n, 9 C), the channel fastest."""
    padded = F.pad(maps, (1, 1, 1, 1))
    row = padded.shape[-1]
    corners = positions // maps.shape[-1] * row + positions % maps.shape[-1]
    return torch.cat([_rows(padded, corners + dy * row + dx) for dy in range(3) for dx in range(3)], 1)


def _kernel(weights: Tensor, in_channels: int) -> Tensor:
    """Weights of patches (9 C, K) as kernels (K, C, 3, 3)."""
    return weights.view(3, 3, in_channels, -1).permute(3, 2, 0, 1)


def _least_squares(parts: Iterable[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    """The W (D + 1, K) that minimises |[X 1] W - Y|^2 over all parts X (n, D), Y (n, K), its last row the bias; and
    [X 1]^T [X 1].
    """
    square: Tensor | float = 0.0
    product: Tensor | float = 0.0
    for inputs, targets in parts:
        rows = F.pad(inputs, (0, 1), value=1.0)
        square, product = square + (rows.T @ rows).double(), product + (rows.T @ targets).double()
    assert isinstance(square, Tensor) and isinstance(product, Tensor)
    ridge = RIDGE * square.diagonal().mean() * torch.eye(len(square), dtype=square.dtype)
    solution: Tensor = torch.linalg.solve(square + ridge, product)
    return solution.float(), square
