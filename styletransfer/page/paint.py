"""The Paint tab: its components from top to bottom, and the handlers of their events."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import gradio as gr

from ..recipes import RECIPES
from ..studio.job import COLORS, MAX_STYLES
from ..studio.server import Limits, Server
from . import look
from .controls import (
    EXPERT,
    GROUPS,
    QUALITIES,
    QUALITY,
    Bundled,
    chooser,
    control,
    setter,
    slider,
    strip,
    thumbnails,
)
from .errors import friendly
from .handlers import HINT, Handlers, save
from .inputs import Canvas, Picture
from .parts import AT_ONCE, PRIVATE, Parts, Updates, Values
from .visit import BEGIN, stop, wire_task

SOURCES: Any = ["upload", "clipboard", "webcam"]
BRUSHES = ("Pink", "Blue", "Amber", "Green")
FILES = {"png": "Save PNG", "jpg": "Save JPEG", "webp": "Timelapse"}


def paint_tab(server: Server, bundled: Bundled, key: Any) -> Handlers:
    """Lay the tab out and wire it up."""
    examples = bundled["results"]
    first: Mapping[str, str] = next(iter(examples), {})
    parts = Parts()
    parts.key, parts.controls = key, {}
    handlers = Handlers(server, parts)
    with gr.Row():
        with gr.Column(scale=4, min_width=320, elem_id="inputs"):
            lay_pictures(parts, bundled, first)
            lay_choices(parts, server.limits)
            lay_mix(parts, bundled["styles"])
            lay_regions(parts, server.limits)
        with gr.Column(scale=7, min_width=320, elem_id="output"):
            lay_result(handlers, first)
            lay_examples(parts, examples)
            lay_command(parts)
    lay_expert(handlers)
    wire_runs(handlers)
    outputs = [*parts.shown, parts.content, *parts.styles, *parts.settings]
    parts.visit.select(handlers.bring_back, key, outputs, **PRIVATE)
    return handlers


# --- what is asked for


def lay_pictures(parts: Parts, bundled: Bundled, first: Mapping[str, str]) -> None:
    photos = bundled["photos"]
    before = first.get("content", photos[0]["file"] if photos else None)
    options: Any = {"type": "filepath", "height": 150, "buttons": []}
    parts.content = Picture(before, label="Picture", elem_id="content", sources=SOURCES, **options)
    strip = thumbnails(photos, "photos", "Pictures to try")
    strip.select(chooser(photos), None, parts.content, **AT_ONCE)
    style = Picture(first.get("style"), label="Style", elem_id="style", sources=SOURCES[:2], **options)
    parts.styles = [style]
    strip = thumbnails(bundled["styles"], "styles", "Styles to try")
    strip.select(chooser(bundled["styles"]), None, style, **AT_ONCE)


def lay_choices(parts: Parts, limits: Limits) -> None:
    controls = parts.controls
    controls["strength"] = slider("strength", limits, label="Strength", minimum=0, step=1)
    controls["style_scale"] = slider("style_scale", limits, label="Brush size", minimum=0.25, step=0.05)
    choices = [(quality.title(), quality) for quality in QUALITIES]
    parts.quality = gr.Radio(choices, value="balanced", label="Quality", elem_id="quality")
    controls["size"] = slider("size", limits, label="Size", minimum=128, step=32)
    with gr.Row(elem_id="go"):
        parts.run = gr.Button("Paint", variant="primary", elem_id="run")
        parts.stop = gr.Button("Stop", variant="stop", elem_id="stop", visible=False)
    with gr.Row():
        controls["network"] = control("network", limits, label="Network", info=None, min_width=150)
        controls["seed"] = control("seed", limits, label="Seed", info=None, min_width=110)
        random = gr.Button("Random", size="sm", elem_id="random", min_width=80, scale=0)
    random.click(None, None, controls["seed"], js=look.RANDOM)
    parts.network_line = gr.HTML("<p>&nbsp;</p>", elem_id="network-line", elem_classes="hint")


def lay_mix(parts: Parts, styles: Sequence[Mapping[str, str]]) -> None:
    """Up to three more styles, and the share of each."""

    def add_style(values: Values, event: gr.SelectData) -> Updates:
        """Into the first slot that is free, or the last."""
        slot = next((slot for slot in parts.styles[1:] if not values[slot]), parts.styles[-1])
        return {slot: styles[event.index]["file"]}

    parts.shares = []
    with gr.Accordion("Mix with other styles", open=False, elem_id="mix"):
        with gr.Row():
            for number in range(2, MAX_STYLES + 1):
                options: Any = {"type": "filepath", "height": 110, "buttons": [], "min_width": 90}
                name = f"style{number}"
                parts.styles.append(Picture(label=f"Style {number}", elem_id=name, sources=["upload"], **options))
        strip = thumbnails(styles, "more-styles", "Styles to add")
        gr.HTML("<p>A click adds a style. How much of each:</p>", elem_classes="hint")
        with gr.Row():
            for number in range(1, MAX_STYLES + 1):
                share = gr.Slider(0, 100, 50, step=1, label=f"Style {number}", min_width=140, buttons=[])
                share.elem_id = f"share{number}"
                parts.shares.append(share)
    strip.select(add_style, set(parts.styles[1:]), parts.styles[1:], **AT_ONCE)


def lay_regions(parts: Parts, limits: Limits) -> None:
    """A brush for each style, over the photograph."""

    def background(content: str | None, is_open: bool) -> Any:
        """The photograph in small, to paint on."""
        if content is None or not is_open:
            return None
        from ..studio.kept import sheet

        with friendly():
            return sheet(content, limits.pixels)

    is_open = gr.State(False)
    with gr.Accordion("Regions", open=False, elem_id="regions") as regions:
        legend = " ".join(
            f'<span class="brush" style="color:{color}"></span>{name}: style {number} &nbsp;'
            for number, (name, color) in enumerate(zip(BRUSHES, COLORS), 1)
        )
        gr.HTML(f"<p>Paint where each style goes. {legend}</p>", elem_classes="hint")
        parts.canvas = Canvas(
            type="filepath",
            label="Where each style goes",
            show_label=False,
            elem_id="canvas",
            sources=(),
            transforms=(),
            layers=False,
            buttons=[],
            height=380,
            brush=gr.Brush(default_size=40, colors=list(COLORS), default_color=COLORS[0], color_mode="fixed"),
            eraser=gr.Eraser(default_size=40),
        )
        choices = [("The photograph", "photograph"), ("Style 1", "first")]
        parts.rest = gr.Radio(choices, value="photograph", label="What is not painted over", elem_id="rest")
    opened = regions.expand(lambda: True, None, is_open, **AT_ONCE)
    one_at_a_time: Any = {"concurrency_id": "sheet", "concurrency_limit": 1, **PRIVATE}  # each decodes a whole picture
    for event in (opened.then, parts.content.change):
        event(background, [parts.content, is_open], parts.canvas, **one_at_a_time)


def lay_expert(handlers: Handlers) -> None:
    """All other settings, and what Quality and recipe set of them."""
    parts, controls = handlers.parts, handlers.parts.controls
    with gr.Accordion("Expert", open=False, elem_id="expert"):
        parts.recipe = gr.Dropdown(
            list(RECIPES), value="balanced", label="recipe", info="sets all that follows", elem_id="recipe"
        )
        for name in EXPERT:
            if name in GROUPS:
                gr.Markdown(f"#### {GROUPS[name]}")
            controls[name] = control(name, handlers.server.limits)
    names = ("network", *EXPERT)
    parts.quality.input(None, parts.quality, [controls[name] for name in QUALITY], js=setter(QUALITIES, QUALITY))
    filled = parts.recipe.input(None, parts.recipe, [controls[name] for name in names], js=setter(list(RECIPES), names))
    for event in (filled.then, controls["network"].input):
        event(handlers.network_line, controls["network"], parts.network_line, **AT_ONCE)


# --- the result


def lay_result(handlers: Handlers, first: Mapping[str, str]) -> None:
    parts, before = handlers.parts, first.get("content")
    parts.result = gr.ImageSlider(
        (before, first.get("file", before)),
        slider_position=30,
        max_height=640,
        show_label=False,
        label="Before and after",
        interactive=False,
        buttons=["fullscreen"],
        type="filepath",
        elem_id="result",
    )
    parts.state = gr.HTML(look.status(HINT), elem_id="status", elem_classes="status")
    with gr.Row(elem_id="after"):
        disabled: Any = {"interactive": False, "size": "md", "min_width": 90}
        parts.more = gr.Button("Continue", elem_id="more", **disabled)
        parts.finer = gr.Button("Finer", elem_id="finer", **disabled)
        parts.keep = {kind: gr.Button(label, elem_id=f"keep-{kind}", **disabled) for kind, label in FILES.items()}
        file = gr.File(visible="hidden", elem_id="file")
    for kind, button in parts.keep.items():
        made = button.click(save(kind), parts.key, file, concurrency_limit=2, **PRIVATE)
        made.success(None, file, None, js=look.FETCH)
    with gr.Row():
        choices = [("Of the style", "style"), ("Of the picture", "content"), ("Matched", "match")]
        color = gr.Radio(choices, value="style", label="Colours", elem_id="color", scale=3, min_width=300)
        parts.blend = gr.Slider(
            0, 100, 0, step=1, label="Blend with the photo", elem_id="blend", scale=2, min_width=220, buttons=[]
        )
    parts.controls["color"] = color
    for event in (color.input, parts.blend.release):
        event(handlers.tint, [parts.key, color, parts.blend], parts.result, **PRIVATE)
    parts.visit = strip([], "visit", "Results of this visit", visible=False)
    parts.curve = gr.HTML(elem_id="curve")


def lay_examples(parts: Parts, examples: Sequence[Mapping[str, str]]) -> None:
    def choose(event: gr.SelectData) -> Updates:
        entry = examples[event.index]
        result = entry["content"], entry["file"]
        return {parts.content: entry["content"], parts.styles[0]: entry["style"], parts.result: result}

    gr.HTML("<p>Or try one of these:</p>", elem_id="try", visible=bool(examples))
    pairs = thumbnails(examples, "pairs", "Examples")
    pairs.select(choose, None, [parts.content, parts.styles[0], parts.result], **AT_ONCE)


def lay_command(parts: Parts) -> None:
    with gr.Accordion("Settings", open=False, elem_id="settings"):
        parts.command = gr.Code(
            "",
            language="shell",
            interactive=False,
            show_label=False,
            lines=2,
            max_lines=6,
            wrap_lines=True,
            elem_id="command",
        )
        parts.restore = gr.File(
            label="Drop a PNG that was made here: its settings come back",
            file_types=[".png"],
            height=150,
            elem_id="restore",
        )


# --- runs


def wire_runs(handlers: Handlers) -> None:
    """Paint, Continue and Finer: one Stop stops all of them, and what comes after them is the same."""
    parts = handlers.parts
    wire_run(handlers, parts.run.click, handlers.run, parts.inputs)
    wire_run(handlers, parts.more.click, handlers.more, parts.key)
    wire_run(handlers, parts.finer.click, handlers.finer, parts.key)
    parts.run.click(None, js=look.SHOW)
    parts.stop.click(stop("paint"), parts.key, None, **AT_ONCE)


def wire_run(handlers: Handlers, trigger: Callable[..., Any], begin: Callable[..., Updates], inputs: Any) -> None:
    """Have an event start a run, follow it, and finish."""
    parts = handlers.parts
    begun = trigger(begin, inputs, [parts.key, *parts.buttons, parts.state], **BEGIN)
    wire_task(parts.key, begun.success, handlers.follow, handlers.finish, parts.seen, parts.shown)
