"""The Many photographs tab: several photographs in one style, or one in several styles, painted in the background."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr

from ..config import StyleTransferError
from .errors import friendly
from .handlers import Handlers
from .look import FETCH, status
from .parts import AT_ONCE, PRIVATE, Updates, Values
from .visit import BEGIN, Display, follow, lay_places, start, stop, task_of, turn, visit_of
from .words import i18n, said

if TYPE_CHECKING:
    from ..studio.series import Place, Series
    from ..studio.task import Task

MOST = 20  # pictures in one queue
HINT = (
    "Drop several photographs: each is painted in the style of the Paint tab, with its settings. Or drop several "
    f"styles for the photograph of the Paint tab. At most {MOST} at once; more can be added while they are painted."
)


def many_tab(handlers: Handlers, page: gr.Blocks) -> None:
    """Lay the tab out and wire it up; the other picture and all settings are those of the Paint tab."""
    many, paint = lay_many(handlers), handlers.parts
    changed = [many.files, many.halt, many.grid, many.state, paint.key]
    begun = many.go.click(many.begin, {*paint.inputs, many.kind, many.files}, changed, **BEGIN)
    seen = [many.state, many.grid, many.save, paint.visit]
    display = Display("many", paint.key, many.follow, seen, many.finish, [many.halt, *seen])
    display.after(begun.success)
    display.when_opened(page)
    many.halt.click(stop("many"), paint.key, None, **AT_ONCE)
    file = gr.File(visible="hidden", elem_id="many-file")
    made = many.save.click(many.archive, paint.key, file, concurrency_limit=2, **PRIVATE)
    made.success(None, file, None, js=FETCH)


def lay_many(handlers: Handlers) -> Many:
    gr.HTML(f"<p>{i18n(HINT)}</p>", elem_classes="hint", padding=False)
    kind = gr.Radio(
        [(i18n("Many photographs"), "content"), (i18n("Many styles"), "style")], value="content", show_label=False,
        container=False, elem_id="many-kind",
    )  # fmt: skip
    files = gr.File(label=i18n("Pictures"), file_count="multiple", height=160, elem_id="many-files")
    with gr.Row(elem_id="many-row"):
        go = gr.Button(i18n("Paint all"), variant="primary", elem_id="many-run")
        halt = gr.Button(i18n("Stop"), variant="stop", elem_id="many-stop", interactive=False)
        save = gr.Button(i18n("Save all"), elem_id="many-save", interactive=False)
    state, grid = lay_places("many", i18n("Pictures"))
    return Many(handlers, kind, files, go, halt, save, state, grid)


@dataclass(frozen=True)
class Many:
    """The tab's components, and the handlers of their events."""

    handlers: Handlers
    kind: gr.Radio
    files: gr.File
    go: gr.Button
    halt: gr.Button
    save: gr.Button
    state: gr.HTML
    grid: gr.Gallery

    def begin(self, values: Values) -> Updates:
        """Start to paint the pictures that were dropped, or add them to those being painted."""
        from ..studio.series import Series
        from ..studio.series import pictures as painted

        handlers, paint = self.handlers, self.handlers.parts
        with friendly():
            added = places(handlers, values, values[self.files] or (), values[self.kind])
            series = running(values[paint.key])
            check_number(len(added) + (len(series.places) if series else 0))
            key = values[paint.key]
            if series is None or not series.add(added):
                series, server = Series(added), handlers.server
                make = partial(painted, series, blend=values[paint.blend], engine=server.engine)
                key = start(key, "many", make, work=series, waiting=server.limits.waiting, pictures=len(added))
        return {
            self.files: None,
            self.halt: gr.update(interactive=True),
            self.grid: pictures(series),
            self.state: status("Waiting for its turn", 0),
            paint.key: key,
        }

    def follow(self, key: Any) -> Iterator[Updates]:
        """The pictures so far, until all are painted; finished ones are also results of the visit."""
        results = 0
        for task, latest in follow(key, "many"):
            series, visit = task.work, visit_of(key)
            text = turn(task) if latest is None else words(series)
            updates = {
                self.state: status(text, series.progress),
                self.grid: pictures(series),
                self.save: gr.update(interactive=bool(series.files)),
            }
            if visit and len(visit.results) != results:
                results = len(visit.results)
                updates[self.handlers.parts.visit] = self.handlers.history(visit)
            yield updates

    def finish(self, key: Any) -> Updates:
        """What the visit has of its pictures."""
        task, visit = task_of(key, "many"), visit_of(key)
        if task is None or visit is None:
            return {self.halt: gr.update(interactive=False), self.state: status("")}
        return {
            self.halt: gr.update(interactive=not task.ended),
            self.save: gr.update(interactive=bool(task.work.files)),
            self.state: status(ending(task) if task.ended else words(task.work)),
            self.grid: pictures(task.work, task.ended),
            self.handlers.parts.visit: self.handlers.history(visit),
        }

    def archive(self, key: Any) -> str:
        """A file with all finished pictures."""
        with friendly():
            if (task := task_of(key, "many")) is None:
                raise StyleTransferError("these pictures are no longer kept here: paint them once more")
            return str(task.work.zip())


def places(handlers: Handlers, values: Values, paths: Sequence[str], kind: str) -> list[Place]:
    """A place for each file, as the photograph or as the style. Raises StyleTransferError."""
    from ..studio.series import Place

    check_number(len(paths))
    paint = handlers.parts
    alike: dict[Any, Any] = {paint.canvas: None, **(dict.fromkeys(paint.styles) if kind == "style" else {})}
    changed = paint.styles[0] if kind == "style" else paint.content
    return [Place(handlers.job_of({**values, **alike, changed: path}), Path(path).name) for path in paths]


def check_number(count: int) -> None:
    if count == 0:
        raise StyleTransferError("there is no picture yet: drop some of them first")
    if count > MOST:
        raise StyleTransferError(f"there are {count} pictures in the queue: at most {MOST} are allowed at once")


def running(key: Any) -> Series | None:
    """The series that a visit is painting."""
    task = task_of(key, "many")
    return None if task is None or task.ended or task.stopped else task.work


def pictures(series: Series, ended: bool = False) -> list[tuple[str, str]]:
    """The places that are begun, with what there is in each; the status tells how many there are."""
    begun = [place for place in series.places if place.file or place.over]
    return [(place.file or series.blank, said(caption(place, ended))) for place in begun]


def caption(place: Place, ended: bool) -> str:
    """The name of a picture, and how far it is, or what went wrong with it."""
    if place.over:
        return place.problem or place.name
    return f"{place.name} · {'stopped' if ended else f'{100 * place.progress:.0f} %'}"


def words(series: Series) -> str:
    return f"Painting · {100 * series.progress:.0f} % · picture {series.number + 1} of {len(series.places)}"


def ending(task: Task) -> str:
    """What to say once it is over."""
    places = task.work.places
    failed = sum(bool(place.problem) for place in places)
    how, painted = "Stopped" if task.stopped else "Done", len(task.work.files)
    if failed:
        return f"{how}: {painted} of {len(places)} painted, {failed} could not be read or painted."
    return f"{how}: {painted} of {len(places)} painted."
