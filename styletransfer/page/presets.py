"""Settings that come from outside: those inside a picture that was made here, and those in the page's address."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gradio as gr

from .. import studio
from ..config import StyleTransferError
from . import handlers
from .look import status
from .paint import AT_ONCE, PRIVATE, Bundled, Parts, examples_of


def wire_restore(parts: Parts, bundled: Bundled, page: gr.Blocks) -> None:
    """A picture that is dropped, and the address that the page was opened with, set all controls."""
    outputs = [*parts.filled, parts.blend, parts.state, parts.network_line]
    parts.restore.upload(restore, parts.restore, outputs, **PRIVATE)

    def preset(request: gr.Request) -> Any:
        query = dict(request.query_params or {})
        if not query:
            return [gr.skip()] * (len(outputs) + 3)
        pictures, settings, recipe, ignored = chosen(query, bundled)
        text = f"{handlers.HINT} Not understood in the address: {', '.join(ignored)}." if ignored else handlers.HINT
        line = handlers.network_line(settings["network"])
        filled = [*handlers.fill(settings, recipe), 0, status(text), line]
        return [*filled, *shown(pictures, bundled)]

    page.load(preset, None, [*outputs, parts.content, parts.styles[0], parts.result], **AT_ONCE)


def restore(file: str | None) -> list[Any]:
    """The values of all controls, as they were for a PNG that was made here."""
    from ..images import read_settings

    with handlers.friendly():
        if file is None:
            raise StyleTransferError("no file was given: drop a PNG that was made here")
        metadata = read_settings(file)
        config, changed = studio.restored(metadata)
    blend = metadata.get("blend", 0)
    blend = blend if isinstance(blend, (int, float)) and 0 <= blend <= 100 else 0
    text = f"The settings are back: {changed}." if changed else "The settings are back."
    return [*handlers.fill(config.to_dict()), blend, status(text), handlers.network_line(config.network)]


def chosen(query: Mapping[str, str], bundled: Bundled) -> tuple[dict[str, str], dict[str, Any], str, list[str]]:
    """From an address: bundled pictures by name, settings, the recipe, and what was not understood."""
    query, pictures, ignored = dict(query), {}, []
    for name, entries in (("content", bundled["photos"]), ("style", bundled["styles"])):
        if name in query:
            given = query.pop(name)
            found = next((entry["file"] for entry in entries if entry.get("name") == given), None)
            if found:
                pictures[name] = found
            else:
                ignored.append(name)
    recipe, settings, others = studio.preset(query)
    return pictures, settings, recipe, [*ignored, *others]


def shown(pictures: Mapping[str, str], bundled: Bundled) -> list[Any]:
    """Content, style, and the finished picture of the two where there is one."""
    if not pictures:
        return [gr.skip()] * 3
    first: Mapping[str, str] = next(iter(examples_of(bundled)), {})
    content, style = (pictures.get(name, first.get(name)) for name in ("content", "style"))
    for entry in bundled["results"]:
        if (entry["content"], entry["style"]) == (content, style):
            return [content, style, (content, entry["file"])]
    return [content, style, (content, content)]
