"""Endpoints for programs: for Gradio's clients, for plain HTTP, and as tools of an MCP server.

Their docstrings are their documentation, and the schemas come from Config's own fields; what arrives is checked by the
same code as the page's, since a schema stops nobody.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from typing import Any

import gradio as gr
from gradio.components.api_component import Api
from gradio.data_classes import FileData

from .. import studio
from ..config import StyleTransferError
from ..recipes import RECIPES, recipe
from ..studio.request import FIELDS
from . import handlers
from .paint import HEAVY

Bundled = Mapping[str, Sequence[Mapping[str, str]]]

# The parameters that are fields of Config, under the names that people use.
NAMES = {
    "strength": "strength",
    "brush": "style_scale",
    "size": "size",
    "color": "color",
    "network": "network",
    "seed": "seed",
}
DESCRIBED = ("size", "style_scale", "history", "steps", "seconds", "pixels")  # limits that a caller can run into
LARGEST = 2**53  # JavaScript's largest whole number


def add_api(bundled: Bundled) -> None:
    """Add `/stylize` and `/options` to the page that is being built, with its bundled pictures by name."""
    photos, paintings = bundled["photos"], bundled["styles"]

    def stylize(
        content: Any,
        style: Any,
        strength: float,
        brush: float,
        size: int,
        color: str,
        network: str,
        seed: int,
        quality: str,
    ) -> Iterator[tuple[str | None, dict[str, Any]]]:
        """Paint a photograph in the style of a painting, by optimising the pixels of a new picture.

        Args:
            content: the photograph that keeps its subject: a file; from Python also the name of a bundled one
            style: the painting that gives its strokes and colours: a file; from Python also the name of a bundled one
            strength: 0 keeps the photograph, 50 is the balance, 100 is the style alone
            brush: size of the strokes, as the painting's long side over that of the result
            size: long side of the result in pixels
            color: colours of the result: those of the style, of the content, or the style's matched to the content
            network: network that sees the pictures; auto never downloads anything
            seed: seed of the noise that a run may start from
            quality: draft, balanced or best, or the recipe of a published system; see options
        Returns:
            The picture as a PNG with its settings inside, and progress, losses and settings.
        """
        with handlers.friendly():
            photograph, painting = picture(content, "content", photos), picture(style, "style", paintings)
            given = dict(zip(NAMES, (strength, brush, size, color, network, seed)))
            yield from painted(job_of(photograph, painting, quality, given))

    def options() -> dict[str, Any]:
        """What stylize can be asked for: networks, qualities and recipes, colours, bundled pictures, limits, defaults.

        Returns:
            The choices by parameter, the limits, and the defaults.
        """
        return {
            "content": named(photos),
            "style": named(paintings),
            "quality": list(RECIPES),
            **{name: list(FIELDS[field].metadata["choices"]) for name, field in NAMES.items() if choices(field)},
            "limits": {name: getattr(studio.LIMITS, name) for name in DESCRIBED},
            "defaults": {**{name: FIELDS[field].default for name, field in NAMES.items()}, "quality": "balanced"},
        }

    with gr.Row(visible=False):
        inputs: list[Any] = [Api(None, file_schema(), label) for label in ("Picture", "Style")]
        inputs += [Api(FIELDS[field].default, schema(field), name.title()) for name, field in NAMES.items()]
        inputs.append(Api("balanced", enum(RECIPES), "Quality"))
        outputs = [gr.File(label="Result"), gr.JSON(label="Metrics")]
        trigger = gr.Button()
    trigger.click(stylize, inputs, outputs, api_name="stylize", **HEAVY)
    gr.events.api(options, api_name="options", queue=False)


# --- what is asked for


def picture(value: Any, what: str, entries: Sequence[Mapping[str, str]]) -> str:
    """The path of a picture that is uploaded, or bundled and given by name. Raises StyleTransferError.

    Gradio has checked a path only where its mark stands beside it: without, it could be any file's of the server.
    """
    if value is None or isinstance(value, str):
        known = {entry["name"]: entry["file"] for entry in entries}
        if value not in known:
            given = f"unknown {what} {value!r:.60}" if value else f"there is no {what}"
            raise StyleTransferError(f"{given}: give a file, or one of {', '.join(known)}")
        return known[value]
    try:
        return FileData.model_validate(value, context={"validate_meta": True}).path
    except ValueError:  # pydantic's own are among them
        raise StyleTransferError(f"{what} is no uploaded file: upload one, with handle_file(...) in Python") from None


def schema(field: str) -> dict[str, Any]:
    """A field of Config as JSON schema, within the limits of this server."""
    rule, default = FIELDS[field].metadata, FIELDS[field].default
    if choices(field):
        return enum(rule["choices"])
    highest = min(rule["high"], getattr(studio.LIMITS, field, LARGEST))
    return {"type": "integer" if isinstance(default, int) else "number", "minimum": rule["low"], "maximum": highest}


def enum(choices: Iterable[str]) -> dict[str, Any]:
    return {"type": "string", "enum": list(choices)}


def file_schema() -> Any:
    return gr.Image().api_info()


def choices(field: str) -> bool:
    return bool(FIELDS[field].metadata["choices"])


def named(entries: Sequence[Mapping[str, str]]) -> dict[str, str]:
    """The names of bundled pictures, and what is on them."""
    return {entry["name"]: entry.get("alt", entry["title"]) for entry in entries}


def job_of(content: str, style: str, quality: Any, given: Mapping[str, Any]) -> studio.Job:
    """What is to be painted, all of it checked. Raises StyleTransferError in the endpoint's own words."""
    if not isinstance(quality, str):
        raise StyleTransferError(f"quality must be text, got {quality!r:.60}")
    values = {**recipe(quality).to_dict(), **{NAMES[name]: value for name, value in given.items()}}
    try:
        return studio.checked(content, [style], values, weights=handlers.WEIGHTS)
    except StyleTransferError as error:
        raise StyleTransferError(str(error).replace("style_scale", "brush")) from None


# --- the run


def painted(job: studio.Job) -> Iterator[tuple[str | None, dict[str, Any]]]:
    """The status and losses of a run as it goes, then the file. Raises StyleTransferError."""
    from ..images import read_settings
    from ..studio.running import fitted

    photograph = fitted(job.content, job.settings["size"])
    kept = studio.Kept(job, job.settings, photograph, photograph, job.settings["color"])
    began, outcome = time.monotonic(), "stopped"
    try:
        with closing(studio.paint(job)) as frames:
            for frame in frames:
                yield None, {"status": frame.text, "progress": frame.progress, "losses": frame.losses}
        kept.take(frame)
        file, outcome = kept.file("png"), kept.metadata["outcome"]
        yield file, {"progress": 1.0, "losses": frame.losses, "settings": read_settings(file)}
    finally:
        kept.folder.cleanup()
        handlers.log_run(job, kept, outcome, time.monotonic() - began)
