"""What a visitor asks for: checked, bounded, put into a job that can be pickled, and told as a command."""

from __future__ import annotations

import math
import os
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, NamedTuple

from ..config import Config, StyleTransferError
from ..recipes import RECIPES

FIELDS: dict[str, Any] = {each.name: each for each in fields(Config)}
MAX_STYLES = 4
FINER = math.sqrt(2)
FINER_STEPS = 30
COLORS = ("#e8336d", "#1d8fe1", "#f2a900", "#2ea36b")  # of the brushes that say where each style goes


@dataclass(frozen=True)
class Limits:
    """What a visitor may ask for at most; a run that takes longer ends with its best picture so far."""

    size: int = 2048
    style_scale: float = 2.0
    history: int = 100
    steps: int = 5000
    seconds: float = 3600
    pixels: int = 32_000_000  # of a picture that is uploaded
    zero: bool = False  # a GPU is lent for each run, in another process
    waiting: int = 2  # runs of one visitor that may wait or be under way


def limits(environment: Mapping[str, str], gpu: bool) -> Limits:
    """Those of this computer, or of a Space, which many share."""
    zero = bool(environment.get("SPACES_ZERO_GPU"))
    if not environment.get("SPACE_ID"):
        return Limits(zero=zero)
    return Limits(size=2048 if gpu or zero else 1024, seconds=100 if zero else 600, zero=zero)


LIMITS = limits(os.environ, os.path.exists("/dev/nvidiactl"))


class Job(NamedTuple):
    """A run, made of what can be pickled.

    settings: Config's as plain values; seconds: the most it may take; regions: a picture painted over the photograph, a
    colour of `COLORS` for each style; rest: what the unpainted part is, `photograph` or `first` style; start: the
    picture (1, 3, H, W) that `init="image"` starts from.
    """

    content: str
    styles: tuple[str, ...]
    settings: Mapping[str, Any]
    seconds: float
    regions: bytes | str | None = None
    rest: str = "photograph"
    start: Any = None


def checked(
    content: str | None,
    styles: Sequence[str],
    values: Mapping[str, Any],
    *,
    weights: str | None = None,
    regions: bytes | str | None = None,
    rest: str = "photograph",
    start: Any = None,
) -> Job:
    """The job that a visitor asks for, all of it checked. Raises StyleTransferError.

    `weights` is the server's own file for the VGG networks.
    """
    for what, given in (("picture", content), ("style", styles)):
        if not given:
            raise StyleTransferError(f"there is no {what} yet: upload one, or choose one of those shown below it")
    if len(styles) > MAX_STYLES:
        raise StyleTransferError(f"there are {len(styles)} styles: at most {MAX_STYLES} are allowed here")
    if rest not in ("photograph", "first"):
        raise StyleTransferError(f"unknown rest {rest!r:.40}: choose photograph or first")
    config = Config(**{name: parsed(name, value) for name, value in values.items()})
    if config.init == "image" and start is None:
        raise StyleTransferError("init is image, and there is no painted picture yet to start from")
    for name in ("size", "style_scale", "history"):
        value, cap = getattr(config, name), getattr(LIMITS, name)
        if isinstance(value, str) or value > cap:
            raise StyleTransferError(f"{name} is {value}: at most {cap:g} is allowed here")
    steps = sum(config.steps())
    if steps > LIMITS.steps:
        raise StyleTransferError(f"there are {steps} iterations in all: at most {LIMITS.steps} are allowed here")
    settings = {**config.to_dict(), "weights": weights if config.network.startswith("vgg") else None}
    return Job(str(content), tuple(styles), settings, allowed_seconds(config), regions, rest, start)


def allowed_seconds(config: Config) -> float:
    """What a run may take: on a lent GPU about twice what it needs there, since what is asked for is what is billed."""
    if not LIMITS.zero:
        return LIMITS.seconds
    work = sum(steps * (float(config.size) * scale) ** 2 for steps, scale in zip(config.steps(), config.scales))
    return min(LIMITS.seconds, 15 + 4e-7 * config.octaves * work)


def continued(job: Job, steps: Sequence[int], more: int, raw: Any = None) -> Job:
    """The job of so many `steps` at each scale, with `more` at the last: it goes on with the optimiser's state, or from
    `raw` alone.
    """
    config = Config.from_dict(job.settings)
    if raw is not None:
        config = replace(config, init="image", scales=(1.0,), iterations=(max(1, more),))
    elif more:
        config = replace(config, iterations=(*steps[:-1], steps[-1] + more))
    return job._replace(settings=_with_weights(config, job), seconds=allowed_seconds(config), start=raw)


def finer(job: Job, raw: Any, size: int) -> Job:
    """The job that paints a result of this long side at the next size. Raises StyleTransferError at the largest."""
    larger = min(round(size * FINER / 32) * 32, LIMITS.size)
    if larger <= size:
        raise StyleTransferError(f"the picture is {size} pixels long: at most {LIMITS.size} are allowed here")
    config = replace(
        Config.from_dict(job.settings), size=larger, init="image", scales=(1.0,), iterations=(FINER_STEPS,)
    )
    return job._replace(settings=_with_weights(config, job), seconds=allowed_seconds(config), start=raw)


def _with_weights(config: Config, job: Job) -> dict[str, Any]:
    return {**config.to_dict(), "weights": job.settings["weights"]}


# --- settings as text


def parsed(name: str, value: Any) -> Any:
    """A control's value as Config takes it: lists are written as 1, 2, 3. Raises StyleTransferError."""
    if not isinstance(FIELDS[name].default, tuple) or not isinstance(value, str):
        return value
    kind = FIELDS[name].metadata["item"]
    try:
        return tuple(kind(item) for item in re.split(r"[,\s]+", value) if item)
    except ValueError:
        raise StyleTransferError(f"{name} must be numbers with commas between them, got {value[:40]!r}") from None


def as_text(value: Any) -> Any:
    """A list as it is written in a control; anything else as it is."""
    return ", ".join(map(str, value)) if isinstance(value, (tuple, list)) else value


def field_values(settings: Mapping[str, Any], names: Sequence[str]) -> list[Any]:
    """What controls of these names show of the settings."""
    return [as_text(settings[name]) for name in names]


def nearest_recipe(config: Config) -> str:
    """The recipe that the settings differ from in the fewest fields."""
    return min(RECIPES, key=lambda name: len(differences(config, name)))


def differences(config: Config, recipe: str) -> dict[str, Any]:
    """The settings that are not the recipe's, but for those of the server."""
    names = [name for name in FIELDS if name not in ("weights", "device")]
    return {name: getattr(config, name) for name in names if getattr(config, name) != getattr(RECIPES[recipe], name)}


def command(config: Config, content: str, styles: Sequence[str], recipe: str | None = None) -> str:
    """The same run for the command line, with the flags that differ from the recipe alone."""
    recipe = recipe or nearest_recipe(config)
    words = ["python", "-m", "styletransfer", content, *styles, "-o", "out.png"]
    if recipe != "balanced":
        words += ["--recipe", recipe]
    for name, value in differences(config, recipe).items():
        flag = name.replace("_", "-")
        if isinstance(value, bool):
            words.append(f"--{flag}" if value else f"--no-{flag}")
        else:
            words += [f"--{flag}", ",".join(map(str, value)) if isinstance(value, tuple) else f"{value}"]
    return shlex.join(words)


PRESETS = {name: name for name in ("strength", "size", "color", "network", "seed")} | {"brush": "style_scale"}


def preset(query: Mapping[str, str]) -> tuple[str, dict[str, Any], list[str]]:
    """What an address asks for: a recipe, settings, and the names of what is unknown or not allowed."""
    ignored = sorted(name for name in query if name not in (*PRESETS, "quality") and not name.startswith("_"))
    recipe = query.get("quality", "balanced")
    if recipe not in RECIPES:
        recipe, ignored = "balanced", [*ignored, "quality"]
    config = RECIPES[recipe]
    for name, field in PRESETS.items():
        if name not in query:
            continue
        try:
            text = query[name]
            value: Any = text if isinstance(FIELDS[field].default, str) else float(text)
            if isinstance(value, float) and value > getattr(LIMITS, field, math.inf):
                raise StyleTransferError(f"{field} is too large")
            config = replace(config, **{field: value})
        except (ValueError, StyleTransferError):
            ignored.append(name)
    return recipe, config.to_dict(), ignored


def restored(metadata: Mapping[str, Any]) -> tuple[Config, str]:
    """The settings of a PNG as this page can run them, and what had to change for that. Raises StyleTransferError.

    Metadata is data: it never names a file or a device of the server.
    """
    given = metadata.get("config")
    if not isinstance(given, Mapping):
        raise StyleTransferError("the settings hold no config: give a PNG that was made here")
    config = Config.from_dict({**given, "weights": None, "device": "auto"})
    notes = []
    for name in ("size", "style_scale", "history"):
        value, cap = getattr(config, name), getattr(LIMITS, name)
        if isinstance(value, str) or value > cap:
            config = replace(config, **{name: cap})
            notes.append(f"{name} is {cap:g} here, not {value}")
    if config.init == "image":
        usual = RECIPES["balanced"]
        config = replace(config, init="content", scales=usual.scales, iterations=usual.iterations)
        notes.append("the run starts from the photograph, not from an earlier picture")
    return config, "; ".join(notes)
