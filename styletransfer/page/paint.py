"""The Paint tab: its components from top to bottom, and the handlers of their events."""

from __future__ import annotations

import html
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import gradio as gr

from ..recipes import RECIPES
from ..studio.job import COLORS
from ..studio.server import Limits, Server
from . import look
from .brushes import PICK_BRUSH, brush_tiles
from .controls import (
    BY_QUALITY,
    BY_RECIPE,
    EXPERT,
    FILTER,
    GROUPS,
    QUALITIES,
    Bundled,
    control,
    slider,
    strip,
    with_recipes,
)
from .errors import friendly
from .handlers import EXAMPLE, FILMS, UNPAINTED, Handlers
from .inputs import Canvas, Slider
from .link import wire_link
from .mix import lay_mix
from .own import lay_own
from .parts import AT_ONCE, PRIVATE, Parts, Updates, Values
from .pictures import lay_examples, lay_pictures, wire_pictures
from .visit import BEGIN, stop
from .words import i18n, said

BRUSH_COLORS: Any = [(color, 0.5) for color in COLORS]  # the photograph shows through
FILES = {"png": "Save", "jpg": "Save JPEG", "webp": "Save timelapse", "mp4": "Save as MP4"}


def paint_tab(server: Server, bundled: Bundled, key: Any) -> Handlers:
    """Lay the tab out and wire it up."""
    first: Mapping[str, str] = next(iter(bundled["results"]), {})
    parts = Parts()
    parts.key, parts.controls, parts.example = key, {}, gr.State(0 if first else None)
    handlers = Handlers(server, parts, bundled)
    with gr.Row(elem_id="paint"):
        with gr.Column(min_width=320, elem_id="inputs"):
            lay_pictures(handlers, first)
            lay_go(parts)
            lay_adjust(parts, server.limits)
            lay_mix(parts, bundled["styles"], server.limits)
            lay_regions(parts, bundled["styles"], server.limits)
        with gr.Column(min_width=320, elem_id="output"):
            lay_result(handlers, first)
    lay_examples(handlers)
    lay_command(parts)
    lay_expert(handlers)
    wire_pictures(handlers)
    wire_link(handlers)
    wire_runs(handlers)
    outputs = [*parts.shown, *parts.pictures, *parts.settings]
    parts.visit.select(handlers.bring_back, key, outputs, **PRIVATE)
    return handlers


# --- what is asked for


def lay_go(parts: Parts) -> None:
    with gr.Row(elem_id="go"):
        parts.run = gr.Button(i18n("Paint"), variant="primary", size="lg", elem_id="run")
        parts.stop = gr.Button(i18n("Stop"), variant="stop", size="lg", elem_id="stop", visible=False)


def lay_adjust(parts: Parts, limits: Limits) -> None:
    controls = parts.controls
    with gr.Accordion(i18n("Adjust"), open=False, elem_id="adjust"):
        parts.own = lay_own(parts)
        controls["strength"] = slider("strength", limits, label=i18n("Strength"), minimum=0, step=1)
        controls["style_scale"] = slider("style_scale", limits, label=i18n("Brush size"), minimum=0.25, step=0.05)
        choices = [(i18n(quality.title()), quality) for quality in QUALITIES]
        parts.quality = gr.Radio(choices, value="balanced", label=i18n("Quality"), elem_id="quality")
        controls["size"] = slider("size", limits, label=i18n("Size"), minimum=128, step=32)
        chime = gr.Checkbox(False, label=i18n("Sound when a picture is done"), elem_id="chime", container=False)
        chime.input(None, chime, None, js=look.KEEP_CHIME)
        parts.chime = chime


def lay_regions(parts: Parts, styles: Sequence[Mapping[str, str]], limits: Limits) -> None:
    """A brush for each style, over the photograph."""

    def background(content: str | None, is_open: bool) -> Any:
        """The photograph in small, to paint on."""
        if content is None or not is_open:
            return None
        from ..studio.kept import sheet

        with friendly():
            return sheet(content, limits.pixels)

    def show_brushes(values: Values) -> str:
        return brush_tiles([values[slot] for slot in parts.styles if values[slot]], styles)

    is_open = gr.State(False)
    with gr.Accordion(i18n("Regions"), open=False, elem_id="regions") as regions:
        gr.HTML(i18n.markup("regions", "<p>Choose a style, and paint where it goes.</p>"), elem_classes="hint")
        brushes = gr.HTML(js_on_load=PICK_BRUSH, elem_id="brushes")
        parts.canvas = Canvas(
            type="filepath",
            label=i18n("Where each style goes"),
            show_label=False,
            elem_id="canvas",
            sources=(),
            transforms=(),
            layers=False,
            buttons=[],
            height=380,
            brush=gr.Brush(default_size=40, colors=BRUSH_COLORS, default_color=BRUSH_COLORS[0], color_mode="fixed"),
            eraser=gr.Eraser(default_size=40),
        )
        choices = [(i18n("The photograph"), "photograph"), (i18n("Style 1"), "first")]
        parts.rest = gr.Radio(choices, value="photograph", label=i18n("Everywhere else"), elem_id="rest")
    gr.on(
        [regions.expand, *(slot.change for slot in parts.styles)], show_brushes, set(parts.styles), brushes, **AT_ONCE
    )
    opened = regions.expand(lambda: True, None, is_open, **AT_ONCE)
    one_at_a_time: Any = {"concurrency_id": "sheet", "concurrency_limit": 1, **PRIVATE}  # each decodes a whole picture
    for event in (opened.then, parts.content.change):
        event(background, [parts.content, is_open], parts.canvas, **one_at_a_time)


def lay_expert(handlers: Handlers) -> None:
    """All other settings, what Quality and recipe set of them, and how the run goes."""
    parts, controls, limits = handlers.parts, handlers.parts.controls, handlers.server.limits
    with gr.Accordion(i18n("Expert"), open=False, elem_id="expert"):
        parts.details = gr.HTML(elem_id="details", elem_classes="hint")
        parts.curve = gr.HTML(elem_id="curve")
        parts.network_line = gr.HTML("<p>&nbsp;</p>", elem_id="network-line", elem_classes="hint")
        parts.recipe = gr.Dropdown(
            list(RECIPES), value="balanced", label=i18n("Recipe"), info=i18n("sets all that follows"), elem_id="recipe"
        )
        controls["network"] = control("network", limits)
        controls["seed"] = control("seed", limits)
        with gr.Row():
            random = gr.Button(i18n("Random seed"), size="sm", elem_id="random", min_width=80, scale=0)
            changed = gr.Checkbox(
                False, label=i18n("Only what differs from the recipe"), elem_id="changed", container=False
            )
        for name in EXPERT:
            if name in GROUPS:
                gr.Markdown(f"### {i18n(GROUPS[name])}")
            controls[name] = control(name, limits)
    given = [changed, parts.recipe, *(controls[name] for name in EXPERT)]
    changed.input(None, given, changed, js=with_recipes(FILTER, EXPERT))
    random.click(None, None, controls["seed"], js=look.RANDOM)
    names, quality, recipe = ("network", *EXPERT), parts.quality, parts.recipe
    filled = [controls[name] for name in names]
    by_quality = quality.input(
        None, [quality, recipe, *filled], [recipe, *filled], js=with_recipes(BY_QUALITY, names, QUALITIES)
    )
    by_recipe = recipe.input(None, recipe, [quality, *filled], js=with_recipes(BY_RECIPE, names))
    for event in (by_quality.then, by_recipe.then, controls["network"].input):
        event(handlers.network_line, controls["network"], parts.network_line, **AT_ONCE)


# --- the result


def lay_result(handlers: Handlers, first: Mapping[str, str]) -> None:
    parts, before = handlers.parts, first.get("content")
    parts.result = gr.ImageSlider(
        (before, first.get("look", before)),
        slider_position=30,
        max_height=640,
        show_label=False,
        label=i18n(handlers.names(before, [first["style"]] if first else ())),
        interactive=False,
        buttons=["fullscreen"],
        type="filepath",
        elem_id="result",
    )
    parts.state = gr.HTML(look.status(i18n(EXAMPLE if first else UNPAINTED)), elem_id="status", elem_classes="status")
    able: Any = {"interactive": bool(first), "min_width": 90}
    with gr.Column(elem_id="after"):
        with gr.Row():
            parts.keep = {"png": gr.Button(i18n(FILES["png"]), elem_id="keep-png", **able)}
            parts.more = gr.Button(i18n("Keep painting"), elem_id="more", **able)
            parts.finer = gr.Button(i18n("Enlarge"), elem_id="finer", **able)
        with gr.Row(elem_id="share"):
            parts.keep["jpg"] = gr.Button(i18n(FILES["jpg"]), size="sm", elem_id="keep-jpg", **able)
            able["interactive"] = False  # a finished example has no pictures of its making
            for kind in FILMS:
                parts.keep[kind] = gr.Button(i18n(FILES[kind]), size="sm", elem_id=f"keep-{kind}", **able)
            able["interactive"] = bool(first)
            parts.copy = gr.Button(i18n("Copy picture"), size="sm", elem_id="copy", **able)
            parts.send = gr.Button(i18n("Share"), size="sm", elem_id="send", **able)
            parts.link = gr.Button(i18n("Copy link"), size="sm", elem_id="link", min_width=90)
        with gr.Row():
            choices = [(i18n("Painting's"), "style"), (i18n("Photo's"), "content"), (i18n("Photo's balance"), "match")]
            color = gr.Radio(choices, value="style", label=i18n("Colours"), elem_id="color", scale=3, min_width=300)
            parts.blend = Slider(
                0,
                100,
                0,
                step=1,
                label=i18n("Blend with the photo"),
                elem_id="blend",
                scale=2,
                min_width=220,
                buttons=[],
            )
    parts.controls["color"] = color
    parts.said = gr.Textbox(visible="hidden")
    wire_result(handlers)
    parts.visit = strip([], "visit", i18n("Results of this visit"), visible=False)


def wire_result(handlers: Handlers) -> None:
    """Files to download, and colours that change without painting again."""
    parts, shown = handlers.parts, [handlers.parts.key, handlers.parts.example]
    file = gr.File(visible="hidden", elem_id="file")
    for kind, button in parts.keep.items():
        made = button.click(handlers.save(kind), shown, [*shown, file], concurrency_limit=2, **PRIVATE)
        made.success(None, file, None, js=look.FETCH)
    for button, script in ((parts.copy, look.COPY), (parts.send, look.SEND)):
        made = button.click(handlers.save("png"), shown, [*shown, file], concurrency_limit=2, **PRIVATE)
        made.success(None, file, parts.said, js=script).then(told, parts.said, None, **PRIVATE)
    color = parts.controls["color"]
    for event in (color.input, parts.blend.release):
        event(handlers.tint, [*shown, color, parts.blend], [*shown, parts.result], **PRIVATE)


def told(sentence: str | None) -> None:
    """Show what the browser answered."""
    if sentence:
        gr.Info(html.escape(said(sentence)), duration=4)


def lay_command(parts: Parts) -> None:
    with gr.Accordion(i18n("Settings"), open=False, elem_id="settings"):
        parts.command = gr.Textbox(
            label=i18n("The same picture from the command line"),
            interactive=False,
            lines=2,
            buttons=["copy"],
            elem_id="command",
        )
        parts.restore = gr.File(
            label=i18n("Drop a PNG that was made here: its settings come back"),
            file_types=["image"],
            height=150,
            elem_id="restore",
        )


# --- runs


def wire_runs(handlers: Handlers) -> None:
    """Paint, Keep painting and Enlarge: one Stop stops all of them, and what comes after them is the same."""
    parts, shown = handlers.parts, [handlers.parts.key, handlers.parts.example]
    wire_run(handlers, parts.run.click, handlers.run, parts.inputs)
    wire_run(handlers, parts.more.click, handlers.more, shown)
    wire_run(handlers, parts.finer.click, handlers.finer, shown)
    parts.run.click(None, js=look.SHOW)
    parts.stop.click(stop("paint"), parts.key, None, **AT_ONCE)


def wire_run(handlers: Handlers, trigger: Callable[..., Any], begin: Callable[..., Updates], inputs: Any) -> None:
    """Have an event start a run, follow it, and finish."""
    parts = handlers.parts
    begun = trigger(begin, inputs, [parts.key, *parts.buttons, parts.state, parts.example], **BEGIN)
    handlers.display.after(begun.success)
