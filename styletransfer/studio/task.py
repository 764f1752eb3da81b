"""Runs in threads of their own: they take turns, and go on for a while when nobody looks."""

from __future__ import annotations

import threading
import time
import traceback
from collections.abc import Generator, Hashable, Mapping
from contextlib import closing
from contextvars import copy_context
from typing import Any

from ..config import StyleTransferError

PATIENCE = 120.0  # seconds that a task goes on while nobody follows it
MOST_TASKS = 24  # unfinished ones
LOOK, ALIVE = 0.25, 1.0  # seconds between two looks at whether to end, and between two signs of life
TOO_MANY = "your pictures are already waiting to be painted: wait for one of them, or stop it"
NEXT_TURN = object()  # yielded by a task of several pictures: others may take their turn now
Items = Generator[Any, None, None]
Owners = Mapping[Hashable, int]


class Task:
    """A generator at work in a thread of its own, once its turn has come.

    work: what it does, for whoever shows it; latest: what it yielded last; error: what it raised, until somebody has
    been told. Nobody's leaving stops it, but after `patience` seconds without a follower it stops by itself.
    """

    def __init__(self, line: Line, items: Items, work: Any = None, owners: Owners | None = None) -> None:
        self.work, self.owners = work, owners or {}
        self.latest: Any = None
        self.error: Exception | None = None
        self.ended = self.stopped = False
        self.patience = PATIENCE
        self._line, self._items = line, items
        self._number = 0  # of the latest item
        self._followers, self._left = 0, time.monotonic()

    def stop(self) -> None:
        """End the task within a step; what it has painted stays."""
        with self._line.changed:
            self.stopped = self.stopped or not self.ended
            self._line.changed.notify_all()

    def follow(self) -> Generator[Any, None, None]:
        """Yield the latest item, None before there is one: when it is new, and at least once a second, so that a
        follower can leave. Ends with the task, and raises what the task raised.
        """
        with self._line.changed:
            self._followers += 1
        try:
            number, ended = -1, False
            while not ended:
                number, ended, latest = self._news_after(number)
                yield latest
        finally:
            with self._line.changed:
                self._followers, self._left = self._followers - 1, time.monotonic()
        error, self.error = self.error, None
        if error is not None:
            raise error

    def _news_after(self, number: int) -> tuple[int, bool, Any]:
        """The latest item's number, whether the task has ended, and the item: once they change, or after a while."""
        with self._line.changed:
            self._line.changed.wait_for(lambda: self.ended or self._number != number, ALIVE)
            return self._number, self.ended, self.latest

    def run(self) -> None:
        """Do the work, in the thread that calls."""
        try:
            with closing(self._items) as items:
                self._wait()
                while not self._over() and (item := next(items, self)) is not self:
                    if item is NEXT_TURN:
                        self._line.to_the_end(self)
                        self._wait()
                        continue
                    with self._line.changed:
                        self.latest, self._number = item, self._number + 1
                        self._line.changed.notify_all()
        except Exception as error:  # told to the follower
            traceback.clear_frames(error.__traceback__)  # of their tensors
            self.error = error
        finally:
            self._line.leave(self)

    def _wait(self) -> None:
        """Until its turn has come, or it should end."""
        with self._line.changed:
            while self._line.ahead(self) and not self._over():
                self._line.changed.wait(LOOK)

    def _over(self) -> bool:
        alone = not self._followers and time.monotonic() - self._left > self.patience
        self.stopped = self.stopped or alone
        return self.stopped


class Line:
    """Unfinished tasks in the order in which they came; the first `workers` are at work, the others wait."""

    def __init__(self, workers: int = 1) -> None:
        self.workers = workers
        self.tasks: list[Task] = []
        self.changed = threading.Condition()

    def start(self, items: Items, work: Any = None, owners: Owners | None = None) -> Task:
        """Start a task, in the context of the caller, and return it.

        owners: whom the task counts for, each with the most unfinished tasks that it may have. Raises
        StyleTransferError where there are too many.
        """
        task = Task(self, items, work, owners)
        with self.changed:
            if len(self.tasks) >= MOST_TASKS:
                raise StyleTransferError(f"{MOST_TASKS} pictures are waiting to be painted here: try again in a minute")
            if any(self.unfinished(owner) >= most for owner, most in task.owners.items()):
                raise StyleTransferError(TOO_MANY)
            self.tasks.append(task)
        # On ZeroGPU the caller's context has the request that the lent GPU is asked for with.
        threading.Thread(target=copy_context().run, args=[task.run], daemon=True).start()
        return task

    def unfinished(self, owner: Hashable) -> int:
        """How many tasks of an owner there are."""
        with self.changed:
            return sum(owner in task.owners for task in self.tasks)

    def ahead(self, task: Task) -> int:
        """How many tasks must end or give way before it is this one's turn."""
        with self.changed:
            return max(0, self.tasks.index(task) + 1 - self.workers) if task in self.tasks else 0

    def to_the_end(self, task: Task) -> None:
        with self.changed:
            self.tasks.remove(task)
            self.tasks.append(task)
            self.changed.notify_all()

    def leave(self, task: Task) -> None:
        with self.changed:
            self.tasks.remove(task)
            task.ended = True
            self.changed.notify_all()


LINE = Line()
