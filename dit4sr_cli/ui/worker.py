"""One thread that does one thing after the other, and can be told to stop."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import TypeAlias

from dit4sr_cli.core import events

Work: TypeAlias = Callable[[events.Observer], None]
"""Does it; the observer that it gets must hear of every event, and ends it if it is called off."""


class Kind(str, Enum):
    """Of work: a photograph as a whole, or a look at it."""

    WHOLE = "whole"
    LOOK = "look"


class Cancelled(BaseException):
    """Ends a run from inside its observer; no `except Exception` on the way can swallow it."""


@dataclass(eq=False, slots=True)
class Task:
    """Something to do, and how to call it off.

    Args:
        key: of the photograph that it is about.
        kind: of the work.
        work: what is done.
        called_off: what follows if it is cancelled, whether it had begun or not.
    """

    key: str
    kind: Kind
    work: Work
    called_off: Callable[[], None]
    stop: threading.Event = field(default_factory=threading.Event)

    def check(self, event: events.Event) -> None:
        """An observer that ends the run once it is cancelled: within a tile's time."""
        if self.stop.is_set():
            raise Cancelled


class Worker:
    """The line of what waits, and the thread that works it off."""

    def __init__(self) -> None:
        self._line: list[Task] = []
        self._running: Task | None = None
        self._closed = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._loop, name="dit4sr-ui-worker", daemon=True)
        self._thread.start()

    def submit(self, task: Task, *, first: bool = False) -> None:
        """Put it in line; `first`: before all that waits, for what takes a moment."""
        with self._changed:
            self._line.insert(0 if first else len(self._line), task)
            self._changed.notify()

    def waiting(self) -> list[Task]:
        """In the order of their turns."""
        with self._changed:
            return list(self._line)

    def is_busy(self) -> bool:
        """Whether anything is being done now."""
        return self._running is not None

    def cancel(self, key: str, *kinds: Kind) -> None:
        """Take what is about this photograph out of the line, or end it at its next event."""

        def is_meant(task: Task) -> bool:
            return task.key == key and task.kind in kinds

        with self._changed:
            if self._running is not None and is_meant(self._running):
                self._running.stop.set()
            dropped = [task for task in self._line if is_meant(task)]
            self._line = [task for task in self._line if not is_meant(task)]
        for task in dropped:
            task.called_off()

    def close(self, patience: float) -> bool:
        """Call everything off, and wait so many seconds for the thread; whether it has ended."""
        with self._changed:
            self._closed = True
            self._line.clear()
            if self._running is not None:
                self._running.stop.set()
            self._changed.notify()
        self._thread.join(patience)
        return not self._thread.is_alive()

    def _loop(self) -> None:
        while (task := self._next()) is not None:
            try:
                task.work(task.check)
            except Cancelled:
                task.called_off()
            finally:
                self._running = None

    def _next(self) -> Task | None:
        with self._changed:
            self._changed.wait_for(lambda: self._line or self._closed)
            if self._closed:
                return None
            self._running = self._line.pop(0)
            return self._running
