"""A link that presets the page, and the sentence about what it holds and what it leaves out."""

from __future__ import annotations

import html
import json
from collections.abc import Sequence

import gradio as gr

from ..recipes import RECIPES
from ..studio.wording import as_text
from .controls import EXPERT
from .handlers import Handlers
from .parts import PRIVATE, Values
from .words import listed, said

# The link also becomes the page's own address.
LINK = """async (content, style, strength, brush, size, color, quality) => {
  const names = NAMES, query = new URLSearchParams()
  if (color === 'style') color = null  // as without it
  const values = {content: names[content?.path], style: names[style?.path], strength, brush, size, color, quality}
  for (const [name, value] of Object.entries(values)) if (value != null) query.set(name, value)
  history.replaceState(null, '', `?${query}`)
  try {
    await navigator.clipboard.writeText(location.href)
    return 'The link is copied'
  } catch { return 'The link is in the address bar' }
}"""

MAIN = ("strength", "style_scale", "size", "color")
HELD = ("strength", "brush size", "size", "colours", "quality")


def wire_link(handlers: Handlers) -> None:
    """A click copies the link, and says what is in it."""
    parts, bundled = handlers.parts, handlers.bundled
    names = {entry["look"]: entry["name"] for kind in ("photos", "styles") for entry in bundled[kind]}
    given = [parts.content, parts.styles[0], *(parts.controls[name] for name in MAIN), parts.recipe]
    copied = parts.link.click(None, given, parts.said, js=LINK.replace("NAMES", json.dumps(names)))

    def tell(values: Values) -> None:
        gr.Info(html.escape(said(sentence(values[parts.said], *in_link(handlers, values)))), duration=6)

    expert = [parts.controls[name] for name in ("network", "seed", *EXPERT)]
    copied.then(tell, {*given, *parts.styles, parts.blend, *expert, parts.said}, None, **PRIVATE)


def in_link(handlers: Handlers, values: Values) -> tuple[list[str], list[str]]:
    """What a link holds, and what it leaves out of what there is."""
    parts, bundled, recipe = handlers.parts, handlers.bundled, RECIPES[values[handlers.parts.recipe] or "balanced"]
    places = (
        (parts.content, "photos", "the photograph", "your own photograph"),
        (parts.styles[0], "styles", "the style", "your own style"),
    )
    holds, lacks = list[str](), list[str]()
    for slot, kind, ours, own in places:
        if values[slot] in [entry["file"] for entry in bundled[kind]]:
            holds.append(ours)
        elif values[slot]:
            lacks.append(own)
    if any(values[slot] for slot in parts.styles[1:]):
        lacks.append("the other styles of the mix")
    if values[parts.blend]:
        lacks.append("the blend with the photo")
    if any(values[parts.controls[name]] != as_text(getattr(recipe, name)) for name in ("network", "seed", *EXPERT)):
        lacks.append("what was changed in Expert")
    return [*holds, *HELD], lacks


def sentence(where: str, holds: Sequence[str], lacks: Sequence[str]) -> str:
    if lacks:
        return f"{where}: it holds {listed(holds)}; left out: {listed(lacks)}."
    return f"{where}: it holds {listed(holds)}."
