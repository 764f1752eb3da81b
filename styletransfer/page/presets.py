"""Settings that come from outside: those inside a PNG that was made here, and those in the page's address."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gradio as gr

from ..config import Config, StyleTransferError
from ..studio.server import Limits
from ..studio.wording import from_address, from_png
from .controls import Bundled
from .errors import friendly
from .handlers import HINT, Handlers
from .look import status
from .parts import AT_ONCE, PRIVATE, Updates
from .visit import anew, task_of, wire_task

NAVIGATION = "key => [key, performance.getEntriesByType('navigation')[0]?.type ?? '']"  # `navigate`, `reload`, …


def wire_presets(handlers: Handlers, bundled: Bundled, page: gr.Blocks) -> None:
    """A PNG that is dropped, and the address that the page was opened with, set all controls."""
    parts = handlers.parts

    def restore(file: str | None) -> Updates:
        return restored(handlers, file)

    again, navigation = gr.Textbox(visible="hidden"), gr.Textbox(visible="hidden")

    def opened(key: Any, navigation: str, request: gr.Request) -> Any:
        """What the visit has, unless a link was followed: then what the link asks for."""
        query = dict(request.query_params or {})
        if query and (navigation == "navigate" or task_of(key, "paint") is None):
            shown = {**from_query(handlers, query, bundled), **handlers.strip(key)}
        else:
            shown = handlers.found(key)
        return {**shown, **anew(again, key, "paint")} or gr.skip()

    outputs = [*parts.settings, parts.state]
    parts.restore.upload(restore, parts.restore, outputs, **PRIVATE)
    changed = {*outputs, *parts.shown, parts.content, *parts.styles, again}
    page.load(opened, [parts.key, navigation], list(changed), js=NAVIGATION, **AT_ONCE)
    wire_task(parts.key, again.change, handlers.follow, handlers.finish, parts.seen, parts.shown)


def restored(handlers: Handlers, file: str | None) -> Updates:
    """The settings of a PNG that was made here, in all controls."""
    from ..images import read_settings

    with friendly():
        if file is None:
            raise StyleTransferError("no file was given: drop a PNG that was made here")
        metadata = read_settings(file)
        config, changes = from_png(metadata, handlers.server.limits)
    blend = metadata.get("blend", 0)
    blend = blend if isinstance(blend, (int, float)) and 0 <= blend <= 100 else 0
    text = f"The settings are back: {changes}." if changes else "The settings are back."
    return {**handlers.fill(config, blend), handlers.parts.state: status(text)}


def from_query(handlers: Handlers, query: Mapping[str, str], bundled: Bundled) -> Updates:
    """The pictures and settings of an address, in all controls."""
    pictures, recipe, config, ignored = chosen(query, bundled, handlers.server.limits)
    text = f"{HINT} Not understood in the address: {', '.join(ignored)}." if ignored else HINT
    settings = handlers.fill(config, recipe=recipe)
    return {**settings, **pair(handlers, pictures, bundled), handlers.parts.state: status(text)}


def chosen(query: Mapping[str, str], bundled: Bundled, limits: Limits) -> tuple[dict[str, str], str, Config, list[str]]:
    """From an address: files of bundled pictures, the recipe, the settings, and the names that were not understood."""
    query, pictures, ignored = dict(query), {}, []
    for name, entries in (("content", bundled["photos"]), ("style", bundled["styles"])):
        if name in query:
            files = {entry.get("name"): entry["file"] for entry in entries}
            if (value := query.pop(name)) in files:
                pictures[name] = files[value]
            else:
                ignored.append(name)
    recipe, config, others = from_address(query, limits)
    return pictures, recipe, config, [*ignored, *others]


def pair(handlers: Handlers, pictures: Mapping[str, str], bundled: Bundled) -> Updates:
    """Content, style, and the finished picture of the two if it is bundled."""
    if not pictures:
        return {}
    first: Mapping[str, str] = next(iter(bundled["results"]), {})
    content, style = (pictures.get(name, first.get(name)) for name in ("content", "style"))
    results = {(entry["content"], entry["style"]): entry["file"] for entry in bundled["results"]}
    parts = handlers.parts
    shown = content, results.get((content or "", style or ""), content)
    return {parts.content: content, parts.styles[0]: style, parts.result: shown}
