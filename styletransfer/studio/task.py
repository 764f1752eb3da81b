"""Tasks in their own threads: they take turns, and continue for a while without a follower."""

from __future__ import annotations

import threading
import time
import traceback
from collections.abc import Generator, Hashable, Mapping
from contextlib import closing
from contextvars import copy_context
from typing import Any

from ..config import StyleTransferError

PATIENCE = 120.0  # seconds that a task continues without a follower
MOST_TASKS = 24  # unfinished tasks
LOOK, ALIVE = 0.25, 1.0  # seconds between checks whether to end, and between repeated items
TOO_MANY = "your pictures are already waiting to be painted: wait for one of them, or stop it"
NEXT_TURN = object()  # yielded by a task of several pictures, to let other tasks take a turn
Items = Generator[Any, None, None]
Owners = Mapping[Hashable, int]


class Task:
    """A generator that runs in its own thread when its turn comes.

    work: describes it for the page; latest: the last item; error: its exception, until a follower has raised it. It
    stops after `patience` seconds without a follower.
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
        """Yield the latest item (None before the first) when it is new, and at least once a second, so that a follower
        can leave. Ends with the task, and raises its error.
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
        """Wait at most ALIVE seconds for a change; return the latest number, whether the task ended, and the item."""
        with self._line.changed:
            self._line.changed.wait_for(lambda: self.ended or self._number != number, ALIVE)
            return self._number, self.ended, self.latest

    def run(self) -> None:
        """Run the generator in the calling thread."""
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
        except Exception as error:  # raised by `follow`
            traceback.clear_frames(error.__traceback__)  # frees their tensors
            self.error = error
        finally:
            self._line.leave(self)

    def _wait(self) -> None:
        """Wait until it is this task's turn, or the task should end."""
        with self._line.changed:
            while self._line.ahead(self) and not self._over():
                self._line.changed.wait(LOOK)

    def _over(self) -> bool:
        alone = not self._followers and time.monotonic() - self._left > self.patience
        self.stopped = self.stopped or alone
        return self.stopped


class Line:
    """A queue of unfinished tasks: the first `workers` run, the others wait."""

    def __init__(self, workers: int = 1) -> None:
        self.workers = workers
        self.tasks: list[Task] = []
        self.changed = threading.Condition()

    def start(self, items: Items, work: Any = None, owners: Owners | None = None) -> Task:
        """Start a task in the caller's context, and return it.

        owners: for whom the task counts, with their limits of unfinished tasks. Raises StyleTransferError if a limit is
        reached.
        """
        task = Task(self, items, work, owners)
        with self.changed:
            if len(self.tasks) >= MOST_TASKS:
                raise StyleTransferError(f"{MOST_TASKS} pictures are waiting to be painted here: try again in a minute")
            if any(self.unfinished(owner) >= most for owner, most in task.owners.items()):
                raise StyleTransferError(TOO_MANY)
            self.tasks.append(task)
        # ZeroGPU needs the request in the caller's context to lend a GPU.
        threading.Thread(target=copy_context().run, args=[task.run], daemon=True).start()
        return task

    def unfinished(self, owner: Hashable) -> int:
        """The number of an owner's tasks."""
        with self.changed:
            return sum(owner in task.owners for task in self.tasks)

    def ahead(self, task: Task) -> int:
        """How many tasks must end or give way before it is this task's turn."""
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
