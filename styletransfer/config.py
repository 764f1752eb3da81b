"""Every setting of a run, with its default and its reason, and the one error class."""

from __future__ import annotations

import math
import re
import sys
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

VERSION = "0.2.0"
BUILTIN_SINCE = (0, 2, 0)  # the version that brought the built-in network of today


class StyleTransferError(Exception):
    """Something the user gave cannot be used: what is wrong, what was given, what is allowed."""


NETWORKS = ("auto", "builtin", "vgg19", "vgg19-caffe", "vgg16", "vgg16_bn")
POOLINGS = ("max", "average")
PADDINGS = ("zeros", "replicate")
PRECISIONS = ("auto", "float32", "bfloat16", "float16")
CONTENT_NORMS = ("relative", "mean", "sum")
STATISTICS = ("gram", "moments", "wasserstein")
STYLE_NORMS = ("relative", "gatys", "mean", "elements", "picture")
TOTAL_VARIATIONS = ("l1", "l2", "power", "nine-point")
TV_NORMS = ("relative", "published")
STYLE_FITS = ("keep", "cover")
INITS = ("content", "noise", "median", "gray", "mean", "style", "image")
OPTIMIZERS = ("lbfgs", "adam")
LINE_SEARCHES = ("wolfe", "none")
PRECONDITIONERS = ("spectrum", "none")
EPSILON_FORMS = ("corrected", "tensorflow")
KEEPS = ("best", "last")
COLORS = ("style", "content", "match")
STYLE_COLORS = ("keep", "match")

REMOVED = {"octaves": 1}  # settings of older pictures, and the value of each that changes nothing

# Default steps by size, coarse to fine, for VGG-19 and for the compact network. Coarse steps are cheap and make the
# large shapes: 32 and 40 of them paint clear swirls into a sky, 12 and 16 do not.
STEPS, COMPACT_STEPS = (32, 40, 64), (32, 40, 40)
REPEATED = 10  # of a size's steps, how many its repeated scale takes: the matches are fixed there

LONGEST_SEQUENCE = 100  # the networks have 16 convolutions
LONGEST_TEXT = 4096  # a path's limit on most systems

_DEVICE = re.compile(r"auto|(?:cpu|cuda|mps)(?::\d{1,3})?")
_LAYER = re.compile(r"(?:(?:relu|conv)([1-5])_([1-4])|block([1-5])_conv([1-4]))")


def canonical_layer(name: str) -> str:
    """The usual name of a layer: `relu4_2`, `conv4_2`. Keras' `block4_conv2` includes its ReLU, so it is `relu4_2`.

    Raises StyleTransferError for any other form of name.
    """
    match = _LAYER.fullmatch(name.strip().lower())
    if not match:
        raise StyleTransferError(
            f"unknown layer {_shown(name)}: layers are named like relu4_2, conv4_2 or block4_conv2"
        )
    if match[3]:
        return f"relu{match[3]}_{match[4]}"
    return match[0]


def _option(
    default: Any,
    help: str,
    *,
    item: type = float,
    choices: tuple[str, ...] = (),
    low: float = -math.inf,
    high: float = math.inf,
) -> Any:
    """A field of Config, with the metadata of its flag, control and check; `item` is the type of a tuple's entries."""
    return field(default=default, metadata={"help": help, "item": item, "choices": choices, "low": low, "high": high})


@dataclass(frozen=True)
class Config:
    """All settings of a run; every one is a command-line flag of the same name and part of a picture's metadata.

    Raises StyleTransferError for a value of the wrong type, out of range, or not among the choices.
    """

    # --- the network that computes the features
    network: str = _option("auto", "feature network; auto never downloads", choices=NETWORKS)
    weights: str | None = _option(None, "file of the network's weights (.safetensors, or .pth of plain tensors)")
    pooling: str = _option("max", "pooling; average gave Gatys et al. smoother pictures", choices=POOLINGS)
    padding: str = _option("zeros", "padding of the first convolution; replicate for cleaner edges", choices=PADDINGS)
    precision: str = _option("auto", "number format of the convolutions; losses stay in float32", choices=PRECISIONS)
    tile: int = _option(0, "side in pixels of the tiles; 0: whole, or in tiles if memory is short", low=0, high=32768)
    device: str = _option("auto", "auto, cpu, cuda, cuda:N or mps")

    # --- what is optimised: content + style + total variation, and between the frames of a clip the temporal loss
    content_layers: tuple[str, ...] = _option((), "layers to match the content at; empty: the network's", item=str)
    content_layer_weights: tuple[float, ...] = _option((), "their weights; empty: equal, sum 1", low=0, high=1e15)
    # Relative: |F-P|^2 / |P|^2, so that the same weight suits every picture size and network.
    content_norm: str = _option("relative", "scale of the content loss", choices=CONTENT_NORMS)
    # Chosen by eye at 384 px: a face stays a face, and a sky is repainted. With Gram matrices alone 0.05 looked best;
    # nearest neighbours need more.
    content_weight: float = _option(0.08, "weight of the content loss", low=0, high=1e15)
    style_layers: tuple[str, ...] = _option((), "layers to match the style at; empty: the network's", item=str)
    style_layer_weights: tuple[float, ...] = _option((), "their weights; empty: equal, sum 1", low=0, high=1e15)
    style_statistic: str = _option("gram", "statistic that is matched at the style layers", choices=STATISTICS)
    style_norm: str = _option("relative", "scale of the style loss; relative or mean but for gram", choices=STYLE_NORMS)
    style_weight: float = _option(1.0, "weight of the style loss", low=0, high=1e15)
    # Chosen by eye at 384 px: with more, flat areas lose their strokes.
    nearest_weight: float = _option(0.7, "weight of the nearest-neighbour loss, at repeated scales", low=0, high=1e15)
    tv: str = _option("l1", "form of the total variation", choices=TOTAL_VARIATIONS)
    tv_norm: str = _option("relative", "relative to the content's total variation, or as published", choices=TV_NORMS)
    # Chosen by eye at 384 px: 0.002 removes single odd pixels, 0.01 begins to flatten strokes.
    tv_weight: float = _option(0.002, "weight of the total variation; higher is smoother", low=0, high=1e15)
    # On a pan, 3 instead of 2 lowered the difference between frames from 0.27 to 0.24 of that of frames painted
    # separately, and raised the style loss by 2 %.
    temporal_weight: float = _option(3.0, "weight of the temporal loss between a clip's frames", low=0, high=1e15)
    strength: float = _option(50.0, "0: content alone, 50: the weights as given, 100: style alone", low=0, high=100)

    # --- the style pictures
    style_weights: tuple[float, ...] = _option((), "mix of several style pictures; empty: equal", low=0, high=1e15)
    style_scale: float = _option(1.0, "brush size: long side of the style over that of the result", low=0.05, high=8)
    style_fit: str = _option("keep", "cover: scale and crop the style to the content's frame", choices=STYLE_FITS)
    style_color: str = _option("keep", "match: recolour the style like the content beforehand", choices=STYLE_COLORS)
    color: str = _option("style", "colours of the result: the style's, the content's, or matched", choices=COLORS)

    # --- the course of the optimisation
    size: int | str = _option(512, "long side of the result in pixels, or original", low=16, high=32768)
    scales: tuple[float, ...] = _option(
        (0.25, 0.5, 0.5, 1.0, 1.0),
        "fractions of the size, coarse to fine; a repeated one adds the nearest-neighbour loss",
        low=0.01,
        high=1,
    )
    iterations: tuple[int, ...] = _option(
        (), "steps by scale; the last number is for the rest, too; empty: the network's", item=int, low=1, high=10**5
    )
    # A later frame then takes a little more than a third of the first one's time; with less the style fades faster.
    frame_share: float = _option(0.4, "steps of a later frame over a picture's at full size", low=0.001, high=1)
    # On four pairs at 320 px, 0.005 ended Best after three quarters of its time with a 1 % higher loss, 0.01 after six
    # tenths with 2 to 3 % more. Draft, Balanced and Best use 0: their time is announced, and a run that has ended early
    # cannot be continued.
    tolerance: float = _option(0.0, "a scale ends when ten steps lower the loss by less than this share", low=0, high=1)
    max_evaluations: int = _option(0, "limit of loss evaluations at every scale; 0: none", low=0, high=10**7)
    init: str = _option("content", "what the optimisation starts from", choices=INITS)
    optimizer: str = _option("lbfgs", "optimiser of the pixels", choices=OPTIMIZERS)
    # Without a search L-BFGS was seen to stall or blow up on a grey photograph with a loud painting.
    line_search: str = _option("wolfe", "safeguard of L-BFGS's step length", choices=LINE_SEARCHES)
    # With the spectrum's preconditioner 20 pairs gained nothing over 10, and a pair costs two pictures of memory.
    history: int = _option(10, "(s, y) pairs that L-BFGS keeps", low=1, high=200)
    # 60 steps with it reach the loss of 100 without it; the published systems have none.
    preconditioner: str = _option("spectrum", "initial inverse Hessian of L-BFGS", choices=PRECONDITIONERS)
    learning_rate: float = _option(0.02, "step of Adam, and of L-BFGS without line search", low=1e-9, high=1e4)
    beta1: float = _option(0.9, "Adam's decay of the gradient's mean", low=0, high=0.9999999)
    beta2: float = _option(0.99, "Adam's decay of the squared gradient's mean", low=0, high=0.9999999)
    epsilon: float = _option(1e-8, "Adam's term that keeps the denominator above 0", low=0, high=1e3)
    epsilon_form: str = _option("corrected", "tensorflow: epsilon outside the bias correction", choices=EPSILON_FORMS)
    box: bool = _option(True, "clamp pixels to the range of colours at every step")
    averaging: float = _option(0.0, "decay of the running average of the iterates; 0: none", low=0, high=0.99999)
    keep: str = _option("best", "which iterate is the result", choices=KEEPS)
    # Systems of Caffe's time optimise 0-255; their step sizes and total variation are in those units.
    pixel_range: float = _option(1.0, "value of white in the optimised picture", low=1e-3, high=65535)
    seed: int = _option(0, "seed of the noise and of random draws", low=0, high=2**63 - 1)

    def __post_init__(self) -> None:
        for setting in fields(self):
            value = _checked(setting.name, getattr(self, setting.name), setting.default, setting.metadata)
            object.__setattr__(self, setting.name, value)
        if not _DEVICE.fullmatch(self.device):
            raise StyleTransferError(f"device {_shown(self.device)} cannot be used here: choose auto, cpu, cuda or mps")
        for names in ("content_layers", "style_layers"):
            layers = tuple(canonical_layer(name) for name in getattr(self, names))
            if len(set(layers)) < len(layers):
                raise StyleTransferError(f"{names} names a layer twice: {', '.join(layers)}")
            object.__setattr__(self, names, layers)
            weights = getattr(self, names[:-1] + "_weights")
            if weights and len(weights) != len(layers):
                raise StyleTransferError(
                    f"{names[:-1]}_weights has {len(weights)} numbers for {len(layers)} {names}: one for each, or none"
                )
        if self.style_weights and not sum(self.style_weights) > 0:
            raise StyleTransferError("style_weights are all 0: at least one style picture needs a positive weight")
        if self.style_statistic != "gram" and self.style_norm not in ("relative", "mean"):
            raise StyleTransferError(
                f"style_norm {self.style_norm!r} is for gram: with {self.style_statistic} use relative or mean"
            )
        if list(self.scales) != sorted(self.scales) or not self.scales or self.scales[-1] != 1:
            raise StyleTransferError(f"scales must rise and end at 1, like 0.25,0.5,1: got {_shown(self.scales)}")

    def steps(self, default: tuple[int, ...] = STEPS) -> tuple[int, ...]:
        """The steps of all scales; `default`: the network's steps by size, for when `iterations` is empty."""
        if self.iterations:
            return _filled(self.iterations, len(self.scales))
        counts = Counter(self.scales)  # in the order of the scales
        steps: list[int] = []
        for total, count in zip(_filled(default, len(counts)), counts.values()):
            repeated = min(REPEATED, total // count)
            steps += [total - (count - 1) * repeated, *[repeated] * (count - 1)]
        return tuple(steps)

    def to_dict(self) -> dict[str, Any]:
        """The settings as plain JSON values (tuples become lists)."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Config:
        """The inverse of `to_dict`: missing settings get their defaults, removed ones are ignored.

        Raises StyleTransferError.
        """
        if not isinstance(values, Mapping):
            raise StyleTransferError(f"settings must be names with values, got {_shown(values)}")
        known = {setting.name for setting in fields(cls)}
        unknown = sorted(map(_shown, set(values) - known - set(REMOVED)))
        if unknown:
            raise StyleTransferError(f"unknown setting {unknown[0]}: the settings are {', '.join(sorted(known))}")
        settings: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in values.items() if name in known
        }
        return cls(**settings)


def _filled(steps: tuple[int, ...], count: int) -> tuple[int, ...]:
    """The first `count` of the numbers of steps, the last one repeated if they are too few."""
    return (steps + steps[-1:] * count)[:count]


def changes_since(metadata: Mapping[str, Any]) -> str:
    """Why a picture painted again from this metadata would differ, as part of a sentence; empty: it would not."""
    regions = ["the regions of its styles are not in it"] if metadata.get("masked") is True else []
    return "; ".join([*program_changes(metadata), *regions])


def program_changes(metadata: Mapping[str, Any]) -> list[str]:
    """What has changed in this program since it made the picture of this metadata, as parts of a sentence."""
    changes = []
    if _of_earlier_network(metadata):
        changes.append("the built-in network has changed since, so that the picture will be another")
    config = metadata.get("config")
    settings = config if isinstance(config, Mapping) else {}
    for name, neutral in REMOVED.items():
        if (value := settings.get(name, neutral)) != neutral:
            changes.append(f"the setting {name}, which was {_shown(value)}, no longer exists")
    return changes


def _of_earlier_network(metadata: Mapping[str, Any]) -> bool:
    """Whether an earlier built-in network painted the picture of this metadata."""
    network, versions = metadata.get("network"), metadata.get("versions")
    if not isinstance(network, Mapping) or not isinstance(versions, Mapping) or network.get("name") != "builtin":
        return False
    numbers = re.fullmatch(r"(\d{1,4})\.(\d{1,4})\.(\d{1,4})", str(versions.get("styletransfer")))
    return numbers is not None and tuple(map(int, numbers.groups())) < BUILTIN_SINCE


def _checked(name: str, value: Any, default: Any, rule: Mapping[str, Any]) -> Any:
    """The value in its field's type, or StyleTransferError."""
    if isinstance(default, tuple):
        if isinstance(value, str) or not isinstance(value, (tuple, list)):
            raise StyleTransferError(f"{name} must be a sequence, got {_shown(value)}")
        if len(value) > LONGEST_SEQUENCE:
            raise StyleTransferError(f"{name} has {len(value)} entries: at most {LONGEST_SEQUENCE} are allowed")
        return tuple(_checked(name, entry, rule["item"](), rule) for entry in value)
    if default is None or isinstance(default, str):
        if not (isinstance(value, str) or (default is None and value is None)):
            raise StyleTransferError(f"{name} must be text, got {_shown(value)}")
        if value is not None and len(value) > LONGEST_TEXT:
            raise StyleTransferError(f"{name} has {len(value)} characters: at most {LONGEST_TEXT} are allowed")
        if rule["choices"] and value not in rule["choices"]:
            raise StyleTransferError(f"unknown {name} {_shown(value)}: choose from {', '.join(rule['choices'])}")
        return value
    if isinstance(default, bool):
        if not isinstance(value, bool):
            raise StyleTransferError(f"{name} must be true or false, got {_shown(value)}")
        return value
    if name == "size" and value == "original":
        return value
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) <= sys.float_info.max:
        also = " or original" if name == "size" else ""
        raise StyleTransferError(f"{name} must be a finite number{also}, got {_shown(value)}")
    if isinstance(default, int) and value != int(value):
        raise StyleTransferError(f"{name} must be a whole number, got {_shown(value)}")
    if not rule["low"] <= value <= rule["high"]:
        low, high, got = map(_number, (rule["low"], rule["high"], value))
        raise StyleTransferError(f"{name} must lie between {low} and {high}, got {got}")
    return int(value) if isinstance(default, int) else float(value)


def _number(value: float) -> str:
    """A number as messages show it: a whole one whole, unless it is very long."""
    return str(int(value)) if abs(value) < 1e15 and value == int(value) else f"{value:g}"


def _shown(value: Any) -> str:
    """A value as messages show it: one line of at most 60 characters."""
    try:
        text = repr(value)
    except Exception:  # for instance, of a whole number with thousands of digits
        text = f"a value of type {type(value).__name__}"
    return text if len(text) <= 60 else f"{text[:40]}...{text[-17:]}"
