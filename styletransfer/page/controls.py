"""Controls made from Config's own fields, and pickers of bundled pictures."""

from __future__ import annotations

import html
import json
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

import gradio as gr

from ..recipes import RECIPES
from ..studio.server import Limits
from ..studio.wording import FIELDS, as_text
from .inputs import Number, Slider
from .words import i18n, said

Bundled = Mapping[str, Sequence[Mapping[str, str]]]  # `photos`, `styles`, `pairs` and `results`, each with its entries

MAIN = ("strength", "style_scale", "size", "network", "seed", "color")
LEFT_OUT = ("weights", "device", "style_weights")  # the server decides the first two; Mix sets the third
EXPERT = tuple(name for name in FIELDS if name not in MAIN + LEFT_OUT)
GROUPS = {"pooling": "Network", "content_layers": "Losses", "style_fit": "Style picture", "scales": "Course"}
QUALITIES = ("draft", "balanced", "best")
QUALITY = tuple(name for name in EXPERT if len({getattr(RECIPES[quality], name) for quality in QUALITIES}) > 1)


def control(name: str, limits: Limits, **options: Any) -> Any:
    """The control of a field of Config, made from the field itself."""
    rule, default = FIELDS[name].metadata, FIELDS[name].default
    label = name.replace("tv", "total variation").replace("_", " ").capitalize()
    options = {"label": i18n(label), "info": i18n(rule["help"]), "elem_id": name, **options}
    if rule["choices"]:
        return gr.Dropdown(list(rule["choices"]), value=default, **options)
    if isinstance(default, bool):
        return gr.Checkbox(default, **options)
    if isinstance(default, tuple):
        return gr.Textbox(as_text(default), **options)
    highest = min(rule["high"], getattr(limits, name, 2**53))  # JavaScript's largest whole number
    options = {"minimum": rule["low"], "maximum": highest, **options}
    return Number(default, precision=0 if isinstance(default, int) else None, **options)


def slider(name: str, limits: Limits, **options: Any) -> Slider:
    """The slider of a field of Config; options give its label, its step and the lowest value that is useful."""
    high, default = getattr(limits, name, FIELDS[name].metadata["high"]), FIELDS[name].default
    return Slider(maximum=high, value=default, elem_id=name, buttons=[], **options)


# The browser is never too late for a click on Paint. A quality is the recipe of its name; of another quality, what was
# changed in Expert stays.
BY_RECIPE = "recipe => [QUALITIES.includes(recipe) ? recipe : null, ...RECIPES[recipe]]"
BY_QUALITY = """(quality, recipe, ...values) => {
  const all = !QUALITIES.includes(recipe), wanted = RECIPES[quality]
  return [quality, ...FIELDS.map((field, number) => all || TELLING.includes(field) ? wanted[number] : values[number])]
}"""
# Hides the controls that are as the recipe has them.
FILTER = """(only, recipe, ...values) => {
  const wanted = RECIPES[recipe] ?? []
  FIELDS.forEach((field, number) => {
    const same = only && String(wanted[number]) === String(values[number])
    document.getElementById(field)?.classList.toggle('same', same)
  })
  return only
}"""


def with_recipes(text: str, names: Sequence[str], recipes: Sequence[str] = tuple(RECIPES)) -> str:
    """JavaScript with what it is about: the values that each recipe has of these fields."""
    rows = {recipe: [as_text(getattr(RECIPES[recipe], field)) for field in names] for recipe in recipes}
    lists = {"RECIPES": rows, "FIELDS": names, "QUALITIES": QUALITIES, "TELLING": QUALITY}
    for word, value in lists.items():
        text = text.replace(word, f"({json.dumps(value)})")
    return text


# --- pictures


def load_examples(folder: Path) -> dict[str, list[dict[str, str]]]:
    """The bundled pictures by kind, with absolute paths; entries whose files are missing are left out.

    `small`, `look`: a thumbnail and a copy to look at, or the file itself.
    """
    listed: dict[str, Any] = {}
    with suppress(OSError, ValueError):
        listed = json.loads((folder / "examples.json").read_text(encoding="utf-8"))
    bundled: dict[str, list[dict[str, str]]] = {"photos": [], "styles": [], "results": []}
    for kind, entries in bundled.items():
        for entry in listed.get(kind, []):
            paths = {key: str(folder / entry[key]) for key in ("file", "content", "style") if key in entry}
            if all(os.path.isfile(path) for path in paths.values()):
                small = folder / "small" / Path(entry["file"]).stem
                copies = {"small": f"{small}.webp", "look": f"{small}-look.webp"}
                shown = {key: copy if os.path.isfile(copy) else paths["file"] for key, copy in copies.items()}
                entries.append({**entry, **paths, **shown})
    return bundled


def thumbnails(entries: Sequence[Mapping[str, str]], name: str, label: str, chosen: int = -1) -> gr.HTML:
    """Named pictures to choose from, in rows that wrap; the value is the number of the one that is marked, -1: none."""
    for text in (label, *map(title_of, entries), *(entry["alt"] for entry in entries if "alt" in entry)):
        i18n(text)  # which the browser puts in
    tiles = "".join(
        f'<button type="button" value="{number}" title="{html.escape(entry.get("alt", ""))}">'
        f'<img src="gradio_api/file={quote(entry["small"])}" alt="" width="160" height="120">'
        f"<span>{html.escape(title_of(entry))}</span></button>"
        for number, entry in enumerate(entries)
    )
    return gr.HTML(
        chosen,
        html_template=f'<div class="tiles" role="group" aria-label="{html.escape(label)}">{tiles}</div>',
        js_on_load=TILES,
        elem_id=name,
        visible=bool(entries),
    )


# A click is a `select` event with the number of the tile; the value marks one.
TILES = """
  const words = gradio_config.i18n_translations?.[document.documentElement.lang] ?? {}
  const say = text => words[text] ?? text
  for (const tile of element.querySelectorAll('button')) {
    const name = tile.querySelector('span')
    name.textContent = say(name.textContent)
    tile.title = say(tile.title)
  }
  const group = element.querySelector('[role=group]')
  group.ariaLabel = say(group.ariaLabel)
  const mark = () => {
    for (const tile of element.querySelectorAll('button')) tile.setAttribute('aria-pressed', tile.value == props.value)
  }
  element.addEventListener('click', event => {
    const tile = event.target.closest('button')
    if (tile) trigger('select', {index: Number(tile.value), value: tile.value})
  })
  watch('value', mark)
  mark()
"""


def marker(entries: Sequence[Mapping[str, str]]) -> str:
    """JavaScript that finds the number of a picture among the bundled ones, by the file that is shown of it."""
    return f"picture => {json.dumps([entry['look'] for entry in entries])}.indexOf(picture?.path)"


def title_of(entry: Mapping[str, str]) -> str:
    """The name of a bundled picture; of a result, the names of its two."""
    return entry.get("title") or " · ".join(Path(entry[key]).stem.title() for key in ("content", "style"))


def name_of(file: str, entries: Sequence[Mapping[str, str]]) -> str:
    """The title of a bundled picture, or the name of an uploaded file."""
    titles = {entry["file"]: entry["title"] for entry in entries}
    return titles.get(file) or os.path.basename(file)


def described(bundled: Bundled, content: str | None, styles: Sequence[str] = ()) -> str:
    """What a screen reader says of a picture that was painted of these files, or of a photograph alone."""
    photograph = name_of(content, bundled["photos"]) if content else ""
    names = said(" and ").join(said(name_of(style, bundled["styles"])) for style in styles)
    return f"{photograph}, painted in the style of {names}" if names else photograph


def strip(pictures: Any, name: str, label: str, **options: Any) -> gr.Gallery:
    """Small pictures in rows that wrap."""
    plain: Any = {"show_label": False, "allow_preview": False, "interactive": False, "buttons": [], "height": "auto"}
    return gr.Gallery(pictures, label=label, elem_id=name, elem_classes="strip", **plain, **options)


def chooser(entries: Sequence[Mapping[str, str]]) -> Callable[..., str]:
    """A handler that returns the file of the picture clicked: by its number, since a path could name any file."""

    def choose(event: gr.SelectData) -> str:
        return entries[int(event.index)]["file"]

    return choose
