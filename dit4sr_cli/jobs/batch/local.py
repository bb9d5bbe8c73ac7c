"""Makes the pictures of a batch in this process: read ahead, made in turn, written behind."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from dit4sr_cli.core import events
from dit4sr_cli.jobs.batch import work
from dit4sr_cli.jobs.batch.crew import Crew, ahead, at_hand
from dit4sr_cli.jobs.batch.ledger import Ledger
from dit4sr_cli.jobs.batch.request import Job, Request
from dit4sr_cli.jobs.batch.work import Captions, Ready
from dit4sr_cli.jobs.journal import Stamp
from dit4sr_cli.jobs.record import FileOutcome, Status
from dit4sr_cli.jobs.upscale import Loader

if TYPE_CHECKING:
    from dit4sr_cli.jobs.steps import Made
    from dit4sr_cli.jobs.upscaler import Upscaler


@dataclass(frozen=True, slots=True)
class _Stamped:
    """A picture that was read, as its file was then."""

    ready: Ready
    picture: Stamp


_Read: TypeAlias = list[_Stamped | FileOutcome]


def make(
    groups: Sequence[Sequence[Job]],
    captions: Captions,
    request: Request,
    ledger: Ledger,
    load: Loader,
) -> None:
    """Make the pictures; what is made when it ends, however it ends, is written."""
    maker = _Maker(captions, request, ledger, load)
    readers, writers = (Crew[Any](request.threads) for _ in range(2))
    behind: deque[Future[FileOutcome]] = deque()
    try:
        for _, reading in ahead(groups, maker.read, readers):
            if request.fail_fast and (ledger.has_failed or any(map(_has_failed, behind))):
                break
            behind.extend(maker.enlarge(reading.result(), writers))
            while behind and (len(behind) > writers.size or behind[0].done()):
                _settle_first(behind, ledger)
    finally:
        readers.close()
        while behind:
            _settle_first(behind, ledger)
        writers.close()


def _has_failed(outcome: Future[FileOutcome]) -> bool:
    return outcome.done() and outcome.result().status is Status.FAILED


def _settle_first(behind: deque[Future[FileOutcome]], ledger: Ledger) -> None:
    ledger.settle(behind[0].result())
    behind.popleft()  # only now: a Ctrl-C while waiting must not lose it


class _Maker:
    """What one group's way has in common with the next one's: the model, above all."""

    def __init__(self, captions: Captions, request: Request, ledger: Ledger, load: Loader) -> None:
        self._captions, self._request, self._ledger, self._load = captions, request, ledger, load
        self._upscaler: Upscaler | None = None

    def read(self, group: Sequence[Job]) -> _Read:
        """Read a group, in a thread of its own."""
        return [self._read(job) for job in group]

    def _read(self, job: Job) -> _Stamped | FileOutcome:
        try:
            was_free = not job.target.exists()
            ready = work.open_picture(job, self._ledger.whisper(job))
            picture = Stamp.of(job.source, ready.opened.source_sha256)
        except Exception as error:
            return self._failed(job, error)
        self._ledger.started(job, picture, was_free=was_free)
        return _Stamped(ready, picture)

    def enlarge(self, read: _Read, writers: Crew[FileOutcome]) -> list[Future[FileOutcome]]:
        """Make a group and hand it to be written; a failure is an outcome, too."""
        outcomes = [at_hand(one) for one in read if isinstance(one, FileOutcome)]
        group = [one for one in read if isinstance(one, _Stamped)]
        if not group:
            return outcomes
        upscaler = self._loaded()
        started = time.monotonic()
        several = work.enlarge(
            [one.ready for one in group],
            self._captions,
            upscaler,
            self._failed,
            self._ledger.talk,
        )
        seconds = (time.monotonic() - started) / len(group)
        for one, made in zip(group, several, strict=True):
            outcomes.append(
                at_hand(made)
                if isinstance(made, FileOutcome)
                else writers.submit(_Finish(self._ledger, one, made, seconds))
            )
        return outcomes

    def _loaded(self) -> Upscaler:
        """The model, loaded when the first picture is there, with all that will be said to it."""
        if self._upscaler is None:
            self._ledger.observe(events.PhaseStarted("loading the model"))
            self._upscaler = self._load(self._request.model, self._ledger.observe)
            work.learn(self._upscaler, work.texts_of(self._captions), self._request)
        return self._upscaler

    def _failed(self, job: Job, error: Exception) -> FileOutcome:
        return self._ledger.failed(job.source, job.target, error)


@dataclass(frozen=True, slots=True)
class _Finish:
    """The task to write a picture, in a thread of its own."""

    ledger: Ledger
    stamped: _Stamped
    made: Made
    seconds: float

    def __call__(self) -> FileOutcome:
        ready, picture = self.stamped.ready, self.stamped.picture
        job = ready.job
        try:
            outcome = work.finish(ready, self.made, self.seconds, self.ledger.whisper(job))
            return self.ledger.done(job, picture, Stamp.of(job.target), outcome)
        except Exception as error:
            return self.ledger.failed(job.source, job.target, error)
