"""The only place that uses the network: lists repositories on the hub and fetches their files.

huggingface_hub speaks the protocol. Its own downloads start a file anew in each process (2.4 does),
so files that are not complete are kept here, and its http_get is asked for what they lack.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, BinaryIO, TypeVar, cast

from dit4sr_cli.core import events
from dit4sr_cli.core.errors import NetworkError
from dit4sr_cli.weights.catalog import Part
from dit4sr_cli.weights.files import GIT, SHA256, matches
from dit4sr_cli.weights.hub_errors import AGAIN, explain, is_transient, retry_after, was_retried
from dit4sr_cli.weights.job import Job, Listing
from dit4sr_cli.weights.manifest import PulledFile

if TYPE_CHECKING:
    from huggingface_hub.hf_api import ModelInfo

_TRIES = 3
_LONGEST_WAIT = 60.0
_CHUNK = 1 << 20
"""What a broken connection loses at most, and the step of the progress bars."""
_PATIENCE = 2.0
"""Seconds that workers get to end by themselves."""

T = TypeVar("T")


def list_files(part: Part, revision: str) -> Listing:
    """Ask the hub what a repository holds.

    Args:
        part: whose repository.
        revision: branch, tag or commit.

    Raises:
        NetworkError: the hub cannot be reached or refuses.
        ModelError: there is no such repository or revision.
    """
    from huggingface_hub import HfApi, constants

    def ask() -> ModelInfo:
        seconds = float(constants.HF_HUB_ETAG_TIMEOUT)
        return HfApi().model_info(
            part.repo, revision=revision, files_metadata=True, timeout=seconds
        )

    with _quiet_client():
        try:
            info = _with_patience(ask)
        except Exception as error:
            raise explain(error, part, revision) from error
    files = []
    for entry in info.siblings or []:
        if entry.lfs is not None:
            files.append(
                PulledFile(entry.rfilename, entry.lfs.size, f"{SHA256}:{entry.lfs.sha256}")
            )
        elif entry.size is not None and entry.blob_id is not None:
            files.append(PulledFile(entry.rfilename, entry.size, f"{GIT}:{entry.blob_id}"))
    return Listing(str(info.sha), tuple(files), bool(info.gated) or part.gated)


def check_access(job: Job) -> None:
    """Ask for a file without fetching it, so that a closed gate is known before hours of transfer.

    Raises:
        NetworkError: there is no token, or one without access.
    """
    from huggingface_hub import get_hf_file_metadata

    with _quiet_client():
        try:
            _with_patience(lambda: get_hf_file_metadata(_url(job)))
        except Exception as error:
            raise explain(error, job.part, job.commit) from error


def fetch(
    jobs: Sequence[Job],
    *,
    workers: int = 4,
    observe: events.TransferObserver = events.ignore,
) -> None:
    """Fetch files, several at a time; each is in its place only once its checksum is right.

    The first failure, and whatever the observer raises, ends the others soon; what has arrived is
    kept for the next time. The observer is called in the calling thread.

    Raises:
        NetworkError: the connection broke and stayed so, the hub refuses, or a checksum is wrong.
        OutputError: the disk is full, or may not be written.
    """
    stop = threading.Event()
    mailbox: queue.SimpleQueue[events.TransferEvent | Exception | None] = queue.SimpleQueue()
    pending: queue.SimpleQueue[Job] = queue.SimpleQueue()
    for job in jobs:
        pending.put(job)

    def work() -> None:
        with suppress(queue.Empty):
            while not stop.is_set():
                job = pending.get_nowait()
                try:
                    _fetch_checked(job, mailbox.put, stop)
                except Exception as error:
                    mailbox.put(error)
                    break
        mailbox.put(None)

    with _quiet_client():
        # Daemons: at Ctrl-C nobody waits for a connection that says nothing.
        threads = [threading.Thread(target=work, daemon=True) for _ in range(workers)]
        for thread in threads:
            thread.start()
        try:
            _hand_over(mailbox, len(threads), observe)
        finally:
            stop.set()
            for thread in threads:
                thread.join(_PATIENCE / len(threads))


def _hand_over(
    mailbox: queue.SimpleQueue[events.TransferEvent | Exception | None],
    num_workers: int,
    observe: events.TransferObserver,
) -> None:
    """Pass events on until every worker has ended; raise the first failure at once."""
    while num_workers:
        try:
            letter = mailbox.get(timeout=0.5)  # without one, Windows would not hear Ctrl-C
        except queue.Empty:
            continue
        if letter is None:
            num_workers -= 1
        elif isinstance(letter, Exception):
            raise letter
        else:
            observe(letter)


class _Cancelled(Exception):
    """Somebody else failed, or the user has had enough."""


class _Sink:
    """The file that http_get writes to: says how far it is, and ends the transfer when told to."""

    def __init__(
        self, stream: BinaryIO, tell: Callable[[int], None], stop: threading.Event
    ) -> None:
        self._stream, self._tell, self._stop = stream, tell, stop

    def write(self, data: bytes) -> int:
        if self._stop.is_set():
            raise _Cancelled
        self._stream.write(data)
        self._stream.flush()
        self._tell(self._stream.tell())
        return len(data)

    def seek(self, position: int, whence: int = 0) -> int:
        return self._stream.seek(position, whence)

    def tell(self) -> int:
        return self._stream.tell()

    def truncate(self, size: int | None = None) -> int:
        return self._stream.truncate(size)


def _fetch_checked(
    job: Job, tell: Callable[[events.TransferEvent], None], stop: threading.Event
) -> None:
    """Fetch a file; if its bytes are wrong, once more from the start."""
    try:
        job.partial.parent.mkdir(parents=True, exist_ok=True)
        job.target.parent.mkdir(parents=True, exist_ok=True)
        tell(events.FileStarted(job.name, job.file.size, job.num_arrived))
        for _ in range(2):
            _fetch(job, tell, stop)
            if matches(job.partial, job.file.digest):
                job.partial.replace(job.target)
                tell(events.FileFinished(job.name))
                return
            job.partial.unlink()
            tell(events.FileAdvanced(job.name, 0))
    except _Cancelled:
        return
    except Exception as error:
        raise explain(error, job.part, job.commit, job.target) from error
    raise NetworkError(
        f"{job.name}: twice its checksum was wrong, and it was deleted",
        hint=f"{AGAIN}, perhaps over another network or without a mirror (HF_ENDPOINT)",
    )


def _fetch(job: Job, tell: Callable[[events.TransferEvent], None], stop: threading.Event) -> None:
    """Fetch what is still missing; breaks are mended as long as bytes keep coming."""
    failures = 0
    while True:
        before = job.num_arrived
        try:
            with job.partial.open("ab") as stream:
                _request(job, stream, lambda done: tell(events.FileAdvanced(job.name, done)), stop)
            return
        except Exception as error:
            failures = 0 if job.num_arrived > before else failures + 1
            if not is_transient(error) or was_retried(error) or failures >= _TRIES:
                raise
            if stop.wait(_pause(error, failures)):
                raise _Cancelled from None


def _request(
    job: Job, stream: BinaryIO, advanced: Callable[[int], None], stop: threading.Event
) -> None:
    from huggingface_hub.file_download import http_get
    from huggingface_hub.utils import build_hf_headers  # type: ignore[attr-defined]

    if stream.tell() > job.file.size:
        stream.truncate(0)
        stream.seek(0)
    http_get(
        _url(job),
        cast(BinaryIO, _Sink(stream, advanced, stop)),
        resume_size=stream.tell(),
        headers=build_hf_headers(library_name="dit4sr"),
        expected_size=job.file.size,
    )


def _url(job: Job) -> str:
    from huggingface_hub import hf_hub_url

    return hf_hub_url(job.part.repo, job.file.path, revision=job.commit)


def _with_patience(ask: Callable[[], T]) -> T:
    """Ask again, a little later, when the hub or the line is busy."""
    for failures in range(1, _TRIES):
        try:
            return ask()
        except Exception as error:
            if not is_transient(error):
                raise
            time.sleep(_pause(error, failures))
    return ask()


def _pause(error: Exception, failures: int) -> float:
    """Seconds to wait: what the hub asks for, or longer each time."""
    return min(retry_after(error) or 2.0 ** (failures - 1), _LONGEST_WAIT)


@contextmanager
def _quiet_client() -> Iterator[None]:
    """Neither bars nor log lines of huggingface_hub, and small steps."""
    from huggingface_hub import constants
    from huggingface_hub.utils import disable_progress_bars  # type: ignore[attr-defined]

    logger = logging.getLogger("huggingface_hub")
    level, chunk = logger.level, constants.DOWNLOAD_CHUNK_SIZE
    disable_progress_bars()
    logger.setLevel(logging.CRITICAL)
    constants.DOWNLOAD_CHUNK_SIZE = _CHUNK
    try:
        yield
    finally:
        logger.setLevel(level)
        constants.DOWNLOAD_CHUNK_SIZE = chunk
