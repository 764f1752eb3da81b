"""The Nine styles tab: a grid of small drafts in as many styles, or of one style; a click on one paints it in full."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import gradio as gr

from ..recipes import RECIPES
from ..studio.job import MAX_STYLES
from .controls import QUALITY, Bundled
from .errors import friendly, sorry
from .handlers import Handlers
from .look import status
from .paint import wire_run
from .parts import AT_ONCE, Updates, Values
from .visit import BEGIN, at_work, follow, start, stop, task_of, turn, wire_return, wire_task

if TYPE_CHECKING:
    from ..studio.series import Place, Series

SIZE = 192
STRENGTHS, BRUSHES = (30.0, 50.0, 75.0), (0.5, 1.0, 1.6)
WAYS = tuple((strength, brush) for strength in STRENGTHS for brush in BRUSHES)
DRAFT = {**{name: getattr(RECIPES["draft"], name) for name in QUALITY}, "size": SIZE, "iterations": (30, 20, 10)}
HINT = "The photograph of the Paint tab, painted small. Pick the one that you like: it is painted in full."
PICK = "Pick the one that you like: it is painted in full."


def nine_tab(handlers: Handlers, bundled: Bundled, tabs: gr.Tabs, page: gr.Blocks) -> None:
    """Lay the tab out and wire it up; pictures and all other settings are those of the Paint tab."""
    paint, waiting = handlers.parts, handlers.server.limits.waiting
    gr.HTML(f"<p>{HINT}</p>", elem_classes="hint", padding=False)
    choices = [("Nine styles", "styles"), ("This style in nine ways", "ways")][not bundled["styles"] :]
    kind = gr.Radio(choices, value=choices[0][1], show_label=False, container=False, elem_id="nine-kind")
    with gr.Row(elem_id="nine-row"):
        go = gr.Button("Paint nine", variant="primary", elem_id="nine-run")
        halt = gr.Button("Stop", variant="stop", elem_id="nine-stop", interactive=False)
    state = gr.HTML(status(""), elem_id="nine-status", elem_classes="status", padding=False)
    grid = gr.Gallery(
        label="Drafts", show_label=False, columns=3, height="auto", allow_preview=False, interactive=False,
        buttons=[], elem_id="nine-grid", elem_classes="places", object_fit="contain",
    )  # fmt: skip

    def buttons(running: bool) -> Updates:
        return {go: gr.update(interactive=not running), halt: gr.update(interactive=running)}

    def begin(values: Values) -> Updates:
        from ..studio.series import Series, drafts

        with friendly():
            styles = bundled["styles"] if values[kind] == "styles" else None
            series = Series(places(handlers, values, styles))
            blend = values[paint.blend]
            options: Any = {"work": series, "waiting": waiting}
            key = start(values[paint.key], "nine", lambda _: drafts(series, blend), **options)
        return {**buttons(running=True), state: status("Waiting for its turn", 0), paint.key: key}

    def show(key: Any) -> Iterator[Updates]:
        for task, latest in follow(key, "nine"):
            text = turn(task) if latest is None else words(task.work)
            yield {state: status(text, task.work.progress), grid: pictures(task.work)}

    def finish(key: Any) -> Updates:
        task = task_of(key, "nine")
        if task is None or task.latest is None:
            return {**buttons(at_work(key, "nine")), state: status("Stopped." if task and task.stopped else "")}
        text = f"Stopped. {PICK}" if task.stopped else PICK
        return {**buttons(not task.ended), state: status(text), grid: pictures(task.work)}

    begun = go.click(begin, {*paint.inputs, kind}, [go, halt, state, paint.key], **BEGIN)
    wiring: Any = (show, finish, [state, grid], [go, halt, state, grid], False)
    wire_task(paint.key, begun.success, *wiring)
    wire_return(page, paint.key, "nine", *wiring)
    halt.click(stop("nine"), paint.key, None, **AT_ONCE)

    def pick(key: Any, event: gr.SelectData) -> Updates:
        """Style, strength and brush size of the draft clicked, and the Paint tab to look at."""
        task = task_of(key, "nine")
        if task is None or not 0 <= int(event.index) < len(task.work.places):
            raise sorry("these drafts are no longer kept here: paint them once more")
        task.stop()
        job = task.work.places[int(event.index)].job
        names = "strength", "style_scale"
        return {
            **dict(zip(paint.styles, [*job.styles, *[None] * MAX_STYLES])),
            **{paint.controls[name]: getattr(job.config, name) for name in names},
            tabs: gr.Tabs(selected="paint"),
        }

    chosen = [*paint.styles, paint.controls["strength"], paint.controls["style_scale"], tabs]
    picked = grid.select(pick, paint.key, chosen, **AT_ONCE)
    wire_run(handlers, picked.success, handlers.run, paint.inputs)


def places(handlers: Handlers, values: Values, styles: Sequence[Mapping[str, str]] | None) -> list[Place]:
    """The drafts to paint: of nine styles, or without any of the chosen one in nine ways. Raises StyleTransferError."""
    from ..studio.series import Place

    if styles is None:
        jobs = [handlers.job_of(values, **DRAFT, strength=strength, style_scale=brush) for strength, brush in WAYS]
        return [Place(job, "Strength {:g}, brush {:g}".format(*way)) for job, way in zip(jobs, WAYS)]
    others = dict.fromkeys(handlers.parts.styles)
    return [
        Place(handlers.job_of({**values, **others, handlers.parts.styles[0]: style["file"]}, **DRAFT), style["title"])
        for style in styles[: len(WAYS)]
    ]


def pictures(series: Series) -> list[tuple[str, str]]:
    """All places, with what there is in each; none before the photograph has been read."""
    return [(place.file, place.name) for place in series.places if place.file]


def words(series: Series) -> str:
    place = series.places[series.number]
    return f"Painting · {100 * series.progress:.0f} % · {place.name}, {series.number + 1} of {len(series.places)}"
