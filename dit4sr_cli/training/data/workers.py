"""The same work for many things, in this process or in several; results come in their order."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Callable, Generator, Iterator, Sequence
from multiprocessing import resource_tracker
from typing import Any, Generic, TypeVar

import torch
from torch.utils.data import DataLoader, Dataset

from dit4sr_cli.core.errors import OutOfMemoryError

W = TypeVar("W")
R = TypeVar("R")


class _Done(Dataset[R], Generic[W, R]):
    """Item i is what comes of the i-th piece of work."""

    def __init__(self, do: Callable[[W], R], work: Sequence[W]) -> None:
        self._do, self._work = do, work

    def __len__(self) -> int:
        return len(self._work)

    def __getitem__(self, index: int) -> R:
        return self._do(self._work[index])


def in_processes(do: Callable[[W], R], work: Sequence[W], workers: int) -> Generator[R, None, None]:
    """Do all of it. Each process computes with one thread, so that sums are the same everywhere.

    Closing the generator ends the processes.

    Args:
        do: a function of a module, that what it needs can be sent to.
        work: what it is called with.
        workers: processes; 1: this one.

    Raises:
        OutOfMemoryError: the system ended one of the processes.
    """
    if workers <= 1 or len(work) <= 1:
        with _one_thread():
            yield from map(do, work)
        return
    loader: DataLoader[Any] = DataLoader(
        _Done(do, work),
        batch_size=None,
        num_workers=min(workers, len(work)),
        multiprocessing_context="spawn",
    )
    results: Any = None
    try:
        with _without_interrupts():
            results = iter(loader)
        yield from results
    except RuntimeError as error:
        if "exited unexpectedly" not in str(error):
            raise
        raise OutOfMemoryError(
            "one of the processes was ended from outside, as a machine short of memory does",
            hint="run the same command again, with fewer --workers",
        ) from error
    finally:
        # Not left to the garbage collector: nobody may write once this has ended.
        if results is not None:
            results._shutdown_workers()


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)  # as it is in the processes of a loader
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextlib.contextmanager
def _without_interrupts() -> Iterator[None]:
    """Processes that begin in here never hear a terminal's Ctrl-C: this one will end them."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    resource_tracker.ensure_running()  # started later, it would unblock the signal
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
