"""Makes pictures of a batch on one device, for a driver that may be on another machine.

Nothing here knows how it is reached: `cluster` makes it a Ray actor whose calls run in threads, so
that one picture is read and another written while a third has the model.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from dit4sr_cli import __version__
from dit4sr_cli.core import events
from dit4sr_cli.core.errors import ModelError
from dit4sr_cli.jobs.batch.ledger import Failure
from dit4sr_cli.jobs.batch.request import About, Event, Explain, Job, Request
from dit4sr_cli.jobs.journal import Stamp
from dit4sr_cli.jobs.record import Outcome

if TYPE_CHECKING:
    from dit4sr_cli.jobs.batch.work import Captions, Ready
    from dit4sr_cli.jobs.steps import Made
    from dit4sr_cli.jobs.upscaler import Upscaler

NEWS_SECONDS = 1.0
"""How long a call for news waits when there are none."""


@dataclass(frozen=True, slots=True)
class Finished:
    """A picture that was made: its file as it was read, the result's, and how it was made."""

    picture: Stamp
    result: Stamp
    outcome: Outcome


Result: TypeAlias = Finished | Failure


class Worker:
    """One model and the pictures that are at it; calls may come from several threads."""

    def __init__(self, request: Request, settings: str, explain: Explain) -> None:
        os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch is imported
        self._request, self._settings, self._explain = request, settings, explain
        self._news = _News()
        self._turn = threading.Lock()
        self._upscaler: Upscaler | None = None

    def check(self, version: str) -> None:
        """See that what is made here is what would be made where the run was started.

        Raises:
            ModelError: another version, other weights, or none.
        """
        from dit4sr_cli.jobs.batch.todo import settings_digest
        from dit4sr_cli.weights.resolve import resolve

        if version != __version__:
            raise ModelError(
                f"dit4sr {__version__} here, and {version} where the run was started",
                hint="install one version everywhere",
            )
        if settings_digest(self._request, resolve(self._request.model.model)) != self._settings:
            raise ModelError(
                f"{self._request.model.model}: other weights here than where the run was started",
                hint="share one models folder, or pull the same revision everywhere",
            )

    def load(self, version: str, texts: Sequence[str]) -> None:
        """Get ready to make pictures, with all that will be said to the model.

        Raises:
            ModelError, OutOfMemoryError: it cannot be loaded here.
        """
        from dit4sr_cli.jobs.batch.work import learn
        from dit4sr_cli.jobs.upscale import load_upscaler

        self.check(version)
        with self._turn:
            self._upscaler = load_upscaler(self._request.model, self._news.add)
            learn(self._upscaler, texts, self._request)

    def describe(self, jobs: Sequence[Job]) -> list[Captions | Failure]:
        """Captions of pictures that nobody has described yet, each by itself; before `load`.

        Raises:
            ModelError, OutOfMemoryError: of the captioner.
        """
        from dit4sr_cli.jobs.batch.work import describe

        failed: dict[Path, Failure] = {}

        def fail(job: Job, error: Exception) -> None:
            failed[job.source] = self._failure(job, error)

        with self._turn:
            told = describe(jobs, self._request, fail, self._news.add)
        return [failed.get(job.source) or {job.source: told[job.source]} for job in jobs]

    def make(self, group: Sequence[Job], captions: Captions) -> list[Result]:
        """Read, enlarge and write pictures; what becomes of each, in their order."""
        from dit4sr_cli.jobs.batch import work

        assert self._upscaler is not None, "load comes first"
        read = [self._read(job) for job in group]
        stamped = [one for one in read if not isinstance(one, Failure)]
        with self._turn:
            started = time.monotonic()
            made = work.enlarge(
                [ready for ready, _ in stamped],
                captions,
                self._upscaler,
                self._failure,
                self._news.about,
            )
            seconds = (time.monotonic() - started) / max(1, len(made))
        written = iter(
            [self._write(*one, how, seconds) for one, how in zip(stamped, made, strict=True)]
        )
        return [one if isinstance(one, Failure) else next(written) for one in read]

    def news(self) -> list[Event]:
        """What has happened since the last call; waits a moment for something to happen."""
        return self._news.take(NEWS_SECONDS)

    def _read(self, job: Job) -> tuple[Ready, Stamp] | Failure:
        from dit4sr_cli.jobs.batch import work

        try:
            ready = work.open_picture(job, self._news.aside(job))
            return ready, Stamp.of(job.source, ready.opened.source_sha256)
        except Exception as error:
            return self._failure(job, error)

    def _write(self, ready: Ready, picture: Stamp, made: Made | Failure, seconds: float) -> Result:
        from dit4sr_cli.jobs.batch import work

        if isinstance(made, Failure):
            return made
        job = ready.job
        try:
            outcome = work.finish(ready, made, seconds, self._news.aside(job))
            return Finished(picture, Stamp.of(job.target), outcome)
        except Exception as error:
            return self._failure(job, error)

    def _failure(self, job: Job, error: Exception) -> Failure:
        return Failure.of(self._explain(error))


class _News:
    """Events on their way to the driver; of how far a picture is, the latest is enough."""

    def __init__(self) -> None:
        self._events: list[Event] = []
        self._changed = threading.Condition()

    def add(self, event: Event) -> None:
        with self._changed:
            if self._events and _replaces(event, self._events[-1]):
                self._events.pop()
            self._events.append(event)
            self._changed.notify()

    def about(self, job: Job) -> events.Observer:
        return lambda event: self.add(About(job.source, event))

    def aside(self, job: Job) -> events.Observer:
        """For threads whose phases are not what the picture's bar is about."""
        return events.only_messages(self.about(job))

    def take(self, seconds: float) -> list[Event]:
        with self._changed:
            if not self._events:
                self._changed.wait(seconds)
            taken, self._events = self._events, []
            return taken


def _replaces(event: Event, last: Event) -> bool:
    return (
        isinstance(event, About)
        and isinstance(last, About)
        and event.source == last.source
        and isinstance(event.event, events.Advanced)
        and isinstance(last.event, events.Advanced)
    )
