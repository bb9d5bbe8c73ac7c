"""Shares a batch out over a Ray cluster: an actor for each device, the journal stays here.

The machines see the same files under the same paths. What is lost with a worker goes to whichever
is free next.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from dit4sr_cli import __version__
from dit4sr_cli.core.errors import ExitCode
from dit4sr_cli.jobs.batch import work
from dit4sr_cli.jobs.batch.connection import AUTO, Actor, Ref, connected, start
from dit4sr_cli.jobs.batch.ledger import Failure, Ledger
from dit4sr_cli.jobs.batch.request import Job, Planned, Request
from dit4sr_cli.jobs.batch.sharing import Crew, Kind, Task
from dit4sr_cli.jobs.batch.todo import Common
from dit4sr_cli.jobs.batch.worker import Finished, Result
from dit4sr_cli.jobs.journal import Stamp
from dit4sr_cli.jobs.record import FileOutcome

if TYPE_CHECKING:
    from dit4sr_cli.captions.source import Caption
    from dit4sr_cli.jobs.batch.work import Captions

DESCRIBED_AT_ONCE = 32
"""Pictures for which a captioner is loaded once."""


def make(
    groups: Sequence[Sequence[Job]],
    sizes: Mapping[Path, int],
    request: Request,
    known: Common,
    ledger: Ledger,
) -> None:
    """Make the pictures on all devices of the cluster.

    Raises:
        UsageError: Ray is not installed, or there is no such cluster.
        ModelError: no machine of it can load the model.
    """
    with connected(request.ray or AUTO):
        crew = Crew(start(request, known.settings, ledger.explain), request, ledger)
        ledger.observe(Planned(sizes, workers=len(crew.workers)))
        try:
            captions = _describe([job for group in groups for job in group], crew, ledger)
            tasks = [Task([job for job in group if job.source in captions]) for group in groups]
            _enlarge([task for task in tasks if task.jobs], captions, crew, ledger)
        finally:
            crew.close()


def _describe(jobs: Sequence[Job], crew: Crew, ledger: Ledger) -> dict[Path, Sequence[Caption]]:
    captions: dict[Path, Sequence[Caption]] = {
        job.source: [job.caption] for job in jobs if job.caption is not None
    }
    left = [job for job in jobs if job.caption is None]

    def take(task: Task, told: Sequence[Captions | Failure]) -> None:
        for job, one in zip(task.jobs, told, strict=True):
            if isinstance(one, Failure):
                ledger.settle(ledger.failed(job.source, job.target, one))
            else:
                captions[job.source] = next(iter(one.values()))

    crew.share(
        [
            Task(left[start : start + DESCRIBED_AT_ONCE])
            for start in range(0, len(left), DESCRIBED_AT_ONCE)
        ],
        Kind(
            prepare=lambda worker: crew.call(worker.check, __version__),
            send=lambda worker, task: worker.describe.remote(_absolute(task.jobs)),
            take=take,
        ),
    )
    return captions


def _enlarge(tasks: Sequence[Task], captions: Captions, crew: Crew, ledger: Ledger) -> None:
    texts = work.texts_of(captions)

    def send(worker: Actor, task: Task) -> Ref:
        jobs = _absolute(task.jobs)
        told = {to.source: captions[job.source] for job, to in zip(task.jobs, jobs, strict=True)}
        return worker.make.remote(jobs, told)

    def take(task: Task, results: Sequence[Result]) -> None:
        for job, result in zip(task.jobs, results, strict=True):
            ledger.settle(_outcome(job, result, ledger))

    crew.share(
        tasks,
        Kind(
            prepare=lambda worker: crew.call(worker.load, __version__, texts),
            send=send,
            take=take,
        ),
        begin=partial(_begin, ledger=ledger),
    )


def _begin(job: Job, ledger: Ledger) -> bool:
    """Say in the journal that a picture is about to be made; not if it cannot even be read."""
    try:
        ledger.started(job, Stamp.of(job.source), was_free=not job.target.exists())
    except OSError as error:
        reason = f"{job.source}: {error.strerror}"
        failure = Failure(reason, int(ExitCode.INPUT))
        ledger.settle(ledger.failed(job.source, job.target, failure))
        return False
    return True


def _outcome(job: Job, result: Result, ledger: Ledger) -> FileOutcome:
    if isinstance(result, Finished):
        outcome = replace(result.outcome, input=job.request.name, output=str(job.target))
        return ledger.done(job, result.picture, result.result, outcome)
    return ledger.failed(job.source, job.target, result)


def _absolute(jobs: Sequence[Job]) -> list[Job]:
    """Jobs for a process that may stand in another folder."""
    return [_absolute_job(job) for job in jobs]


def _absolute_job(job: Job) -> Job:
    source, target = job.source.absolute(), job.target.absolute()
    output = replace(job.request.output, target=target)
    request = replace(job.request, source=source, output=output)
    return replace(job, request=request, source=source, target=target)
