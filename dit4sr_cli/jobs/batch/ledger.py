"""Keeps what becomes of the files of a batch: in the journal, and told to whoever observes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from dit4sr_cli.core import events, parts
from dit4sr_cli.core.errors import Dit4srError, ExitCode
from dit4sr_cli.jobs.batch.request import About, Explain, Job, Observer
from dit4sr_cli.jobs.journal import Entry, Happened, Journal, Stamp
from dit4sr_cli.jobs.provenance import sidecar_of
from dit4sr_cli.jobs.record import FileOutcome, Outcome, Status

_UNREADABLE = "folder cannot be read"


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a picture could not be made, in one line, and the exit code that alone would have."""

    reason: str
    code: int

    @classmethod
    def of(cls, error: Dit4srError) -> Failure:
        """What is kept of an error."""
        reason = f"{error.message} ({error.hint})" if error.hint else error.message
        return cls(reason, int(error.exit_code))


def sweep(target: Path) -> None:
    """Remove what was left half written for a picture and its sidecar; nobody may be at it."""
    for path in (target, sidecar_of(target)):
        parts.sweep(path)


class Ledger:
    """The journal of a run and the outcomes so far; `settle` is for the main thread alone."""

    def __init__(self, log: Journal, observe: Observer, explain: Explain) -> None:
        self.log, self.observe, self.explain = log, observe, explain
        self.outcomes: list[FileOutcome] = []
        self.has_failed = False

    def settle(self, outcome: FileOutcome) -> None:
        """An outcome that is final."""
        self.outcomes.append(outcome)
        self.has_failed |= outcome.status is Status.FAILED
        self.observe(outcome)

    def started(self, job: Job, picture: Stamp, *, was_free: bool) -> None:
        """A picture is about to be made."""
        self._log(job, Happened.STARTED, picture=picture, was_free=was_free)

    def done(self, job: Job, picture: Stamp, result: Stamp, outcome: Outcome) -> FileOutcome:
        """A picture was made, and its result is in place."""
        self._log(job, Happened.DONE, picture=picture, result=result, outcome=outcome)
        return FileOutcome(
            source=job.source,
            target=job.target,
            status=Status.DONE,
            seconds=outcome.seconds,
            outcome=outcome,
        )

    def failed(self, source: Path, target: Path, error: Exception | Failure) -> FileOutcome:
        """A picture could not be made.

        Nothing of the exception is kept: its frames hold pictures and tensors.
        """
        failure = error if isinstance(error, Failure) else Failure.of(self.explain(error))
        entry = Entry(
            event=Happened.FAILED,
            target=self.log.name_of(target),
            source=str(source),
            settings="",
            reason=failure.reason,
        )
        self.log.add(entry)
        return FileOutcome(
            source=source,
            target=target,
            status=Status.FAILED,
            reason=failure.reason,
            code=failure.code,
        )

    def skipped(self, job: Job, reason: str) -> FileOutcome:
        """A picture that need not be made."""
        return FileOutcome(
            source=job.source, target=job.target, status=Status.SKIPPED, reason=reason
        )

    def refused(self, path: Path, reason: str) -> FileOutcome:
        """What is no picture is skipped; a folder that cannot be looked into may hold many."""
        is_lost = reason.startswith(_UNREADABLE)
        return FileOutcome(
            source=path,
            target=None,
            status=Status.FAILED if is_lost else Status.SKIPPED,
            reason=reason,
            code=int(ExitCode.INPUT) if is_lost else 0,
        )

    def give_up_the_rest(self) -> None:
        """Say of pictures that were read in vain that nothing of them is there."""
        for entry in self.log.unfinished():
            if not (self.log.folder / entry.target).exists():
                self.log.add(replace(entry, event=Happened.FAILED, reason="not finished", time=0.0))

    def talk(self, job: Job) -> events.Observer:
        """An observer of what happens to a picture."""
        return lambda event: self.observe(About(job.source, event))

    def whisper(self, job: Job) -> events.Observer:
        """For other threads, whose phases are not what the run is waiting for."""
        return events.only_messages(self.talk(job))

    def _log(self, job: Job, event: Happened, **more: Any) -> None:
        name = self.log.name_of(job.target)
        source, settings = str(job.source), job.settings
        self.log.add(Entry(event=event, target=name, source=source, settings=settings, **more))
