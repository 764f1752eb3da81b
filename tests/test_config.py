"""Settings: every field refuses what it cannot be, and what it takes survives JSON."""

from __future__ import annotations

import json
import math
from dataclasses import FrozenInstanceError, fields
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from styletransfer.config import VERSION, Config, StyleTransferError, canonical_layer, changes_since

FIELDS = {each.name: each for each in fields(Config)}
NUMBERS = [
    name
    for name, each in FIELDS.items()
    if isinstance(each.default, (int, float)) and not isinstance(each.default, bool)
]
WHOLE = [name for name in NUMBERS if isinstance(FIELDS[name].default, int)]
SEQUENCES = [name for name, each in FIELDS.items() if isinstance(each.default, tuple)]
LAYERS = ["content_layers", "style_layers"]
NUMBER_SEQUENCES = [name for name in SEQUENCES if name not in LAYERS]
CHOICES = [name for name, each in FIELDS.items() if each.metadata["choices"]]
TEXTS = [name for name, each in FIELDS.items() if isinstance(each.default, str)]


def short(value: Any) -> str:
    return repr(value)[:12]


def refused(name: str, value: Any) -> str:
    """The sentence that a setting is refused with: it names the setting."""
    with pytest.raises(StyleTransferError) as caught:
        Config(**{name: value})
    message = str(caught.value)
    assert name in message and "\n" not in message
    return message


# --- one field


def test_every_field_has_a_default_that_is_allowed_and_a_help_text() -> None:
    assert set(FIELDS) == {*NUMBERS, *SEQUENCES, *TEXTS, "weights", "box"}
    for name, each in FIELDS.items():
        assert each.metadata["help"]
        Config(**{name: each.default})


@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.parametrize(
    "value", ["much", None, True, math.nan, math.inf, -math.inf, [1], 1j, 10**400, -(10**400)], ids=short
)
def test_a_number_must_be_one(name: str, value: Any) -> None:
    refused(name, value)


@pytest.mark.parametrize("name", WHOLE)
def test_a_whole_number_must_be_whole_and_comes_back_as_int(name: str) -> None:
    value = FIELDS[name].default
    assert "whole" in refused(name, value + 0.5)
    assert type(getattr(Config(**{name: float(value)}), name)) is int


@pytest.mark.parametrize("name", [name for name in NUMBERS if name not in WHOLE])
def test_a_real_number_comes_back_as_float(name: str) -> None:
    whole = math.ceil(max(FIELDS[name].metadata["low"], 0)) if FIELDS[name].metadata["high"] >= 1 else 0
    assert type(getattr(Config(**{name: whole}), name)) is float


@pytest.mark.parametrize("name", NUMBERS)
def test_a_number_is_held_to_its_range_and_both_ends_are_in_it(name: str) -> None:
    low, high = FIELDS[name].metadata["low"], FIELDS[name].metadata["high"]
    assert math.isfinite(low) and math.isfinite(high)
    for end in (low, high):
        assert getattr(Config(**{name: end}), name) == end
    step = 1 if name in WHOLE else 1e-6
    for beyond in (low - step, high + step if name in WHOLE else high * (1 + 1e-6)):
        assert f"{name} must lie between" in refused(name, beyond)


@pytest.mark.parametrize("name", NUMBER_SEQUENCES)
@pytest.mark.parametrize(
    "value", ["0.5,1", 1.0, None, {"a": 1}, (math.nan,), (1, math.inf), ("1",), (-1.0,), (10**400,), (True,)], ids=short
)
def test_a_sequence_of_numbers_must_hold_allowed_ones(name: str, value: Any) -> None:
    refused(name, value)


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("value", ["relu1_1", None, 3, (3,), ("relu6_1",), ("relu1_1", "pool1"), ("",)])
def test_layers_must_be_names_of_layers(name: str, value: Any) -> None:
    with pytest.raises(StyleTransferError, match=f"{name}|unknown layer .*: layers are named like relu4_2"):
        Config(**{name: value})


@pytest.mark.parametrize("name", CHOICES)
def test_a_choice_is_one_of_those_listed(name: str) -> None:
    choices = FIELDS[name].metadata["choices"]
    for choice in choices:
        assert getattr(Config(**{name: choice}), name) == choice
    assert f"choose from {', '.join(choices)}" in refused(name, "watercolour")
    assert "'watercolour'" in refused(name, "watercolour")


@pytest.mark.parametrize("name", [*TEXTS, "weights"])
@pytest.mark.parametrize("value", [3, True, ["auto"], b"auto"])
def test_text_must_be_text(name: str, value: Any) -> None:
    assert "must be text" in refused(name, value)


@pytest.mark.parametrize("value", [0, 1, "true", None])
def test_a_switch_is_true_or_false(value: Any) -> None:
    assert "must be true or false" in refused("box", value)


def test_size_is_a_number_or_original() -> None:
    assert Config(size="original").size == "original"
    assert Config(size=1024.0).size == 1024
    assert "original" in refused("size", "huge")


class Unprintable:
    def __repr__(self) -> str:
        raise RuntimeError


JUNK = [
    math.nan, -math.inf, 10**5000, -(10**5000), 1e308, 1j, "x" * 10**5, "two\nlines\x00\u202e\udc80", b"bytes", object,
    {"a": "x" * 999}, Unprintable(), [[[]]], (10**5000,), ("x" * 10**5,), (Unprintable(),), ("relu1_1",) * 10**5,
    (0.5,) * 10**5,
]  # fmt: skip


@pytest.mark.parametrize("name", FIELDS)
def test_junk_is_one_short_sentence_for_every_field(name: str) -> None:
    for value in JUNK:
        if name == "weights" and isinstance(value, str) and len(value) < 99:
            continue  # a path may be any text until it is opened
        sentence = refused_layers(name, value) if name in LAYERS else refused(name, value)
        assert len(sentence) < 250 and sentence.isprintable()


def refused_layers(name: str, value: Any) -> str:
    """A name that is no layer's is told as such, without the setting it was for."""
    with pytest.raises(StyleTransferError, match=f"{name}|unknown layer") as caught:
        Config(**{name: value})
    return str(caught.value)


@pytest.mark.parametrize("device", ["auto", "cpu", "cuda", "cuda:0", "cuda:12", "mps"])
def test_devices_have_a_form(device: str) -> None:
    assert Config(device=device).device == device
    wrong = (f"{device}:", f"{device}\n", f" {device}", device.upper(), f"{device}:-1", f"{device}:1234", "abacus", "")
    for each in wrong:
        assert "cannot be used here: choose auto, cpu, cuda or mps" in refused("device", each)


def test_a_config_cannot_be_changed() -> None:
    with pytest.raises(FrozenInstanceError):
        Config().size = 3  # type: ignore[misc]


# --- fields together


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"style_layers": ("relu1_1", "block1_conv1")}, "style_layers names a layer twice"),
        (
            {"style_layers": ("relu1_1",), "style_layer_weights": (1, 2)},
            "style_layer_weights has 2 numbers for 1 style_layers",
        ),
        ({"content_layer_weights": (1.0,)}, "content_layer_weights has 1 numbers for 0 content_layers"),
        ({"style_weights": (0, 0.0)}, "style_weights are all 0"),
        (
            {"style_statistic": "moments", "style_norm": "gatys"},
            "style_norm 'gatys' .*[Gg]ram.*: .*use relative or mean",
        ),
        ({"style_statistic": "wasserstein", "style_norm": "picture"}, "style_norm 'picture'"),
        ({"scales": (1.0, 0.5)}, "scales must rise and end at 1"),
        ({"scales": (0.25, 0.5)}, "scales must rise and end at 1"),
        ({"scales": ()}, "scales must rise and end at 1"),
        ({"iterations": (99999999,)}, "iterations must lie between 1 and 100000, got 99999999$"),
        ({"content_weight": 1e16}, r"between 0 and 1e\+15, got 1e\+16$"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(StyleTransferError, match=message):
        Config(**settings)


@given(block=st.integers(1, 5), number=st.integers(1, 4))
def test_layers_have_one_name_each(block: int, number: int) -> None:
    """Keras names a convolution that ends in its ReLU, Caffe's and torchvision's world both apart."""
    wanted = f"relu{block}_{number}"
    for name in (wanted, wanted.upper(), f" {wanted} ", f"block{block}_conv{number}"):
        assert canonical_layer(name) == wanted
    assert canonical_layer(f"conv{block}_{number}") == f"conv{block}_{number}"
    assert Config(content_layers=[f"block{block}_conv{number}"]).content_layers == (wanted,)


# --- JSON


def values(name: str) -> st.SearchStrategy[Any]:
    """Anything that a field takes by itself."""
    rule = FIELDS[name].metadata
    if name in CHOICES:
        return st.sampled_from(rule["choices"])
    if name in LAYERS:
        return st.lists(st.sampled_from(["relu1_1", "conv2_2", "relu3_4", "block5_conv1"]), unique=True)
    if name == "scales":
        return st.lists(st.floats(0.01, 0.99), max_size=4).map(lambda result: (*sorted(result), 1.0))
    if name == "iterations":
        return st.lists(st.integers(1, 100000), min_size=1, max_size=4)
    if name == "style_weights":
        return st.lists(st.floats(0.01, 1e6), max_size=4)
    if name in WHOLE:
        return st.integers(rule["low"], rule["high"])
    if name in NUMBERS:
        return st.floats(rule["low"], rule["high"])
    return {"box": st.booleans(), "weights": st.none() | st.text()}.get(name, st.just(FIELDS[name].default))


# Norms that need the Gram matrix and weights that need as many layers have tests of their own.
FREE = [name for name in FIELDS if name not in ("style_norm", "style_layer_weights", "content_layer_weights")]


@given(st.fixed_dictionaries({}, optional={name: values(name) for name in FREE}))
def test_a_config_survives_json(settings: dict[str, Any]) -> None:
    config = Config(**settings)
    again = Config.from_dict(json.loads(json.dumps(config.to_dict(), allow_nan=False)))
    assert again == config
    assert hash(again) == hash(config)
    assert Config.from_dict(again.to_dict()) == config


def test_a_dict_holds_every_field_and_those_left_out_are_defaults() -> None:
    assert set(Config().to_dict()) == set(FIELDS)
    assert Config.from_dict({}) == Config()
    assert Config.from_dict({"size": 300}) == Config(size=300)
    assert Config(style_layers=("relu1_1",)).to_dict()["style_layers"] == ["relu1_1"]


@pytest.mark.parametrize(
    ("value", "change"), [(1, ""), (3, "the setting octaves, which was 3, no longer exists"), ([9], "which was [9]")]
)
def test_a_removed_setting_of_an_older_picture_is_ignored_and_said(value: Any, change: str) -> None:
    settings = {"size": 300, "octaves": value}
    assert Config.from_dict(settings) == Config(size=300)
    said = changes_since({"config": settings})
    assert change in said and bool(change) == bool(said)


def test_an_unknown_setting_is_answered_with_the_known_ones() -> None:
    with pytest.raises(StyleTransferError, match=r"unknown setting 'sise': the settings are averaging, .*, size, "):
        Config.from_dict({"size": 300, "sise": 3})


@pytest.mark.parametrize(
    "junk", [None, [], ["size"], 3, "size", {"x" * 10**5: 1}, {3: 1, "b": 2}, {None: 1}, {10**5000: 1}]
)
def test_what_holds_no_settings_is_one_sentence(junk: Any) -> None:
    with pytest.raises(StyleTransferError, match="must be names with values|unknown setting") as caught:
        Config.from_dict(junk)
    assert len(str(caught.value)) < 800 and str(caught.value).isprintable()


@pytest.mark.parametrize(
    ("given", "steps"), [((), (7, 40, 40)), ((5,), (5, 5, 5)), ((5, 6), (5, 6, 6)), ((1, 2, 3, 4), (1, 2, 3))]
)
def test_every_scale_has_its_steps(given: tuple[int, ...], steps: tuple[int, ...]) -> None:
    assert Config(scales=(0.25, 0.5, 1.0), iterations=given).steps((7, 40)) == steps


@pytest.mark.parametrize(
    ("scales", "steps"),
    [
        ((0.25, 0.5, 0.5, 1.0, 1.0), (7, 30, 10, 30, 10)),
        ((0.5, 1.0, 1.0, 1.0, 1.0, 1.0), (7, 8, 8, 8, 8, 8)),
        ((1.0, 1.0), (4, 3)),
    ],
)
def test_scales_of_one_size_share_its_steps(scales: tuple[float, ...], steps: tuple[int, ...]) -> None:
    assert Config(scales=scales).steps((7, 40)) == steps


@pytest.mark.parametrize(
    ("network", "version", "told"),
    [
        ("builtin", "0.1.0", True),
        ("builtin", VERSION, False),
        ("vgg19", "0.1.0", False),
        ("builtin", "of yesterday", False),
        ("builtin", None, False),
    ],
)
def test_a_picture_of_an_earlier_built_in_network_is_known(network: str, version: str | None, told: bool) -> None:
    metadata = {"network": {"name": network}, "versions": {"styletransfer": version}}
    assert bool(changes_since(metadata)) == told
    assert changes_since({**metadata, "masked": True}).endswith("the regions of its styles are not in it")
    assert not changes_since({}) and not changes_since({"network": "builtin", "versions": 3})
