"""The Nine styles tab: a grid of small drafts in as many styles, or of one style; a click on one paints it in full."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import gradio as gr

from ..recipes import RECIPES
from ..studio.job import MAX_STYLES
from .controls import QUALITY
from .errors import friendly, sorry
from .handlers import Handlers
from .look import status
from .paint import wire_run
from .parts import AT_ONCE, PRIVATE, Updates, Values
from .visit import BEGIN, Display, at_work, follow, lay_places, start, stop, task_of, turn
from .words import i18n, said

if TYPE_CHECKING:
    from ..studio.series import Place, Series
    from ..studio.task import Task

SIZE = 192
STRENGTHS, BRUSHES = (30.0, 50.0, 75.0), (0.5, 1.0, 1.6)
WAYS = tuple((strength, brush) for strength in STRENGTHS for brush in BRUSHES)
DRAFT = {**{name: getattr(RECIPES["draft"], name) for name in QUALITY}, "size": SIZE}
PICKED = "strength", "style_scale"  # settings of a draft that is picked
HINT = "The photograph of the Paint tab, painted small. Pick the one that you like: it is painted in full."
PICK = "Pick the one that you like: it is painted in full."


def nine_tab(handlers: Handlers, tabs: gr.Tabs, page: gr.Blocks) -> None:
    """Lay the tab out and wire it up; pictures and all other settings are those of the Paint tab."""
    drafts = lay_nine(handlers, tabs)
    paint, shown = handlers.parts, [drafts.go, drafts.halt, drafts.state]
    begun = drafts.go.click(drafts.begin, {*paint.inputs, drafts.kind}, [*shown, paint.key], **BEGIN)
    seen, ended = [drafts.state, drafts.grid], [*shown, drafts.grid]
    display = Display("nine", paint.key, drafts.follow, seen, drafts.finish, ended, precious=False)
    display.after(begun.success)
    display.when_opened(page)
    drafts.halt.click(stop("nine"), paint.key, None, **AT_ONCE)
    chosen = [*paint.pictures, *(paint.controls[name] for name in PICKED), tabs]
    picked = drafts.grid.select(drafts.pick, paint.key, chosen, **PRIVATE)
    wire_run(handlers, picked.success, handlers.run, paint.inputs)


def lay_nine(handlers: Handlers, tabs: gr.Tabs) -> Nine:
    gr.HTML(f"<p>{i18n(HINT)}</p>", elem_classes="hint", padding=False)
    choices = [(i18n("Nine styles"), "styles"), (i18n("This style in nine ways"), "ways")][
        not handlers.bundled["styles"] :
    ]
    kind = gr.Radio(choices, value=choices[0][1], show_label=False, container=False, elem_id="nine-kind")
    with gr.Row(elem_id="nine-row"):
        go = gr.Button(i18n("Paint nine"), variant="primary", elem_id="nine-run")
        halt = gr.Button(i18n("Stop"), variant="stop", elem_id="nine-stop", interactive=False)
    state, grid = lay_places("nine", i18n("Drafts"))
    return Nine(handlers, tabs, kind, go, halt, state, grid)


@dataclass(frozen=True)
class Nine:
    """The tab's components, and the handlers of their events."""

    handlers: Handlers
    tabs: gr.Tabs
    kind: gr.Radio
    go: gr.Button
    halt: gr.Button
    state: gr.HTML
    grid: gr.Gallery

    def begin(self, values: Values) -> Updates:
        """Start to paint the drafts."""
        from ..studio.series import Series, drafts

        handlers, paint = self.handlers, self.handlers.parts
        with friendly():
            styles = handlers.bundled["styles"] if values[self.kind] == "styles" else None
            series, server = Series(places(handlers, values, styles)), handlers.server
            make = partial(drafts, series, values[paint.blend], server.engine)
            key = start(values[paint.key], "nine", lambda _: make(), work=series, waiting=server.limits.waiting)
        return {**self._buttons(running=True), self.state: status("Waiting for its turn", 0), paint.key: key}

    def follow(self, key: Any) -> Iterator[Updates]:
        """The drafts so far, until all are there."""
        for task, latest in follow(key, "nine"):
            text = turn(task) if latest is None else words(task.work)
            yield {self.state: status(text, task.work.progress), self.grid: pictures(task.work)}

    def finish(self, key: Any) -> Updates:
        """What the visit has of its drafts."""
        task, buttons = task_of(key, "nine"), self._buttons(at_work(key, "nine"))
        if task is None:
            return {**buttons, self.state: status("")}
        return {**buttons, self.state: status(ending(task)), self.grid: pictures(task.work)}

    def pick(self, key: Any, event: gr.SelectData) -> Updates:
        """Style, strength and brush size of the draft clicked, and the Paint tab to look at."""
        task, paint = task_of(key, "nine"), self.handlers.parts
        if task is None or not 0 <= int(event.index) < len(task.work.places):
            raise sorry("these drafts are no longer kept here: paint them once more")
        task.stop()
        job = task.work.places[int(event.index)].job
        return {
            **self.handlers.filled(dict(zip(paint.styles, [*job.styles, *[None] * MAX_STYLES]))),
            **{paint.controls[name]: getattr(job.config, name) for name in PICKED},
            self.tabs: gr.Tabs(selected="paint"),
        }

    def _buttons(self, running: bool) -> Updates:
        return {self.go: gr.update(interactive=not running), self.halt: gr.update(interactive=running)}


def places(handlers: Handlers, values: Values, styles: Sequence[Mapping[str, str]] | None) -> list[Place]:
    """The drafts to paint: of nine styles, or without any of the chosen one in nine ways. Raises StyleTransferError."""
    from ..studio.series import Place

    if styles is None:
        jobs = [handlers.job_of(values, **DRAFT, strength=strength, style_scale=brush) for strength, brush in WAYS]
        return [Place(job, f"Strength {strength:g}, brush {brush:g}") for job, (strength, brush) in zip(jobs, WAYS)]
    others = dict.fromkeys(handlers.parts.styles)
    return [
        Place(handlers.job_of({**values, **others, handlers.parts.styles[0]: style["file"]}, **DRAFT), style["title"])
        for style in styles[: len(WAYS)]
    ]


def pictures(series: Series) -> list[tuple[str, str]]:
    """All places, with what there is in each; none before the photograph has been read."""
    return [(place.file, said(place.name)) for place in series.places if place.file]


def ending(task: Task) -> str:
    """What to say at the end, or to a page that is opened meanwhile."""
    painted = any(place.progress for place in task.work.places)
    if not task.ended:
        return words(task.work) if painted else "Waiting for its turn"
    if not painted:
        return "Stopped: nothing is painted yet." if task.stopped else ""
    return f"Stopped. {PICK}" if task.stopped else PICK


def words(series: Series) -> str:
    place = series.places[series.number]
    return f"Painting · {100 * series.progress:.0f} % · {place.name}, draft {series.number + 1} of {len(series.places)}"
