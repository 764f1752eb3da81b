"""A visit's tasks: started by a click, followed by the page, and stopped by another click."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from typing import TYPE_CHECKING, Any

import gradio as gr

from ..studio.task import LINE
from .errors import friendly
from .parts import AT_ONCE, Updates

if TYPE_CHECKING:
    from ..studio.kept import Visit
    from ..studio.task import Task

# Following computes nothing, but each follower takes one of the 40 threads that Gradio has for handlers.
FOLLOW: dict[str, Any] = {"concurrency_limit": 20, "concurrency_id": "follow", "api_visibility": "private"}
Begin = Callable[..., Updates]
Follow = Callable[[Any], Iterator[Updates]]
Finish = Callable[[Any], Updates]


def visit_of(key: Any) -> Visit | None:
    """The visit of a key, which a browser sent and which may be anything."""
    from ..studio.kept import STORE

    return STORE.get(key) if isinstance(key, str) else None


def task_of(key: Any, name: str) -> Task | None:
    """The last task of one of the page's tabs."""
    visit = visit_of(key)
    return visit.tasks.get(name) if visit else None


def start(
    key: Any,
    name: str,
    make: Callable[[Visit], Generator[Any, None, None]],
    request: gr.Request,
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
    owners = {visit: waiting, **({request.client.host: 2 * waiting} if request.client else {})}
    visit.tasks[name] = task = LINE.start(make(visit), work, owners)
    task.patience *= pictures
    return STORE.keep(key, visit)


def stop(name: str) -> Callable[[Any], None]:
    """A handler that stops a task."""

    def stop_it(key: Any) -> None:
        if task := task_of(key, name):
            task.stop()

    return stop_it


def follow(key: Any, name: str) -> Iterator[tuple[Task, Any]]:
    """The task, with what is new of it until it has ended; an error that stopped it is raised as a sentence."""
    with friendly():
        if task := task_of(key, name):
            for latest in task.follow():
                yield task, latest


def turn(task: Task) -> str:
    """What to say until a task begins."""
    ahead = LINE.ahead(task)
    return f"Waiting for its turn · {ahead} before it" if ahead else "Starting"


def wire_task(key: Any, begun: Any, follow: Follow, finish: Finish, seen: list[Any], ended: list[Any]) -> None:
    """After the event that started a task, follow it and finish; `seen` and `ended` are what these change."""
    options: Any = {"show_progress": "hidden", **FOLLOW}
    following = begun.success(follow, key, seen, **options)
    following.then(finish, key, ended, **AT_ONCE)
