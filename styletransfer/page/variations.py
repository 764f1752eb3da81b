"""The Variations tab: a grid of small drafts, strength by brush size; a click on one paints it in full."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import gradio as gr

from ..recipes import RECIPES
from .controls import QUALITY
from .crowd import check_turn
from .errors import friendly
from .handlers import Handlers
from .look import status
from .paint import wire_run
from .parts import AT_ONCE, HEAVY, PRIVATE, Updates, Values

SIZE = 192
STRENGTHS, BRUSHES = (30.0, 50.0, 75.0), (0.5, 1.0, 1.6)
GRID = tuple((strength, brush) for strength in STRENGTHS for brush in BRUSHES)
DRAFT = {**{name: getattr(RECIPES["draft"], name) for name in QUALITY}, "size": SIZE, "iterations": (30, 20, 10)}


def variations_tab(handlers: Handlers, tabs: gr.Tabs) -> None:
    """Lay the tab out and wire it up; pictures and all other settings are those of the Paint tab."""
    gr.HTML(
        "<p>Nine drafts of the picture and style chosen under Paint. Pick one: it is painted in full.</p>",
        elem_classes="hint",
    )
    with gr.Row(elem_id="vary-row"):
        start = gr.Button("Paint nine drafts", variant="primary", elem_id="vary")
        stop = gr.Button("Stop", variant="stop", elem_id="vary-stop", interactive=False)
    state = gr.HTML(status(""), elem_id="vary-status", elem_classes=["status", "hint"])
    grid = gr.Gallery(
        label="Drafts", show_label=False, columns=3, height="auto", allow_preview=False, interactive=False,
        buttons=[], elem_id="grid", object_fit="contain",
    )  # fmt: skip
    paint = handlers.parts

    def buttons(running: bool) -> Updates:
        return {start: gr.update(interactive=not running), stop: gr.update(interactive=running)}

    def begin(request: gr.Request) -> Updates:
        check_turn(request, handlers.server.limits.waiting)
        return {**buttons(running=True), state: status("waiting for its turn", 0)}

    def vary(values: Values) -> Iterator[tuple[Any, str]]:
        yield from painted_drafts(handlers, values)

    begun = start.click(begin, None, [start, stop, state], **AT_ONCE)
    running = begun.success(vary, paint.inputs, [grid, state], **HEAVY, **PRIVATE)
    for end in (running.then, running.failure):
        end(lambda: buttons(running=False), None, [start, stop], **AT_ONCE)
    stop.click(None, cancels=[running])

    controls = [paint.controls["strength"], paint.controls["style_scale"]]
    picked = grid.select(pick, None, [*controls, tabs], **AT_ONCE)
    full = wire_run(handlers, picked.then, handlers.run, paint.inputs)
    paint.stop.click(None, cancels=[full])


def pick(event: gr.SelectData) -> tuple[float, float, gr.Tabs]:
    """Strength and brush size of the draft clicked, and the Paint tab to look at."""
    strength, brush = GRID[int(event.index) % len(GRID)]
    return strength, brush, gr.Tabs(selected="paint")


def painted_drafts(handlers: Handlers, values: Values) -> Iterator[tuple[Any, str]]:
    """Yield the drafts painted so far, and the status."""
    with friendly():
        jobs = [handlers.job_of(values, **DRAFT, strength=strength, style_scale=brush) for strength, brush in GRID]
    from ..studio.session import drafts

    previews: list[tuple[str, str]] = []
    yield previews, status("loading the network", 0)
    with friendly(), closing(drafts(jobs, values[handlers.parts.blend])) as moments:
        for number, frame, kept in moments:
            caption = "strength {:g} · brush {:g}".format(*GRID[number])
            previews[number:] = [(kept.preview(), caption)]
            progress = (number + frame.progress) / len(jobs)
            yield list(previews), status(f"draft {number + 1} of {len(jobs)} · {frame.text}", progress)
    yield gr.skip(), status("Click the draft that you like: it is painted in full.")
