"""Winograd's convolution against torch's own in float64."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from oracles import noise, relative_error
from torch import Tensor, nn

from styletransfer import winograd
from styletransfer.features import DESIGNS, Network
from styletransfer.winograd import WinogradConv2d, pays

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def _a_machine_where_it_is_faster(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(winograd, "decided", lambda question, measure: True)


def convolution(channels: int, wide: int, dtype: torch.dtype = torch.float64) -> nn.Conv2d:
    module = nn.Conv2d(channels, wide, 3, padding=1).to(dtype).requires_grad_(False)
    module.weight.copy_(noise(wide, channels, 3, 3, seed=1) - 0.5)
    assert module.bias is not None
    module.bias.copy_(noise(wide, seed=2))
    return module


def through(module: Callable[[Tensor], Tensor], maps: Tensor) -> tuple[Tensor, Tensor]:
    """A layer's result, and the gradient of a sum that weighs each of its values differently."""
    maps = maps.clone().requires_grad_(True)
    result = module(maps)
    (gradient,) = torch.autograd.grad(result, maps, noise(*result.shape, seed=4).to(result) - 0.5)
    return result.detach(), gradient


@given(st.integers(1, 21), st.integers(1, 21), st.integers(1, 5), st.integers(1, 5), st.integers(1, 2), st.booleans())
def test_result_and_gradient_are_the_convolution_s(
    height: int, width: int, channels: int, wide: int, count: int, bias: bool
) -> None:
    plain, maps = convolution(channels, wide), noise(count, channels, height, width, seed=3) - 0.5
    if not bias:
        plain.bias = None
    for result, expected in zip(through(WinogradConv2d(plain), maps), through(plain, maps)):
        assert result.shape == expected.shape
        assert torch.allclose(result, expected, rtol=0, atol=1e-12)


def test_in_float32_rounding_stays_below_a_hundred_thousandth() -> None:
    plain, maps = convolution(128, 96), noise(1, 128, 30, 41, seed=3) - 0.5
    expected = through(plain, maps)
    for result, goal in zip(through(WinogradConv2d(plain.float()), maps.float()), expected):
        assert 0 < relative_error(result.double(), goal) < 1e-5


def test_many_bands_are_one(monkeypatch: pytest.MonkeyPatch) -> None:
    module, maps = WinogradConv2d(convolution(3, 4)), noise(1, 3, 33, 18, seed=3)
    whole = through(module, maps)
    monkeypatch.setattr(winograd, "WORKSPACE", 1)
    for result, expected in zip(through(module, maps), whole):
        assert torch.allclose(result, expected, rtol=0, atol=1e-13)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda module: module, True),
        (lambda module: module.requires_grad_(True), False),
        (lambda module: module.double(), False),
        (lambda module: module.bfloat16(), False),
        (lambda module: nn.Conv2d(96, 96, 1).requires_grad_(False), False),
        (lambda module: nn.Conv2d(96, 96, 3, padding=1, padding_mode="reflect").requires_grad_(False), False),
        (lambda module: nn.Conv2d(64, 64, 3, padding=1).requires_grad_(False), False),
        (lambda module: nn.Conv2d(3, 512, 3, padding=1).requires_grad_(False), False),
        (lambda module: nn.ReLU(), False),
    ],
)
def test_it_is_for_frozen_wide_float32_convolutions_on_the_cpu(
    change: Callable[[nn.Module], nn.Module], expected: bool
) -> None:
    module = nn.Conv2d(96, 96, 3, padding=1).requires_grad_(False)
    assert pays(change(module)) is expected


@pytest.mark.parametrize(
    ("faster", "kinds"), [(True, [WinogradConv2d] * 3), (False, [nn.Conv2d, nn.Conv2d, WinogradConv2d])]
)
def test_where_the_library_is_faster_only_the_widest_layers_use_it(
    faster: bool, kinds: list[type], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    monkeypatch.setattr(winograd, "decided", lambda question, measure: faster)
    network = Network("vgg19", DESIGNS["vgg19"], ["relu3_1"])
    network.features.to_empty(device="cpu")
    network.requires_grad_(False).to_working(CPU, torch.float32)
    found = [type(module) for module in network.features if isinstance(module, nn.Conv2d)]
    assert found == [nn.Conv2d, nn.Conv2d, *kinds]
    computing = {"device": "cpu", "precision": "float32", "convolutions": 5, "winograd": kinds.count(WinogradConv2d)}
    assert network.computing == computing


def _told(times: Iterator[float], run: Callable[[], object]) -> float:
    run()
    return next(times)


def test_the_comparison_with_the_library_is_one_of_times(monkeypatch: pytest.MonkeyPatch) -> None:
    for seconds, expected in (([1.0, 2.0], True), ([2.0, 1.0], False)):
        times = iter(seconds)
        monkeypatch.setattr(winograd, "fastest", partial(_told, times))
        assert winograd._is_faster() is expected


def test_a_network_computes_its_wide_layers_with_it() -> None:
    network = Network("vgg19", DESIGNS["vgg19"], ["relu2_1", "relu3_2"])
    network.features.to_empty(device="cpu")
    for number, value in enumerate(network.features.state_dict().values()):
        value.copy_((noise(*value.shape, seed=number) - 0.4) / value[0].numel() ** 0.5)
    keys, maps = network.shapes(), noise(1, 3, 50, 38, seed=9)
    network.requires_grad_(False).to_working(CPU, torch.float32)
    kinds = [type(module) for module in network.features if isinstance(module, nn.Conv2d)]
    assert kinds == [nn.Conv2d, nn.Conv2d, *[WinogradConv2d] * 4]
    assert network.shapes() == keys
    x = (maps - network.mean) / network.std
    for module in network.features:
        if isinstance(module, nn.Conv2d):
            assert module.bias is not None
            x = F.conv2d(x, module.weight.double(), module.bias.double(), padding=1)
        else:
            x = module(x)
    assert relative_error(network(maps.float(), ["relu3_2"])["relu3_2"].double(), x) < 1e-5
