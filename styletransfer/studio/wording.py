"""Settings as text: in the page's controls, as a command, in an address, and inside a PNG."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from typing import Any

from ..config import Config, StyleTransferError, program_changes
from ..recipes import RECIPES
from .server import Limits

FIELDS: dict[str, Any] = {field.name: field for field in fields(Config)}
# Fields of Config that addresses and programs may set, by the names that they use.
NAMES = {
    "strength": "strength",
    "brush": "style_scale",
    "size": "size",
    "color": "color",
    "network": "network",
    "seed": "seed",
}


# --- controls


def from_text(name: str, value: Any) -> Any:
    """A control's value as a value for Config: lists are written as 1, 2, 3. Raises StyleTransferError."""
    if not isinstance(FIELDS[name].default, tuple) or not isinstance(value, str):
        return value
    kind = FIELDS[name].metadata["item"]
    try:
        return tuple(kind(item) for item in re.split(r"[,\s]+", value) if item)
    except ValueError:
        raise StyleTransferError(f"{name} must be numbers with commas between them, got {value[:40]!r}") from None


def as_text(value: Any) -> Any:
    """A setting as its control shows it: a list as 1, 2, 3, anything else unchanged."""
    return ", ".join(map(str, value)) if isinstance(value, (tuple, list)) else value


def describe(network: str, reason: str, device: str) -> str:
    """The network in use, the reason, and the device, in a phrase."""
    return f"{network.replace('builtin', 'built-in')} network ({reason}) on {device.upper()}"


# --- the command line


def nearest_recipe(config: Config) -> str:
    """The recipe that differs from the settings in the fewest fields."""
    return min(RECIPES, key=lambda name: len(differences(config, name)))


def differences(config: Config, recipe: str) -> dict[str, Any]:
    """The settings that differ from the recipe's, without weights and device, which belong to the server."""
    names = [name for name in FIELDS if name not in ("weights", "device")]
    return {name: getattr(config, name) for name in names if getattr(config, name) != getattr(RECIPES[recipe], name)}


def command(config: Config, content: str, styles: Sequence[str]) -> str:
    """The command that makes the same picture: the nearest recipe, and flags for the differences."""
    recipe = nearest_recipe(config)
    pictures = [f"./{name}" if name.startswith("-") else name for name in (content, *styles)]  # no flags
    words = ["python", "-m", "styletransfer", *pictures, "-o", "out.png"]
    if recipe != "balanced":
        words += ["--recipe", recipe]
    for name, value in differences(config, recipe).items():
        flag = name.replace("_", "-")
        if isinstance(value, bool):
            words.append(f"--{flag}" if value else f"--no-{flag}")
        else:
            words += [f"--{flag}", ",".join(map(str, value)) if isinstance(value, tuple) else f"{value}"]
    return shlex.join(words)


def file_name(path: str) -> str:
    """A picture's name in a command: the path in the repository for a bundled one, the file's name for an upload."""
    parts = path.replace("\\", "/").split("/")
    return "/".join(parts[-3:]) if "examples" in parts[-3:-2] else parts[-1]


# --- addresses and PNGs


def bundled_names(content: str, styles: Sequence[str]) -> dict[str, Any]:
    """The names of the bundled pictures among those of a result, as its PNG holds them: the `content`, and the `styles`
    if all are bundled; of a visitor's own pictures nothing is told.
    """
    photograph, paintings = _bundled(content, "photos"), [_bundled(style, "styles") for style in styles]
    return {**({"content": photograph} if photograph else {}), **({"styles": paintings} if all(paintings) else {})}


def _bundled(path: str, kind: str) -> str:
    """The name of a bundled picture; empty: any other, which Gradio keeps in folders that are named by a digest."""
    *_, examples, folder, name = ["", "", *path.replace("\\", "/").split("/")]
    return name.rpartition(".")[0] if (examples, folder) == ("examples", kind) else ""


def from_address(query: Mapping[str, str], limits: Limits) -> tuple[str, Config, list[str], list[str]]:
    """The recipe and settings of a page's address, the names with invalid values, and what was changed to fit the
    page's controls, in words. Unknown names, which many sites add to links, are ignored.
    """
    recipe, ignored = query.get("quality", "balanced"), []
    if recipe not in RECIPES:
        recipe, ignored = "balanced", ["quality"]
    config = RECIPES[recipe]
    for name in [name for name in NAMES if name in query]:
        field = NAMES[name]
        try:
            config = replace(config, **{field: type(FIELDS[field].default)(query[name])})
        except (ValueError, StyleTransferError):
            ignored.append(name)
    config, changes = _fitted(config, limits, {field: name for name, field in NAMES.items()})
    return recipe, config, ignored, changes


def from_png(metadata: Mapping[str, Any], limits: Limits) -> tuple[Config, str]:
    """The settings of a PNG, changed if this page cannot run them, and the changes in words.

    The metadata is not trusted: files and devices in it are ignored. Raises StyleTransferError.
    """
    settings = metadata.get("config")
    if not isinstance(settings, Mapping):
        raise StyleTransferError("the settings hold no config: give a PNG that was made here")
    config, changes = _fitted(Config.from_dict({**settings, "weights": None, "device": "auto"}), limits)
    if config.init == "image":
        usual = RECIPES["balanced"]
        config = replace(config, init="content", scales=usual.scales, iterations=usual.iterations)
        changes.append("the run starts from the photograph, not from an earlier picture")
    return config, "; ".join([*changes, *program_changes(metadata)])


def _fitted(config: Config, limits: Limits, names: Mapping[str, str] | None = None) -> tuple[Config, list[str]]:
    """The settings, fitted to the range of the page's controls, and what was changed, in words."""
    clipped: dict[str, Any] = limits.clipped(config)
    words = [
        f"{(names or {}).get(name, name)} is {as_number(value)} here, not {as_number(getattr(config, name))}"
        for name, value in clipped.items()
    ]
    return replace(config, **clipped), words


def as_number(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
