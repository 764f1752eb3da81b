"""The networks against torchvision's own forward, known inputs and hand-written preprocessing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import safetensors.torch
import torch
import torchvision
from oracles import (
    SMALL,
    SMALL_16,
    caffe_input,
    noise,
    random_network,
    random_tensors,
    relative_error,
    torchvision_input,
    vgg,
)
from torch import Tensor, nn
from torch.nn import functional as F

from styletransfer.config import CONTENT_NORMS, STYLE_NORMS, Config, StyleTransferError
from styletransfer.distill.student import packed
from styletransfer.features import (
    DESIGNS,
    Design,
    Factored,
    FactoredConv2d,
    Network,
    choice,
    choose_device,
    choose_dtype,
    choose_network,
    compact_design,
    layer_names,
    load_network,
)
from styletransfer.losses import content_scale, moments, squared_error, style_loss
from styletransfer.weights import Weights

CPU, CUDA = torch.device("cpu"), torch.device("cuda")


# --- torchvision's networks


@cache
def reference(model: str) -> nn.Sequential:
    """The convolutional part of torchvision's model, with random weights and without its 120 million classifying."""
    with torch.device("meta"):
        layers = getattr(torchvision.models, model)().features
    layers = layers.to_empty(device="cpu").eval()
    shapes = {key: tuple(value.shape) for key, value in layers.state_dict().items() if not key.endswith("tracked")}
    layers.load_state_dict(random_tensors(shapes))
    return layers


@torch.no_grad()
def reference_maps(model: str, picture: Tensor) -> dict[str, Tensor]:
    """Every module's own output in turn: convolution (normalised, if it is) and ReLU."""
    maps, x, block, number = {}, picture[None], 1, 0
    for module in reference(model):
        x = module(x.clone())  # the clone keeps what ReLU overwrites in place
        if isinstance(module, nn.MaxPool2d):
            block, number = block + 1, 0
            continue
        number += isinstance(module, nn.Conv2d)
        maps[f"{'relu' if isinstance(module, nn.ReLU) else 'conv'}{block}_{number}"] = x[0]
    return maps


def named_network(name: str, model: str, layers: Sequence[str]) -> Network:
    network = Network(name, DESIGNS[name], layers)
    tensors = {f"features.{key}": value for key, value in reference(model).state_dict().items()}
    return network.load(Weights({key: tensors[key] for key in network.shapes()}, "", "")).to_working(CPU, torch.float32)


LAYERS = [
    ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1", "relu4_2"),
    ("conv1_1", "relu1_1", "conv2_2", "relu3_3", "conv4_2"),  # before ReLU, which works in place otherwise
    ("relu5_3", "conv5_3", "relu5_2"),
    ("relu1_2",),
]


@pytest.mark.parametrize("layers", LAYERS)
@pytest.mark.parametrize(
    ("name", "model"), [("vgg19", "vgg19"), ("vgg19-caffe", "vgg19"), ("vgg16", "vgg16"), ("vgg16_bn", "vgg16_bn")]
)
def test_feature_maps_are_torchvision_s(name: str, model: str, layers: tuple[str, ...]) -> None:
    picture = noise(3, 33, 40, dtype=torch.float32)
    wanted = reference_maps(model, (caffe_input if name == "vgg19-caffe" else torchvision_input)(picture))
    result = named_network(name, model, layers)(picture[None], layers)
    assert set(result) == set(layers)
    for layer, maps in result.items():
        assert relative_error(maps[0], wanted[layer].double()) < 1e-5, layer
        assert bool((maps < 0).any()) == layer.startswith("conv")


def test_layer_names_are_torchvision_s_modules() -> None:
    for model in ("vgg19", "vgg16"):
        modules = list(reference(model))
        names = layer_names(DESIGNS[model].widths)
        assert list(names) == [name for name in reference_maps(model, torch.zeros(3, 32, 32))]
        for name, index in names.items():
            assert isinstance(modules[index], nn.Conv2d if name.startswith("conv") else nn.ReLU)
    assert layer_names(DESIGNS["vgg19"].widths)["relu5_1"] == 29  # as every tutorial counts
    assert layer_names(DESIGNS["vgg19"].widths)["conv4_2"] == 21


def test_other_names_of_a_layer_give_the_same_map() -> None:
    config = Config(content_layers=("block4_conv2",), style_layers=("conv4_2", "block1_conv1"))
    network = random_network(Design(SMALL), (*config.content_layers, *config.style_layers))
    picture = noise(1, 3, 32, 32)
    result = network(picture, ("relu4_2", "conv4_2", "relu1_1"))
    assert torch.equal(result["relu4_2"], result["conv4_2"].clamp_min(0))
    assert torch.equal(result["relu4_2"], network(picture, config.content_layers)["relu4_2"])


# --- options, on a small network


@pytest.mark.parametrize("pooling", ["max", "average"])
@pytest.mark.parametrize("padding", ["zeros", "replicate"])
@pytest.mark.parametrize("batch_norm", [False, True])
def test_pooling_and_padding_are_those_of_plain_convolutions(pooling: str, padding: str, batch_norm: bool) -> None:
    design = Design(SMALL_16, batch_norm=batch_norm)
    layers = ("conv1_1", "relu2_1", "conv3_3", "relu5_3")
    network = random_network(design, layers, pooling=pooling, padding=padding)
    picture = noise(3, 37, 41)
    pool: Callable[..., Tensor] = F.avg_pool2d if pooling == "average" else F.max_pool2d
    border = "constant" if padding == "zeros" else "replicate"
    wanted = vgg(network.state_dict(), design, torchvision_input(picture), pool, border)
    for layer, maps in network(picture[None], layers).items():
        assert relative_error(maps[0], wanted[layer]) < 1e-6  # mean and deviation are kept in float32


def test_the_caffe_convention_on_a_known_colour() -> None:
    """A kernel that passes the middle pixel shows the network's input: B, G, R of 0-255 minus the mean."""
    network = Network("caffe", replace(DESIGNS["vgg19-caffe"], widths=(3,)), ("conv1_1",))
    kernel = torch.zeros(3, 3, 3, 3)
    kernel[range(3), range(3), 1, 1] = 1
    tensors = {"features.0.weight": kernel, "features.0.bias": torch.zeros(3)}
    network.load(Weights(tensors, "", "")).to_working(CPU, torch.float32)
    orange = torch.tensor([1.0, 0.5, 0.0])[None, :, None, None].expand(1, 3, 2, 2)
    result = network(orange, ("conv1_1",))["conv1_1"][0, :, 0, 0]
    assert result.tolist() == pytest.approx([-103.939, 127.5 - 116.779, 255 - 123.68], abs=1e-4)


def test_nothing_deeper_than_the_deepest_layer_is_held_or_computed() -> None:
    network = random_network(Design(SMALL), ("relu3_2", "relu1_1"))
    assert len(network.features) == layer_names(SMALL)["relu3_2"] + 1
    assert network.stride == 4
    ran: list[int] = []
    for index, module in enumerate(network.features):
        module.register_forward_hook(lambda *_, index=index: ran.append(index))
    network(noise(1, 3, 16, 16), ("relu2_1",))
    assert sorted(ran) == list(range(layer_names(SMALL)["relu2_1"] + 1))


def test_vgg19_up_to_relu5_1_has_13_million_parameters() -> None:
    """64, 64, 128, 128, 4 x 256, 4 x 512, 512 kernels of 3 x 3: 12,944,960 with the biases, by hand."""
    network = Network("vgg19", DESIGNS["vgg19"], DESIGNS["vgg19"].style_layers)
    assert sum(torch.Size(shape).numel() for shape in network.shapes().values()) == 12_944_960
    assert network.stride == 16


def test_a_network_is_frozen_and_in_evaluation() -> None:
    network = random_network(Design(SMALL_16, batch_norm=True), ("relu2_1",))
    assert not network.training and not any(tensor.requires_grad for tensor in network.parameters())
    before = {key: value.clone() for key, value in network.state_dict().items()}
    network(noise(1, 3, 16, 16), ("relu2_1",))
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())


@pytest.mark.parametrize("name", ["vgg19", "vgg16"])
def test_an_unknown_layer_is_answered_with_the_known_ones(name: str) -> None:
    missing = {"vgg19": "relu2_3", "vgg16": "relu3_4"}[name]
    with pytest.raises(StyleTransferError) as caught:
        Network(name, DESIGNS[name], ("relu1_1", missing))
    known = [layer_name for layer_name in layer_names(DESIGNS[name].widths) if layer_name.startswith("relu")]
    assert str(caught.value) == f"network {name} has no layer {missing}: it has {', '.join(known)}"


# --- the compact network


def test_pooling_before_the_relu_changes_nothing() -> None:
    """Values and gradients with relu1_2 asked for, which keeps torchvision's order, and without it."""
    network = Network("x", Design((5, 6, "M", 7)), ("relu1_2", "relu2_1"))
    network.load(Weights(random_tensors(network.shapes()), "", "")).to_working(CPU, torch.float64)
    picture = noise(1, 3, 22, 31).requires_grad_(True)
    results = []
    for layers in (("relu2_1",), ("relu1_2", "relu2_1")):
        maps = network(picture, layers)["relu2_1"]
        results.append((maps, *torch.autograd.grad((maps * noise(*maps.shape, seed=3)).sum(), picture)))
    assert len(network._in_order([network.names["relu2_1"]])) == 7
    assert [index for index, _ in network._in_order([network.names["relu2_1"]])] == [0, 1, 2, 4, 3, 5, 6]
    for swapped, plain in zip(*results):
        assert torch.equal(swapped, plain)


def test_a_factored_convolution_is_one_convolution() -> None:
    """Its three kernels contracted are a kernel of the whole, for the value and at the edges."""
    module: Any = FactoredConv2d(5, Factored(7, 3, 4)).double().requires_grad_(False)
    kernel = torch.einsum(
        "ok,kihw,ic->ochw", module.expand.weight[..., 0, 0], module.mix.weight, module.reduce.weight[..., 0, 0]
    )
    maps = noise(1, 5, 9, 8)
    whole = F.conv2d(maps, kernel, module.expand.bias, padding=1)
    assert relative_error(module(maps), whole) < 1e-12


def test_a_factored_layer_sees_as_far_as_a_whole_one() -> None:
    whole, factored = (Network("x", Design((4, "M", width, 8)), ("relu2_2",)) for width in (8, Factored(8, 2, 3)))
    assert factored.reach("relu2_2") == whole.reach("relu2_2")
    assert factored.names == whole.names and factored.width("relu2_1") == 8


COMPACT = (5, 5, "M", 7, 0, "M", 9, 9)
HEADS = {"relu1_1": 3, "relu2_1": 8, "relu3_2": 4}


def compact_network(dtype: torch.dtype = torch.float64) -> Network:
    network = Network("builtin", Design(COMPACT), tuple(HEADS), heads=HEADS)
    return network.load(Weights(random_tensors(network.shapes()), "", "")).to_working(CPU, dtype)


def test_a_compact_design_is_read_off_the_shapes() -> None:
    design = compact_design(compact_network().shapes())
    assert design.widths == COMPACT
    assert design.style_layers == ("relu1_1", "relu2_1")  # the first of each block
    assert design.content_layers == ("relu3_2",)  # the deepest


SHAPES = {"features.0.weight": (4, 3, 3, 3), "features.0.bias": (4,), "heads.relu1_1.weight": (4, 4, 1, 1)}


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        ({}, "no heads that fit"),
        ({"features.0.weight": (4, 3, 3, 3)}, "no heads that fit"),
        ({**SHAPES, "heads.relu2_1.weight": (4, 4, 1, 1)}, "no heads that fit"),
        ({**SHAPES, "features.6.weight": (4, 4, 3, 3)}, "VGG-19 has no convolution at features.6"),
        ({**SHAPES, "features.1.weight": (4, 4, 3, 3)}, "VGG-19 has no convolution at features.1"),
        ({"features.0.weight": (), "heads.relu1_1.weight": ()}, "no heads that fit"),
        ({**SHAPES, "features.2.mix.weight": (4, 4, 3, 3)}, "features.2 is a factored convolution without its parts"),
        (
            {**SHAPES, "features.0.mix.weight": (4, 4, 3, 3), "features.0.expand.weight": (4, 4, 1, 1)},
            "features.0 is a factored convolution without its parts",
        ),
    ],
)
def test_shapes_of_no_compact_network_are_refused(shapes: dict[str, tuple[int, ...]], message: str) -> None:
    with pytest.raises(StyleTransferError, match=f"not a compact network: .*{message}"):
        compact_design(shapes)


def test_a_compact_network_is_its_trunk_under_linear_heads(tmp_path: Path) -> None:
    """Through a file, whose shapes alone tell the widths and the heads."""
    original = compact_network(torch.float32)
    tensors = {key: value.contiguous() for key, value in original.state_dict().items()}
    safetensors.torch.save_file(tensors, tmp_path / "compact.safetensors")
    network = load_network(
        Config(network="builtin", weights=str(tmp_path / "compact.safetensors"), device="cpu"), dtype=torch.float64
    )
    picture = noise(3, 21, 30)
    tensors = {key: value.double() for key, value in tensors.items()}
    trunk = vgg(tensors, Design(COMPACT), torchvision_input(picture))
    result = network(picture[None], HEADS)
    for layer, channels in HEADS.items():
        assert result[layer].shape[1] == channels
        weight, bias = tensors[f"heads.{layer}.weight"][:, :, 0, 0], tensors[f"heads.{layer}.bias"]
        wanted = torch.einsum("oc,chw->ohw", weight, trunk[layer]) + bias[:, None, None]
        assert relative_error(result[layer][0], wanted) < 1e-6
    with pytest.raises(
        StyleTransferError, match="network builtin has no layer relu1_2: it has relu1_1, relu2_1, relu3_2"
    ):
        load_network(
            Config(network="builtin", weights=str(tmp_path / "compact.safetensors"), style_layers=("relu1_2",))
        )


def test_folding_the_heads_keeps_every_inner_product() -> None:
    """[W b] = Q R with orthogonal Q: |W D W^T| = |R D R^T| for Gram matrices, and all relative losses are the same."""
    heads = {"relu1_1": 16, "relu2_1": 12, "relu3_2": 6}  # wider than, and narrower than, what they read
    student = Network("builtin", Design(COMPACT), tuple(heads), heads=heads)
    student.load(Weights(random_tensors(student.shapes()), "", "")).to_working(CPU, torch.float64)
    unit = dict.fromkeys(heads, torch.tensor(1.0))
    tensors = {key: value.double() for key, value in packed(student, unit).items()}
    design = compact_design({key: tuple(value.shape) for key, value in tensors.items()})
    assert design.widths == COMPACT
    ranks = {"relu1_1": 6, "relu2_1": 8, "relu3_2": 6}  # channels and a constant, where the head is no narrower
    folded = (
        Network("builtin", design, tuple(heads), heads=ranks)
        .load(Weights(tensors, "", ""))
        .to_working(CPU, torch.float64)
    )
    maps = [[network(noise(1, 3, 24, 24, seed=seed), heads) for seed in (1, 2)] for network in (student, folded)]
    for layer in heads:
        whole, short = ([moments(each[layer]) for each in pair] for pair in maps)
        assert short[0].mean.numel() == ranks[layer]
        assert float(short[0].second.norm()) == pytest.approx(float(whole[0].second.norm()), rel=2e-3)  # half precision
        channels = heads[layer]  # that published losses divide by, in either basis
        for norm in STYLE_NORMS:
            style = [float(style_loss(*pair, "gram", norm, 77, channels)) for pair in (whole, short)]
            assert style[1] == pytest.approx(style[0], rel=1e-2)
        for norm in CONTENT_NORMS:
            content = [
                float(squared_error(a[layer], b[layer]) / content_scale(b[layer], norm, channels)) for a, b in maps
            ]
            assert content[1] == pytest.approx(content[0], rel=1e-2)


def test_published_losses_count_the_channels_of_vgg19() -> None:
    network = compact_network()
    assert [network.channels(layer) for layer in HEADS] == [64, 128, 256]
    assert [network.width(layer) for layer in HEADS] == list(HEADS.values())
    plain = Network("vgg19", DESIGNS["vgg19"], ("relu2_1",))
    assert plain.channels("relu2_1") == plain.width("relu2_1") == 128


# --- which network, where and in what format


def test_weights_that_are_too_short_are_answered_in_layers(tmp_path: Path) -> None:
    tensors = {f"features.{key}": value.float() for key, value in reference("vgg19")[:9].state_dict().items()}
    safetensors.torch.save_file(tensors, tmp_path / "short.safetensors")
    config = Config(
        network="vgg19",
        weights=str(tmp_path / "short.safetensors"),
        device="cpu",
        precision="float32",
        style_layers=("relu1_1", "relu2_1"),
        content_layers=("relu2_2",),
    )
    picture = noise(3, 32, 32, dtype=torch.float32)
    wanted = reference_maps("vgg19", torchvision_input(picture))["relu2_2"]
    assert relative_error(load_network(config)(picture[None], ("relu2_2",))["relu2_2"][0], wanted.double()) < 1e-5
    with pytest.raises(StyleTransferError) as caught:
        load_network(replace(config, style_layers=("relu3_1",)))
    assert str(caught.value).startswith("the weights given reach relu2_2 only, and relu3_1 was asked for: choose")
    assert str(caught.value).endswith("layers up to relu2_2")


@pytest.mark.parametrize(
    ("settings", "device", "here", "name"),
    [
        ({"network": "vgg16_bn"}, CPU, False, "vgg16_bn"),
        ({"weights": "my.pth"}, CPU, False, "vgg19"),
        ({}, CPU, True, "builtin"),
        ({}, CUDA, True, "vgg19"),
        ({}, CUDA, False, "builtin"),
    ],
)
def test_auto_takes_vgg19_only_with_a_gpu_and_its_weights_here(
    settings: dict[str, str], device: torch.device, here: bool, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[set[str]] = []
    monkeypatch.setattr(choice, "on_disk", lambda network, shapes: asked.append(set(shapes)) or here)
    assert choose_network(Config(**settings), device)[0] == name
    assert not asked or {"features.0.weight", "features.28.weight"} <= asked[0]  # down to conv5_1


@pytest.mark.parametrize("device", ["cuda:99", "meta", "toaster", ""])
def test_a_device_that_is_not_there_is_answered_with_those_that_may_be(device: str) -> None:
    with pytest.raises(
        StyleTransferError, match=f"device '{device}' cannot be used here: choose auto, cpu, cuda or mps"
    ):
        choose_device(Config(device=device))
    assert choose_device(Config(device="cpu")) == CPU


@pytest.mark.parametrize(
    ("precision", "device", "instructions", "pays", "capability", "wanted"),
    [
        ("auto", CPU, True, True, None, torch.bfloat16),
        ("auto", CPU, True, False, None, torch.float32),
        ("auto", CPU, False, True, None, torch.float32),
        ("auto", CUDA, False, False, (8, 0), torch.bfloat16),
        ("auto", CUDA, True, True, (7, 5), torch.float32),
        ("auto", torch.device("mps"), True, True, None, torch.float32),
        ("float32", CUDA, True, True, (9, 0), torch.float32),
        ("float16", CPU, False, False, None, torch.float16),
        ("bfloat16", CPU, False, False, None, torch.bfloat16),
    ],
)
def test_auto_precision_is_bfloat16_only_where_the_hardware_is_faster_with_it(
    precision: str,
    device: torch.device,
    instructions: bool,
    pays: bool,
    capability: tuple[int, int] | None,
    wanted: torch.dtype,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # oneDNN says yes wherever it can emulate bfloat16, which is no reason to use it.
    monkeypatch.setattr(torch.ops, "mkldnn", SimpleNamespace(_is_mkldnn_bf16_supported=lambda: True))
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: instructions)
    monkeypatch.setattr(choice, "_bfloat16_pays", lambda: pays)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    assert choose_dtype(Config(precision=precision), device) == wanted


def test_in_half_precision_the_input_is_still_normalised_in_float32() -> None:
    """In bfloat16, 0-255 minus the mean would be off by up to a level: only the difference is rounded."""
    design = replace(DESIGNS["vgg19-caffe"], widths=(3,))
    network = random_network(design, ("conv1_1",), torch.bfloat16)
    assert network.mean.dtype == network.std.dtype == torch.float32
    assert network.features[0].weight.dtype == torch.bfloat16
    picture = noise(1, 3, 8, 8, dtype=torch.float32)
    wanted = F.conv2d(
        caffe_input(picture[0])[None].bfloat16(), network.features[0].weight, network.features[0].bias, padding=1
    )
    assert relative_error(network(picture, ("conv1_1",))["conv1_1"], wanted.double()) < 1e-3
