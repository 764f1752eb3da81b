"""The places for pictures: bundled ones to choose from, uploads, and finished examples."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import gradio as gr

from .controls import marker, thumbnails
from .errors import friendly, sorry
from .handlers import BUSY, Handlers
from .inputs import Picture
from .look import says
from .parts import AT_ONCE, PRIVATE, Parts, Updates, Values
from .visit import at_work, visit_of
from .words import i18n, said

SOURCES: Any = ["upload", "clipboard", "webcam"]
UNSHOWN = "Most browsers cannot show a TIFF in this place; it has been read, and will be painted."


def lay_pictures(handlers: Handlers, first: Mapping[str, str]) -> None:
    """The photograph and the style, each with bundled ones beside it."""
    parts, bundled = handlers.parts, handlers.bundled
    photos, styles = bundled["photos"], bundled["styles"]
    content = first.get("content", photos[0]["file"] if photos else None)
    parts.good, parts.says, parts.tiles = {}, {}, {}
    parts.content = lay_picture(parts, "content", "Photo", content, SOURCES, photos)
    parts.styles = [lay_picture(parts, "style", "Style", first.get("style"), SOURCES[:2], styles)]


def lay_picture(
    parts: Parts, name: str, label: str, file: str | None, sources: Any, entries: Sequence[Mapping[str, str]]
) -> Picture:
    """A place for a picture, with a line for what is wrong with an upload, and the bundled pictures."""
    files = [entry["file"] for entry in entries]
    with gr.Row(elem_classes="choice"):
        with gr.Column(min_width=120):
            options: Any = {"type": "filepath", "height": 192, "buttons": []}
            picture = Picture(file, label=i18n(label), elem_id=name, sources=sources, **options)
            parts.says[picture] = gr.HTML(elem_id=f"{name}-says", elem_classes="says")
        chosen = files.index(file) if file in files else -1
        with gr.Column(min_width=120):
            parts.tiles[picture] = thumbnails(
                entries, f"{'photo' if name == 'content' else name}s", f"{label}s", chosen
            )
    parts.good[picture] = gr.State(file)
    return picture


def wire_pictures(handlers: Handlers) -> None:
    """A tile that is clicked and a file that is uploaded go into their place; the tile of what is there is marked."""
    parts, bundled = handlers.parts, handlers.bundled
    outputs = [*parts.after, *parts.pictures]
    for slot, entries in ((parts.content, bundled["photos"]), (parts.styles[0], bundled["styles"])):
        tiles, given = parts.tiles[slot], {parts.key, *parts.pictures}
        tiles.select(choose(handlers, slot, entries), given, outputs, **AT_ONCE)
        slot.upload(take(handlers, slot), given, outputs, **PRIVATE)
        slot.change(None, slot, tiles, js=marker(entries))


def lay_examples(handlers: Handlers) -> None:
    parts, examples = handlers.parts, handlers.bundled["results"]
    gr.HTML(i18n.markup("try", "<h2>Finished examples</h2>"), elem_id="try", visible=bool(examples))
    pairs = thumbnails(examples, "pairs", "Finished examples")
    outputs = [*parts.after, *parts.pictures]

    def show(key: Any, event: gr.SelectData) -> Updates:
        return show_example(handlers, int(event.index), key)

    pairs.select(show, parts.key, outputs, **PRIVATE)


# --- what happens


def choose(handlers: Handlers, slot: Any, entries: Sequence[Mapping[str, str]]) -> Callable[..., Updates]:
    """A handler that puts a bundled picture into a slot: by its number, since a path could name any file."""

    def choose(values: Values, event: gr.SelectData) -> Updates:
        return put(handlers, {**values, slot: entries[int(event.index)]["file"]}, slot)

    return choose


def take(handlers: Handlers, slot: Any) -> Callable[..., Updates]:
    """A handler of an upload into a slot: one that cannot be read gives way to the picture that was there."""

    def take(values: Values) -> Updates:
        from ..studio.kept import photograph, sheet

        if values[slot] is None:
            return {}
        limits, file = handlers.server.limits, values[slot]
        try:
            with friendly():
                is_content = slot is handlers.parts.content
                picture = photograph(file, limits) if is_content else sheet(file, limits.pixels)
        except gr.Error as error:
            return {slot: values[handlers.parts.good[slot]], handlers.parts.says[slot]: says(error.message)}
        is_tiff = values[slot].lower().endswith((".tif", ".tiff"))
        note = {handlers.parts.says[slot]: f"<p>{said(UNSHOWN)}</p>"} if is_tiff else {}
        return {**put(handlers, values, slot, picture), **note}

    return take


def put(handlers: Handlers, values: Values, slot: Any, picture: Any = None) -> Updates:
    """A slot with its new picture; the result shows what has not been painted yet, unless it is being painted."""
    parts = handlers.parts
    updates = handlers.filled({slot: values[slot]})
    visit, content, style = visit_of(values[parts.key]), values[parts.content], values[parts.styles[0]]
    if at_work(values[parts.key], "paint"):
        return updates
    if slot is not parts.content:  # a painted picture stays, and so does an uploaded photograph
        picture = None
        own = content not in [entry["file"] for entry in handlers.bundled["photos"]]
        if own or (visit is not None and visit.current is not None):
            return updates
    return {**updates, **handlers.unpainted(values[parts.key], content, style, picture)}


def show_example(handlers: Handlers, number: int, key: Any) -> Updates:
    """A finished example with its pictures."""
    if at_work(key, "paint"):
        raise sorry(BUSY)
    entry = handlers.bundled["results"][number]
    return handlers.pair(key, entry["content"], entry["style"])
