"""Threads that read ahead and write behind."""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from queue import SimpleQueue
from typing import Generic, TypeVar

S = TypeVar("S")
T = TypeVar("T")


class Crew(Generic[T]):
    """Threads that nobody waits for when the program ends; with none, work is done on the spot.

    An executor of the standard library would hold up a Ctrl-C until its last task is done.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self._tasks: SimpleQueue[tuple[Future[T], Callable[[], T]] | None] = SimpleQueue()
        for _ in range(size):
            threading.Thread(target=self._work, daemon=True).start()

    def submit(self, task: Callable[[], T]) -> Future[T]:
        """Do it as soon as a thread is free."""
        future: Future[T] = Future()
        if self.size:
            self._tasks.put((future, task))
        else:
            _do(future, task)
        return future

    def close(self) -> None:
        """Begin nothing more."""
        with contextlib.suppress(Exception):
            while True:
                self._tasks.get_nowait()
        for _ in range(self.size):
            self._tasks.put(None)

    def _work(self) -> None:
        while (item := self._tasks.get()) is not None:
            _do(*item)
            del item  # the next one may be long in coming, and this one holds a picture


def ahead(
    items: Sequence[S], act: Callable[[S], T], crew: Crew[T]
) -> Iterator[tuple[S, Future[T]]]:
    """Items in their order, while the crew is at work on those that follow."""
    begun: deque[tuple[S, Future[T]]] = deque()
    for item in items:
        begun.append((item, crew.submit(lambda item=item: act(item))))  # type: ignore[misc]
        if len(begun) > crew.size:
            yield begun.popleft()
    while begun:
        yield begun.popleft()


def at_hand(result: T) -> Future[T]:
    """What needs no waiting for."""
    future: Future[T] = Future()
    future.set_result(result)
    return future


def _do(future: Future[T], task: Callable[[], T]) -> None:
    try:
        result = task()
    except Exception as error:
        future.set_exception(error)
    else:
        future.set_result(result)
