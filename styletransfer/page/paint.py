"""The Paint tab: its parts from top to bottom, and what they are wired to."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import gradio as gr

from ..recipes import RECIPES
from ..studio.request import COLORS, MAX_STYLES
from . import handlers, look
from .controls import (
    EXPERT,
    GROUPS,
    MAIN,
    QUALITIES,
    QUALITY,
    chooser,
    control,
    setter,
    slider,
    strip,
    thumbnails,
)
from .inputs import Canvas, Picture

PRIVATE: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
AT_ONCE: dict[str, Any] = {"queue": False, **PRIVATE}
HEAVY: dict[str, Any] = {"concurrency_limit": 1, "concurrency_id": "paint"}
SOURCES: Any = ["upload", "clipboard", "webcam"]
BRUSHES = ("Pink", "Blue", "Amber", "Green")

Bundled = Mapping[str, Sequence[Mapping[str, str]]]


class Parts(SimpleNamespace):
    """The tab's components by name; `controls` are those of Config's fields, `given` the inputs of a run."""

    controls: dict[str, Any]
    given: list[Any]


def paint_tab(bundled: Bundled, key: gr.State) -> Parts:
    """Lay the tab out and wire it up."""
    pairs = examples_of(bundled)
    first: Mapping[str, str] = next(iter(pairs), {})
    parts = Parts(key=key, controls={})
    with gr.Row():
        with gr.Column(scale=4, min_width=320, elem_id="inputs"):
            lay_pictures(parts, bundled, first)
            lay_choices(parts)
            lay_mix(parts, bundled["styles"])
            lay_regions(parts)
        with gr.Column(scale=7, min_width=320, elem_id="output"):
            lay_result(parts, first)
            gr.HTML("<p>Or try one of these:</p>", elem_id="try", visible=bool(pairs))
            parts.pairs = thumbnails(pairs, "pairs", "Examples")
            lay_command(parts)
    lay_expert(parts)
    parts.given = [
        parts.content, *parts.styles, *parts.shares, parts.canvas, parts.rest, parts.blend,
        *(parts.controls[name] for name in MAIN + EXPERT),
    ]  # fmt: skip
    wire_pickers(parts, bundled, pairs)
    wire_controls(parts)
    wire_work(parts)
    wire_result(parts)
    return parts


def examples_of(bundled: Bundled) -> list[Mapping[str, str]]:
    """The finished pairs, then those that are still to be painted."""
    painted = {(entry["content"], entry["style"]) for entry in bundled["results"]}
    return [*bundled["results"], *(e for e in bundled["pairs"] if (e["content"], e["style"]) not in painted)]


# --- what is asked for


def lay_pictures(parts: Parts, bundled: Bundled, first: Mapping[str, str]) -> None:
    photos = bundled["photos"]
    before = first.get("content", photos[0]["file"] if photos else None)
    options: Any = {"type": "filepath", "height": 150, "buttons": []}
    parts.content = Picture(before, label="Picture", elem_id="content", sources=SOURCES, **options)
    parts.photos = thumbnails(photos, "photos", "Pictures to try")
    style = Picture(first.get("style"), label="Style", elem_id="style", sources=SOURCES[:2], **options)
    parts.styles = [style]
    parts.paintings = thumbnails(bundled["styles"], "styles", "Styles to try")


def lay_choices(parts: Parts) -> None:
    controls = parts.controls
    controls["strength"] = slider("strength", "Strength", 0, 1)
    controls["style_scale"] = slider("style_scale", "Brush size", 0.25, 0.05)
    ways = [(quality.title(), quality) for quality in QUALITIES]
    parts.quality = gr.Radio(ways, value="balanced", label="Quality", elem_id="quality")
    controls["size"] = slider("size", "Size", 128, 32)
    with gr.Row(elem_id="go"):
        parts.run = gr.Button("Paint", variant="primary", elem_id="run")
        parts.stop = gr.Button("Stop", variant="stop", elem_id="stop", visible=False)
    with gr.Row():
        controls["network"] = control("network", label="Network", info=None, min_width=150)
        controls["seed"] = control("seed", label="Seed", info=None, min_width=110)
        parts.random = gr.Button("Random", size="sm", elem_id="random", min_width=80, scale=0)
    parts.network_line = gr.HTML("<p>&nbsp;</p>", elem_id="network-line", elem_classes="hint")


def lay_mix(parts: Parts, styles: Sequence[Mapping[str, str]]) -> None:
    """Up to three more styles, and the share of each."""
    parts.shares = []
    with gr.Accordion("Mix with other styles", open=False, elem_id="mix"):
        with gr.Row():
            for number in range(2, MAX_STYLES + 1):
                options: Any = {"type": "filepath", "height": 110, "buttons": [], "min_width": 90}
                name = f"style{number}"
                parts.styles.append(Picture(label=f"Style {number}", elem_id=name, sources=["upload"], **options))
        parts.more_paintings = thumbnails(styles, "more-styles", "Styles to add")
        gr.HTML("<p>A click adds a style. How much of each:</p>", elem_classes="hint")
        with gr.Row():
            for number in range(1, MAX_STYLES + 1):
                share = gr.Slider(0, 100, 50, step=1, label=f"Style {number}", min_width=140, buttons=[])
                share.elem_id = f"share{number}"
                parts.shares.append(share)


def lay_regions(parts: Parts) -> None:
    """A brush for each style, over the photograph."""
    with gr.Accordion("Regions", open=False, elem_id="regions") as parts.regions:
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
        ways = [("The photograph", "photograph"), ("Style 1", "first")]
        parts.rest = gr.Radio(ways, value="photograph", label="What is not painted over", elem_id="rest")
    parts.regions_open = gr.State(False)


def lay_expert(parts: Parts) -> None:
    with gr.Accordion("Expert", open=False, elem_id="expert"):
        parts.recipe = gr.Dropdown(
            list(RECIPES), value="balanced", label="recipe", info="sets all that follows", elem_id="recipe"
        )
        for name in EXPERT:
            if name in GROUPS:
                gr.Markdown(f"#### {GROUPS[name]}")
            parts.controls[name] = control(name)


# --- what comes of it


def lay_result(parts: Parts, first: Mapping[str, str]) -> None:
    before = first.get("content")
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
    parts.state = gr.HTML(look.status(handlers.HINT), elem_id="status", elem_classes="status")
    with gr.Row(elem_id="after"):
        off: Any = {"interactive": False, "size": "md", "min_width": 90}
        parts.more = gr.Button("Continue", elem_id="more", **off)
        parts.finer = gr.Button("Finer", elem_id="finer", **off)
        parts.keep = [
            gr.Button(label, elem_id=f"keep-{kind}", **off)
            for label, kind in zip(("Save PNG", "Save JPEG", "Timelapse"), handlers.KINDS)
        ]
        parts.file = gr.File(visible="hidden", elem_id="file")
    with gr.Row():
        ways = [("Of the style", "style"), ("Of the picture", "content"), ("Matched", "match")]
        parts.controls["color"] = gr.Radio(
            ways, value="style", label="Colours", elem_id="color", scale=3, min_width=300
        )
        parts.blend = gr.Slider(
            0, 100, 0, step=1, label="Blend with the photo", elem_id="blend", scale=2, min_width=220, buttons=[]
        )
    parts.visit = strip([], "visit", "Results of this visit", visible=False)
    parts.curve = gr.HTML(elem_id="curve")


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


# --- what is wired to what


def wire_pickers(parts: Parts, bundled: Bundled, pairs: Sequence[Mapping[str, str]]) -> None:
    def choose_pair(event: gr.SelectData) -> tuple[Any, ...]:
        entry = pairs[event.index]
        pictures = (entry["content"], entry["file"]) if "file" in entry else gr.skip()
        return entry["content"], entry["style"], pictures

    def add(second: Any, third: Any, fourth: Any, event: gr.SelectData) -> list[Any]:
        """Into the first slot that is free, or the last."""
        slot = next((number for number, style in enumerate((second, third)) if not style), 2)
        return [bundled["styles"][event.index]["file"] if number == slot else gr.skip() for number in range(3)]

    def canvas(content: str | None, is_open: bool) -> Any:
        return background(content) if is_open else None

    parts.photos.select(chooser(bundled["photos"]), None, parts.content, **AT_ONCE)
    parts.paintings.select(chooser(bundled["styles"]), None, parts.styles[0], **AT_ONCE)
    parts.more_paintings.select(add, parts.styles[1:], parts.styles[1:], **AT_ONCE)
    parts.pairs.select(choose_pair, None, [parts.content, parts.styles[0], parts.result], **AT_ONCE)
    opened = parts.regions.expand(lambda: True, None, parts.regions_open, **AT_ONCE)
    one: Any = {"concurrency_id": "sheet", "concurrency_limit": 1, **PRIVATE}  # each decodes a whole picture
    opened.then(background, parts.content, parts.canvas, **one)
    parts.content.change(canvas, [parts.content, parts.regions_open], parts.canvas, **one)


def background(content: str | None) -> Any:
    """The photograph in small, to paint on."""
    if content is None:
        return None
    from ..studio.kept import sheet

    with handlers.friendly():
        return sheet(content)


def wire_controls(parts: Parts) -> None:
    controls = parts.controls
    parts.quality.input(None, parts.quality, [controls[name] for name in QUALITY], js=setter(QUALITIES, QUALITY))
    names = ("network", *EXPERT)
    preset = parts.recipe.input(None, parts.recipe, [controls[name] for name in names], js=setter(list(RECIPES), names))
    preset.then(handlers.network_line, controls["network"], parts.network_line, **AT_ONCE)
    controls["network"].input(handlers.network_line, controls["network"], parts.network_line, **AT_ONCE)
    parts.random.click(None, None, controls["seed"], js=look.RANDOM)


def wire_work(parts: Parts) -> None:
    """Paint, Continue and Finer have Stop, and what comes after them, in common."""
    buttons = [parts.run, parts.stop, parts.more, parts.finer, *parts.keep]
    parts.shown = [*buttons, parts.state, parts.result, parts.command, parts.visit]
    works = [
        wire_job(parts, parts.run.click, handlers.run, [parts.key, *parts.given]),
        wire_job(parts, parts.more.click, handlers.more, [parts.key]),
        wire_job(parts, parts.finer.click, handlers.finer, [parts.key]),
    ]
    parts.run.click(None, js=look.SHOW)
    parts.stop.click(None, cancels=works)


def wire_job(parts: Parts, trigger: Callable[..., Any], job: Callable[..., Any], inputs: list[Any]) -> Any:
    visible: Any = {"show_progress": "minimal", "show_progress_on": [parts.state], "api_visibility": "private"}
    buttons = [parts.run, parts.stop, parts.more, parts.finer, *parts.keep]
    begun = trigger(handlers.begin, None, [*buttons, parts.state], **AT_ONCE)
    work = begun.success(job, inputs, [parts.key, parts.result, parts.state, parts.curve], **HEAVY, **visible)
    for end in (work.then, work.failure):  # a stop is followed by both
        end(handlers.finish, parts.key, parts.shown, **AT_ONCE)
    return work


def wire_result(parts: Parts) -> None:
    key, color = parts.key, parts.controls["color"]
    for event in (color.input, parts.blend.release):
        event(handlers.tint, [key, color, parts.blend], parts.result, **PRIVATE)
    for button, kind in zip(parts.keep, handlers.KINDS):
        made = button.click(handlers.keep(kind), key, parts.file, concurrency_limit=2, **PRIVATE)
        made.success(None, parts.file, None, js=look.FETCH)
    filled = [parts.quality, parts.recipe, *parts.shares, *(parts.controls[name] for name in MAIN + EXPERT)]
    parts.filled = filled
    outputs = [*parts.shown, parts.content, *parts.styles, *filled, parts.blend]
    parts.visit.select(handlers.bring_back, key, outputs, **PRIVATE)
