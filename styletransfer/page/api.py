"""Endpoints for programs: for Gradio's clients, for plain HTTP, and as tools of an MCP server.

Their docstrings are their documentation, and their schemas come from the fields of Config. A client need not keep to a
schema, so arguments are checked by the same code as the page's.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from typing import Any

import gradio as gr
from gradio.components.api_component import Api
from gradio.data_classes import FileData

from ..config import StyleTransferError
from ..recipes import RECIPES, recipe
from ..studio.job import Job, checked
from ..studio.server import Limits, Server
from ..studio.wording import FIELDS, NAMES
from .controls import Bundled
from .errors import friendly
from .parts import HEAVY
from .visit import in_turn, turn

DESCRIBED = ("size", "style_scale", "history", "steps", "seconds", "pixels")  # limits that a caller can run into
LARGEST = 2**53  # JavaScript's largest whole number


def add_api(server: Server, bundled: Bundled) -> None:
    """Add `/stylize` and `/options` to the page that is being built; bundled pictures can be given by name."""
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
        with friendly():
            settings = dict(strength=strength, style_scale=brush, size=size, color=color, network=network, seed=seed)
            pictures = picture(content, "content", photos), picture(style, "style", paintings)
            job = job_of(server, pictures, quality=quality, settings=settings)
            yield from painted(job, server)

    def options() -> dict[str, Any]:
        """What stylize can be asked for: networks, qualities and recipes, colours, bundled pictures, limits, defaults.

        Returns:
            The choices by parameter, the limits, and the defaults.
        """
        return options_of(server.limits, bundled)

    with gr.Row(visible=False):
        parameters = parameters_of(server.limits)
        in_order = [parameters[name] for name in inspect.signature(stylize).parameters]
        outputs = [gr.File(label="Result"), gr.JSON(label="Metrics")]
        trigger = gr.Button()
    trigger.click(stylize, in_order, outputs, api_name="stylize", **HEAVY)
    gr.events.api(options, api_name="options", queue=False)


# --- what can be asked for


def parameters_of(limits: Limits) -> dict[str, Api]:
    """A component for each parameter of `/stylize`, by its name, with its schema and its default."""
    return {
        "content": Api(None, file_schema(), "Picture"),
        "style": Api(None, file_schema(), "Style"),
        "quality": Api("balanced", enum(RECIPES), "Quality"),
        **{name: Api(FIELDS[field].default, schema(field, limits), name.title()) for name, field in NAMES.items()},
    }


def options_of(limits: Limits, bundled: Bundled) -> dict[str, Any]:
    return {
        "content": named(bundled["photos"]),
        "style": named(bundled["styles"]),
        "quality": list(RECIPES),
        **{name: list(FIELDS[field].metadata["choices"]) for name, field in NAMES.items() if choices(field)},
        "limits": {name: getattr(limits, name) for name in DESCRIBED},
        "defaults": {**{name: FIELDS[field].default for name, field in NAMES.items()}, "quality": "balanced"},
    }


def schema(field: str, limits: Limits) -> dict[str, Any]:
    """A field of Config as JSON schema, within the limits of this server."""
    rule, default = FIELDS[field].metadata, FIELDS[field].default
    if choices(field):
        return enum(rule["choices"])
    highest = min(rule["high"], getattr(limits, field, LARGEST))
    return {"type": "integer" if isinstance(default, int) else "number", "minimum": rule["low"], "maximum": highest}


def enum(choices: Iterable[str]) -> dict[str, Any]:
    return {"type": "string", "enum": list(choices)}


def file_schema() -> Any:
    return gr.Image().api_info()


def choices(field: str) -> bool:
    return bool(FIELDS[field].metadata["choices"])


def named(entries: Sequence[Mapping[str, str]]) -> dict[str, str]:
    """The names of bundled pictures, and what they show."""
    return {entry["name"]: entry.get("alt", entry["title"]) for entry in entries}


# --- what is asked for


def picture(value: Any, what: str, entries: Sequence[Mapping[str, str]]) -> str:
    """The path of an uploaded picture, or of a bundled one given by name. Raises StyleTransferError.

    Gradio has checked only the paths that carry its mark: any other could name any file of the server.
    """
    if value is None or isinstance(value, str):
        known = {entry["name"]: entry["file"] for entry in entries}
        if value not in known:
            problem = f"unknown {what} {value!r:.60}" if value else f"there is no {what}"
            raise StyleTransferError(f"{problem}: give a file, or one of {', '.join(known)}")
        return known[value]
    try:
        return FileData.model_validate(value, context={"validate_meta": True}).path
    except ValueError:  # pydantic's errors are ValueErrors
        raise StyleTransferError(f"{what} is no uploaded file: upload one, with handle_file(...) in Python") from None


def job_of(server: Server, pictures: tuple[str, str], *, quality: Any, settings: Mapping[str, Any]) -> Job:
    """The job of a request, with every part checked. Raises StyleTransferError in the endpoint's own terms."""
    if not isinstance(quality, str):
        raise StyleTransferError(f"quality must be text, got {quality!r:.60}")
    content, style = pictures
    try:
        return checked(server, {**recipe(quality).to_dict(), **settings}, content=content, styles=[style])
    except StyleTransferError as error:
        raise StyleTransferError(str(error).replace("style_scale", "brush")) from None


# --- the run


def painted(job: Job, server: Server) -> Iterator[tuple[str | None, dict[str, Any]]]:
    """The status and losses of a run as it goes, then the file. Raises StyleTransferError."""
    from ..images import read_settings
    from ..studio.frames import Frame
    from ..studio.kept import Visit
    from ..studio.session import run

    visit = Visit()  # for this run alone
    try:
        with closing(in_turn(run(job, visit, engine=server.engine), server.limits.waiting)) as news:
            for task, moment in news:
                frame = moment[0] if moment else Frame(turn(task))
                yield None, {"status": frame.text, "progress": frame.progress, "losses": frame.losses}
        assert visit.current is not None
        file = visit.current.file("png")
        yield file, {"progress": 1.0, "losses": frame.losses, "settings": read_settings(file)}
    finally:
        visit.clear()
