"""A process of its own for each variant, so that its memory can be told; runs when it is told."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
from collections.abc import Iterator
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from dit4sr_cli.core.errors import Dit4srError, ModelError, OutOfMemoryError

if TYPE_CHECKING:
    from dit4sr_cli.bench.lap import Lap
    from dit4sr_cli.bench.task import Task

Order: TypeAlias = Literal["run", "keep"]


class Worker:
    """The parent's end."""

    def __init__(self, task: Task, process: BaseProcess, connection: Connection) -> None:
        self.task = task
        self._process, self._connection = process, connection

    def run(self) -> Lap:
        """One run; the first loads the model.

        Raises:
            Dit4srError: what the run raised, or that the process died.
        """
        lap: Lap = self._ask("run")
        return lap

    def keep(self) -> None:
        """Have the last result in the task's file."""
        self._ask("keep")

    def _ask(self, order: Order) -> Any:
        try:
            self._connection.send(order)
            answer = self._connection.recv()
        except (EOFError, OSError):
            self._process.join()
            raise self._died() from None
        if isinstance(answer, BaseException):
            raise answer
        return answer

    def _died(self) -> Dit4srError:
        code, name = self._process.exitcode, self.task.variant.name
        if code == -getattr(signal, "SIGKILL", 9):
            return OutOfMemoryError(
                f"{name}: the process was killed, as systems do when memory runs out",
                hint="measure a smaller picture or model, or --dtype bf16",
            )
        return ModelError(f"{name}: the process ended with code {code}")


@contextlib.contextmanager
def working(task: Task) -> Iterator[Worker]:
    """A process for a task; it is gone afterwards, whatever happens."""
    # Not a fork: it would begin with the parent's memory, and with threads that are not there.
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(theirs, task), daemon=True)
    process.start()
    theirs.close()
    try:
        yield Worker(task, process, ours)
    finally:
        ours.close()  # which ends it, if it waits for an order
        process.join(timeout=1)
        if process.is_alive():
            process.terminate()
            process.join()


def _serve(connection: Connection, task: Task) -> None:
    """The child's side: answers every order with a lap or an error."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # it is the parent that is interrupted
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    try:
        _answer(connection, task)
    except Exception as error:
        with contextlib.suppress(OSError):  # nobody is there to hear it
            connection.send(_sendable(error))


def _answer(connection: Connection, task: Task) -> None:
    from dit4sr_cli.bench.subject import Subject

    subject = Subject(task)
    while (order := _next(connection)) is not None:
        answer = subject.run() if order == "run" else None
        if order == "keep":
            subject.keep()
        connection.send(answer)


def _next(connection: Connection) -> Order | None:
    """What is asked for; None: nobody asks any more."""
    try:
        order: Order = connection.recv()
        return order
    except EOFError:
        return None


def _sendable(error: Exception) -> Exception:
    """The error as one that the parent can read and tell."""
    from dit4sr_cli.pipeline.memory import is_out_of_memory

    if isinstance(error, Dit4srError):
        return error
    if is_out_of_memory(error):
        return OutOfMemoryError("not enough memory", hint="measure a smaller picture or tile")
    return RuntimeError(f"{type(error).__name__}: {error}")
