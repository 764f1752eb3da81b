"""A visit's tasks: started by a click, followed by the page, and found again by a page that is opened anew."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import gradio as gr
from gradio.context import LocalContext

from ..config import StyleTransferError
from ..studio.task import LINE
from .errors import friendly
from .look import UNSAVED, status
from .parts import AT_ONCE, PRIVATE, Updates

if TYPE_CHECKING:
    from ..studio.kept import Visit
    from ..studio.task import Task

# A task is started by an event of Gradio's queue: only to those the browser adds what ZeroGPU knows a visitor by.
BEGIN: dict[str, Any] = {"concurrency_limit": 20, "concurrency_id": "begin", **PRIVATE}
# Following computes nothing, but each follower takes one of the 40 threads that Gradio has for handlers.
FOLLOW: dict[str, Any] = {"concurrency_limit": 20, "concurrency_id": "follow", **PRIVATE}


def visit_of(key: Any) -> Visit | None:
    """The visit of a key, which a browser sent and which may be anything."""
    if not isinstance(key, str):  # nothing need be imported for that
        return None
    from ..studio.kept import STORE

    return STORE.get(key)


def task_of(key: Any, name: str) -> Task | None:
    """The last task of one of the page's tabs."""
    visit = visit_of(key)
    return visit.tasks.get(name) if visit else None


def anew(again: gr.Textbox, key: Any, name: str) -> Updates:
    """A new text where a task is at work: its change has the page follow it."""
    return {again: secrets.token_hex(4)} if at_work(key, name) else {}


def at_work(key: Any, name: str) -> bool:
    task = task_of(key, name)
    return task is not None and not task.ended


def start(
    key: Any,
    name: str,
    make: Callable[[Visit], Generator[Any, None, None]],
    *,
    work: Any,
    waiting: int,
    pictures: int = 1,
) -> str:
    """Start a task of so many pictures for a visit, and return the visit's key. Raises StyleTransferError where too
    many wait already.
    """
    from ..studio.kept import STORE, Visit

    visit = visit_of(key) or Visit()
    if at_work(key, name) and not visit.tasks[name].stopped:
        raise StyleTransferError("a picture is being painted for you already: wait for it, or stop it")
    visit.tasks[name] = task = LINE.start(make(visit), work, {visit: waiting, **address(waiting)})
    task.patience *= pictures
    return STORE.keep(key, visit)


def address(waiting: int) -> dict[Any, int]:
    """A visitor's address with the tasks that it may have: twice a visitor's, since several people can share it."""
    request = LocalContext.request.get(None)
    return {request.client.host: 2 * waiting} if request and request.client else {}


def stop(name: str) -> Callable[[Any], None]:
    """A handler that stops a task."""

    def stop_it(key: Any) -> None:
        if task := task_of(key, name):
            task.stop()

    return stop_it


def follow(key: Any, name: str) -> Iterator[tuple[Task, Any]]:
    """The task, with what is new of it until it has ended; an error that ended it is raised as a sentence."""
    with friendly():
        if task := task_of(key, name):
            yield from _news(task)


def in_turn(items: Generator[Any, None, None], waiting: int) -> Generator[tuple[Task, Any], None, None]:
    """The same for a generator that takes its turn and belongs to no visit: it ends with its only follower."""
    task = LINE.start(items, owners=address(waiting))
    try:
        yield from _news(task)
    finally:
        task.stop()


def _news(task: Task) -> Generator[tuple[Task, Any], None, None]:
    with closing(task.follow()) as news:
        for latest in news:
            yield task, latest


def turn(task: Task) -> str:
    """What to say until a task begins."""
    ahead = LINE.ahead(task)
    return f"Waiting for its turn · {ahead} before it" if ahead else "Starting"


def lay_places(name: str, label: str) -> tuple[gr.HTML, gr.Gallery]:
    """A tab's line of status, and a grid of fixed places for the pictures of its task."""
    state = gr.HTML(status(""), elem_id=f"{name}-status", elem_classes="status", padding=False)
    grid = gr.Gallery(
        label=label, show_label=False, columns=3, height="auto", allow_preview=False, interactive=False,
        buttons=[], elem_id=f"{name}-grid", elem_classes="places", object_fit="contain",
    )  # fmt: skip
    return state, grid


@dataclass(frozen=True)
class Display:
    """How a tab shows its task of a visit: with handlers that take the visit's key.

    follow: yields what is new, in the components `seen`; finish: shows how it ended, in those of `ended`, and takes the
    value of `also` besides the key; precious: whether pictures that are not saved are not left without a question.
    """

    name: str
    key: Any
    follow: Callable[[Any], Iterator[Updates]]
    seen: Sequence[Any]
    finish: Callable[..., Updates]
    ended: Sequence[Any]
    also: Any = None
    precious: bool = True

    def after(self, started: Callable[..., Any]) -> None:
        """After the event that started the task, follow it, and finish."""
        following = started(self.follow, self.key, list(self.seen), **FOLLOW)
        if self.precious:
            following.success(None, js=UNSAVED)
        given = [self.key] if self.also is None else [self.key, self.also]
        for ended in (following.success, following.failure):  # after a failure Gradio calls no `then`
            ended(self.finish, given, list(self.ended), **AT_ONCE)

    def when_opened(self, page: gr.Blocks) -> None:
        """When the page is opened, show what the visit has of the task; one that is at work is followed again."""
        again = gr.Textbox(visible="hidden")

        def found(key: Any) -> Any:
            followed = anew(again, key, self.name)  # first: one that ends meanwhile is then seen to have ended
            shown = {} if task_of(key, self.name) is None else self.finish(key)
            return {**followed, **shown} or gr.skip()

        page.load(found, self.key, [*self.ended, again], **AT_ONCE)
        self.after(again.change)
