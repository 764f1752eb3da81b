"""Settings that come from outside: those inside a PNG that was made here, and those in the page's address."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import gradio as gr

from ..config import Config, StyleTransferError
from ..studio.job import MAX_STYLES
from ..studio.server import Limits
from ..studio.wording import NAMES, from_address, from_png
from .controls import Bundled
from .errors import friendly
from .handlers import Handlers
from .look import status
from .parts import AT_ONCE, PRIVATE, Updates
from .visit import anew, at_work, visit_of
from .words import listed, said

NAVIGATION = "key => [key, performance.getEntriesByType('navigation')[0]?.type ?? '']"  # `navigate`, `reload`, …
OURS = {"content", "style", "quality", *NAMES}  # many sites add names of their own to their links
REFUSED = "The settings are as they were."


def wire_presets(handlers: Handlers, page: gr.Blocks) -> None:
    """A PNG that is dropped, and the address that the page was opened with, set all controls."""
    parts = handlers.parts

    def restore(key: Any, file: str | None) -> Updates:
        return restored(handlers, file, key)

    again, navigation = gr.Textbox(visible="hidden"), gr.Textbox(visible="hidden")

    def open_page(key: Any, navigation: str, request: gr.Request) -> Any:
        query = {name: value for name, value in (request.query_params or {}).items() if name in OURS}
        followed = anew(again, key, "paint")  # first: a run that ends meanwhile is then seen to have ended
        return {**followed, **opened(handlers, key, query, navigation)} or gr.skip()

    outputs = [*parts.settings, *parts.after, *parts.pictures, parts.restore]
    restoring = parts.restore.upload(restore, [parts.key, parts.restore], outputs, **PRIVATE)
    # In place of an earlier picture's line; the place is emptied, since a filled one takes no other file.
    restoring.failure(lambda: (status(REFUSED), None), None, [parts.state, parts.restore], **AT_ONCE)
    changed = dict.fromkeys([*parts.settings, *parts.after, *parts.pictures, *parts.shown, again])
    page.load(open_page, [parts.key, navigation], list(changed), js=NAVIGATION, **AT_ONCE)
    handlers.display.after(again.change)


def opened(handlers: Handlers, key: Any, query: Mapping[str, str], navigation: str) -> Updates:
    """What a page shows when it is opened: what the visit has, unless a link was followed, or there is nothing yet:
    then what the link asks for. A run at work is shown in any case.
    """
    visit, running = visit_of(key), at_work(key, "paint")
    has_picture = running or (visit is not None and visit.current is not None)
    if not query or (has_picture and navigation != "navigate"):
        return handlers.found(key)
    asked = {**from_query(handlers, query, None if running else key), **handlers.strip(key)}
    return {**asked, **handlers.finish(key)} if running else asked


def restored(handlers: Handlers, file: str | None, key: Any = None) -> Updates:
    """The settings of a PNG that was made here, in all controls, and those of its pictures that are bundled."""
    from ..images import read_settings

    with friendly():
        if file is None:
            raise StyleTransferError("no file was given: drop a PNG that was made here")
        metadata = read_settings(file)
        config, changes = from_png(metadata, handlers.server.limits)
    blend = metadata.get("blend", 0)
    blend = blend if isinstance(blend, (int, float)) and 0 <= blend <= 100 else 0
    parts, content, styles = handlers.parts, *bundled_in(metadata, handlers.bundled)
    updates = {**handlers.fill(config, blend), **brought(handlers, key, content, styles), parts.restore: None}
    if content and styles:
        text = f"The settings and pictures are back: {changes}." if changes else "The settings and pictures are back."
    else:
        text = f"The settings are back: {changes}." if changes else "The settings are back."
    if missing := still_missing(metadata, content, styles):
        text = f"{said(text)} Still to be given: {listed(missing)}."
    return {**updates, parts.state: status(text)}


def bundled_in(metadata: Mapping[str, Any], bundled: Bundled) -> tuple[str | None, list[str]]:
    """The files of the photograph and of all styles of a PNG, if they are bundled; its metadata is not trusted."""
    names = metadata.get("pictures")
    names = names if isinstance(names, Mapping) else {}
    styles = names.get("styles")
    wanted = [names.get("content")], styles if isinstance(styles, list) and len(styles) <= MAX_STYLES else []
    photos, paintings = (
        [file for name in asked for file in (entry["file"] for entry in bundled[kind] if entry["name"] == name)]
        for asked, kind in zip(wanted, ("photos", "styles"))
    )
    return next(iter(photos), None), paintings if len(paintings) == len(wanted[1]) else []


def brought(handlers: Handlers, key: Any, content: str | None, styles: Sequence[str]) -> Updates:
    """The pictures of a PNG in their places; a new photograph is shown unpainted, unless one is being painted."""
    parts, pictures = handlers.parts, dict[Any, str | None]()
    if content:
        pictures[parts.content] = content
    if styles:
        pictures |= dict(zip(parts.styles, [*styles, *[None] * MAX_STYLES]))
    updates = handlers.filled(pictures)
    if content and not at_work(key, "paint"):
        updates |= handlers.unpainted(key, content, styles[0] if len(styles) == 1 else None)
    return updates


def still_missing(metadata: Mapping[str, Any], content: str | None, styles: Sequence[str]) -> list[str]:
    """What a PNG does not bring back, in words; its metadata is not trusted."""
    sizes = metadata.get("sizes")
    listing = sizes.get("styles") if isinstance(sizes, Mapping) else None
    count = len(listing) if isinstance(listing, list) else 1
    missing = [] if content else ["the photograph"]
    if not styles:
        missing.append("the style" if count == 1 else f"the {count} styles")
    return [*missing, "the regions painted on it"] if metadata.get("masked") else missing


def from_query(handlers: Handlers, query: Mapping[str, str], key: Any = None) -> Updates:
    """The pictures and settings of an address, in all controls."""
    pictures, recipe, config, ignored, changes = chosen(query, handlers.bundled, handlers.server.limits)
    updates = {**handlers.fill(config, recipe=recipe), **pair(handlers, pictures, key)}
    texts = [f"Not understood in the address: {', '.join(ignored)}."] if ignored else []
    texts += [f"Changed in the address: {'; '.join(changes)}."] if changes else []
    if texts:
        updates[handlers.parts.state] = status(" ".join(map(said, texts)))
    return updates


def chosen(
    query: Mapping[str, str], bundled: Bundled, limits: Limits
) -> tuple[dict[str, str], str, Config, list[str], list[str]]:
    """From an address: files of bundled pictures, the recipe, the settings, the names that were not understood, and
    what was changed to fit the page's controls.
    """
    query, pictures, ignored = dict(query), {}, []
    for name, entries in (("content", bundled["photos"]), ("style", bundled["styles"])):
        if name in query:
            files = {entry.get("name"): entry["file"] for entry in entries}
            if (value := query.pop(name)) in files:
                pictures[name] = files[value]
            else:
                ignored.append(name)
    recipe, config, others, changes = from_address(query, limits)
    return pictures, recipe, config, [*ignored, *others], changes


def pair(handlers: Handlers, pictures: Mapping[str, str], key: Any = None) -> Updates:
    """Content, style, and the finished picture of the two if it is bundled."""
    if not pictures:
        return {}
    first: Mapping[str, str] = next(iter(handlers.bundled["results"]), {})
    content, style = (pictures.get(name, first.get(name)) for name in ("content", "style"))
    return handlers.pair(key, content, style)
