"""Tasks: they take turns, are followed and left and found again, and end when they should."""

from __future__ import annotations

import contextvars
import threading
import time
from collections.abc import Generator, Iterator
from typing import Any

import pytest

from styletransfer import StyleTransferError
from styletransfer.studio import task as tasks
from styletransfer.studio.task import NEXT_TURN, Line, Task


class Steps:
    """A generator of 1, 2, 3, … that yields when it is told to, and says whether it has been closed."""

    def __init__(self) -> None:
        self.closed = threading.Event()
        self._allowed = threading.Semaphore(0)

    def allow(self, count: int = 1) -> None:
        self._allowed.release(count)

    def items(self, last: int = 10**6) -> Generator[Any, None, None]:
        try:
            for number in range(1, last + 1):
                assert self._allowed.acquire(timeout=60)
                yield number
        finally:
            self.closed.set()


def wait_until(condition: Any) -> None:
    for _ in range(6000):
        if condition():
            return
        time.sleep(0.01)
    raise AssertionError("it never came")


@pytest.fixture
def line() -> Iterator[Line]:
    made = Line()
    yield made
    for task in list(made.tasks):
        task.stop()


def test_a_follower_sees_every_item_that_it_waits_for_and_the_end(line: Line) -> None:
    steps = Steps()
    following = line.start(steps.items(3), "a job").follow()
    assert next(following) is None
    seen = []
    for _ in range(3):
        steps.allow()
        seen.append(next(item for item in following if item not in seen + [None]))
    assert seen == [1, 2, 3]
    assert {*following} <= {3} and line.tasks == [] and steps.closed.is_set()


def test_who_comes_late_sees_the_latest_and_nobody_s_leaving_ends_it(line: Line) -> None:
    steps = Steps()
    task = line.start(steps.items(5))
    first = task.follow()
    assert next(first) is None
    steps.allow(2)
    first.close()
    wait_until(lambda: task.latest == 2)
    second = task.follow()
    assert next(second) == 2 and not task.ended
    steps.allow(3)
    assert [*second][-1] == 5 and task.ended and not task.stopped
    assert [*task.follow()] == [5]  # also after the end


def test_stop_ends_it_within_a_step(line: Line) -> None:
    steps = Steps()
    task = line.start(steps.items())
    steps.allow(1)
    wait_until(lambda: task.latest == 1)
    task.stop()
    steps.allow(1)  # the one that it is waiting for
    assert steps.closed.wait(60)
    wait_until(lambda: task.ended)
    assert task.stopped and task.latest <= 2
    task.stop()


def test_left_alone_it_goes_on_for_a_while(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    steps = Steps()
    task = line.start(steps.items())
    following = task.follow()
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now + 10 * task.patience)  # followed, it has no end
    steps.allow()
    wait_until(lambda: task.latest == 1 or next(following) == 1)
    following.close()
    left = now + 10 * task.patience
    monkeypatch.setattr(time, "monotonic", lambda: left + task.patience - 1)
    steps.allow()
    wait_until(lambda: task.latest == 2)
    assert not task.stopped
    monkeypatch.setattr(time, "monotonic", lambda: left + task.patience + 1)
    steps.allow()
    assert steps.closed.wait(60) and task.stopped and task.latest <= 3


def test_tasks_take_turns_in_the_order_they_came(line: Line) -> None:
    order, first = [], Steps()

    def noted(name: str) -> Generator[Any, None, None]:
        order.append(name)
        yield name

    one = line.start(first.items(1))
    others = [line.start(noted(name)) for name in "abc"]
    assert [line.ahead(task) for task in (one, *others)] == [0, 1, 2, 3]
    assert next(others[2].follow()) is None and order == []
    others[1].stop()  # while it waits
    wait_until(lambda: others[1].ended)
    first.allow()
    wait_until(lambda: line.tasks == [])
    assert order == ["a", "c"] and line.ahead(one) == 0


def test_as_many_tasks_are_at_work_as_there_are_workers(line: Line) -> None:
    line.workers, order = 2, []
    first, second = Steps(), Steps()

    def noted() -> Generator[Any, None, None]:
        order.append(second.closed.is_set())
        yield None

    one, two, three = (line.start(items) for items in (first.items(1), second.items(1), noted()))
    assert [line.ahead(task) for task in (one, two, three)] == [0, 0, 1]
    second.allow()
    wait_until(lambda: two.ended and three.ended)
    assert order == [True] and not one.ended
    first.allow()
    wait_until(lambda: one.ended)


def test_a_long_task_lets_others_in_between_its_pictures(line: Line) -> None:
    order, steps = [], Steps()

    def series() -> Generator[Any, None, None]:
        for number, _ in enumerate(steps.items(3)):
            order.append(f"picture {number}")
            yield NEXT_TURN

    def short() -> Generator[Any, None, None]:
        order.append("other")
        yield None

    line.start(series())
    line.start(short())
    steps.allow(3)
    wait_until(lambda: line.tasks == [])
    assert order == ["picture 0", "other", "picture 1", "picture 2"]


def test_an_error_is_told_once_and_holds_no_pictures(line: Line) -> None:
    held: list[Any] = []

    class Picture:
        pass

    def failing() -> Generator[Any, None, None]:
        import weakref

        picture = Picture()
        held.append(weakref.ref(picture))
        yield 1
        raise StyleTransferError("no picture")

    task = line.start(failing())
    wait_until(lambda: task.ended)
    assert held[0]() is None
    with pytest.raises(StyleTransferError, match="no picture"):
        list(task.follow())
    assert list(task.follow()) == [1]


def test_an_owner_has_only_so_many_unfinished_tasks(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    steps = Steps()
    line.start(steps.items(1), owners={"visit": 2, "address": 3})
    line.start(steps.items(1), owners={"visit": 2, "address": 3})
    with pytest.raises(StyleTransferError, match="your pictures are already waiting"):
        line.start(steps.items(1), owners={"visit": 2, "address": 3})
    line.start(steps.items(1), owners={"another": 2, "address": 3})
    with pytest.raises(StyleTransferError, match="already waiting"):
        line.start(steps.items(1), owners={"a third": 2, "address": 3})
    assert (line.unfinished("visit"), line.unfinished("address"), line.unfinished("nobody")) == (2, 3, 0)
    monkeypatch.setattr(tasks, "MOST_TASKS", 3)
    with pytest.raises(StyleTransferError, match="3 pictures are waiting"):
        line.start(steps.items(1))
    steps.allow(3)
    wait_until(lambda: line.tasks == [])
    line.start(steps.items(1), owners={"visit": 2})
    steps.allow()


def test_it_works_in_the_context_of_who_started_it(line: Line) -> None:
    request = contextvars.ContextVar("request", default="none")

    def asking() -> Generator[Any, None, None]:
        yield request.get()

    context = contextvars.copy_context()
    context.run(request.set, "mine")
    task: Task = context.run(line.start, asking())
    wait_until(lambda: task.ended)
    assert task.latest == "mine" and request.get() == "none"
