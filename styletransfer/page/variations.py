"""The Variations tab: a grid of small drafts, strength by brush size, of which one is picked and painted in full."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import gradio as gr

from .. import studio
from ..recipes import RECIPES
from . import handlers, look
from .controls import QUALITY
from .crowd import check_turn
from .paint import AT_ONCE, HEAVY, PRIVATE, Parts, wire_job

SIZE = 192
STRENGTHS, BRUSHES = (30.0, 50.0, 75.0), (0.5, 1.0, 1.6)
GRID = tuple((strength, brush) for strength in STRENGTHS for brush in BRUSHES)
DRAFT = {**{name: getattr(RECIPES["draft"], name) for name in QUALITY}, "size": SIZE, "iterations": (30, 20, 10)}


def variations_tab(paint: Parts, tabs: gr.Tabs) -> None:
    """Lay the tab out and wire it to the Paint tab, whose picture, style and other settings it takes."""
    gr.HTML(
        "<p>Nine drafts of the picture and style chosen under Paint. Pick one: it is painted in full.</p>",
        elem_classes="hint",
    )
    with gr.Row(elem_id="vary-row"):
        start = gr.Button("Paint nine drafts", variant="primary", elem_id="vary")
        stop = gr.Button("Stop", variant="stop", elem_id="vary-stop", interactive=False)
    state = gr.HTML(look.status(""), elem_id="vary-status", elem_classes=["status", "hint"])
    grid = gr.Gallery(
        label="Drafts", show_label=False, columns=3, height="auto", allow_preview=False, interactive=False,
        buttons=[], elem_id="grid", object_fit="contain",
    )  # fmt: skip
    begun = start.click(begin, None, [start, stop, state], **AT_ONCE)
    work = begun.success(vary, [paint.key, *paint.given], [grid, state], **HEAVY, **PRIVATE)
    for end in (work.then, work.failure):
        end(lambda: (gr.update(interactive=True), gr.update(interactive=False)), None, [start, stop], **AT_ONCE)
    stop.click(None, cancels=[work])

    controls = [paint.controls["strength"], paint.controls["style_scale"]]
    picked = grid.select(pick, None, [*controls, tabs], **AT_ONCE)
    full = wire_job(paint, picked.then, handlers.run, [paint.key, *paint.given])
    paint.stop.click(None, cancels=[full])


def begin(request: gr.Request) -> tuple[Any, ...]:
    check_turn(request)
    return gr.update(interactive=False), gr.update(interactive=True), look.status("waiting for its turn", 0)


def pick(event: gr.SelectData) -> tuple[Any, ...]:
    """The values of the draft clicked, and the way to the Paint tab."""
    return *GRID[int(event.index) % len(GRID)], gr.Tabs(selected="paint")


def vary(key: str | None, *values: Any) -> Iterator[tuple[Any, str]]:
    """Yield the drafts painted so far, and how far they are."""
    from ..studio.running import fitted

    asked = dict(zip(handlers.GIVEN, values))
    visit = studio.STORE.get(key)
    with handlers.friendly():
        shown = visit.current if visit else None
        jobs = [
            handlers.job_of(asked, shown, **DRAFT, strength=strength, style_scale=brush) for strength, brush in GRID
        ]
        content = fitted(jobs[0].content, SIZE)
    drafts = [studio.Kept(job, job.settings, content, content, asked["color"], asked["blend"]) for job in jobs]
    done: list[tuple[str, str]] = []
    began = time.monotonic()
    yield [], look.status("loading the network", 0)
    try:
        with handlers.friendly(), closing(studio.sketch(jobs)) as frames:
            for number, frame in frames:
                drafts[number].take(frame)
                progress = (number + frame.progress) / len(jobs)
                line = look.status(f"draft {number + 1} of {len(jobs)} · {frame.text}", progress)
                caption = "strength {:g} · brush {:g}".format(*GRID[number])
                done[number:] = [(drafts[number].preview(), caption)]
                yield list(done), line
    finally:
        last = drafts[max(0, len(done) - 1)]
        handlers.log_run(last.job, last, f"draft {len(done)} of {len(jobs)}", time.monotonic() - began)
    yield gr.skip(), look.status("Click the draft that you like: it is painted in full.")
