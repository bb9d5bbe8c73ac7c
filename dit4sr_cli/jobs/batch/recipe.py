"""The recipe for many pictures: find what is missing, make it, and keep the journal whole.

A file that fails is an outcome and never stops the others. What does stop a run: the model cannot
be loaded, the journal cannot be written, or somebody says so.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from dit4sr_cli.core import events
from dit4sr_cli.jobs.batch import todo
from dit4sr_cli.jobs.batch.ledger import Ledger, sweep
from dit4sr_cli.jobs.batch.request import (
    Explain,
    Job,
    Observer,
    Planned,
    Request,
    Summary,
    as_expected,
)
from dit4sr_cli.jobs.batch.todo import Common
from dit4sr_cli.jobs.journal import Journal, journal
from dit4sr_cli.jobs.upscale import Loader, load_upscaler


def run(
    request: Request,
    *,
    load: Loader = load_upscaler,
    observe: Observer = events.ignore,
    explain: Explain = as_expected,
) -> Summary:
    """Make what is missing; the same request again goes on where a run was ended.

    Raises:
        ModelError: the model is not there, or damaged.
        OutputError: another run is at work in the folder, or the journal cannot be written.
        UsageError: there is no such cluster.
    """
    started = time.monotonic()
    known = todo.common(request)
    with journal(request.folder) as log:
        ledger = Ledger(log, observe, explain)
        _sweep(log)
        for path, reason in request.refused:
            ledger.settle(ledger.refused(path, reason))
        jobs = todo.unfinished(request, known, ledger)[: request.limit]
        try:
            if jobs:
                _make(jobs, request, known, ledger, load)
        finally:
            _sweep(log)
            ledger.give_up_the_rest()
    left = len(request.targets) + len(request.refused) - len(ledger.outcomes)
    return Summary(tuple(ledger.outcomes), left, time.monotonic() - started)


def _make(
    jobs: Sequence[Job], request: Request, known: Common, ledger: Ledger, load: Loader
) -> None:
    from dit4sr_cli.jobs.batch.groups import gathered

    sizes = {job.source: _size(job.source) for job in jobs}
    if request.ray is not None:
        from dit4sr_cli.jobs.batch import cluster

        cluster.make(gathered(jobs, request, known.model), sizes, request, known, ledger)
        return
    from dit4sr_cli.jobs.batch import local, work

    ledger.observe(Planned(sizes))

    def fail(job: Job, error: Exception) -> None:
        ledger.settle(ledger.failed(job.source, job.target, error))

    captions = work.describe(jobs, request, fail, ledger.observe)
    jobs = [job for job in jobs if job.source in captions]
    local.make(gathered(jobs, request, known.model), captions, request, ledger, load)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _sweep(log: Journal) -> None:
    """Remove what a run that was cut off has left half written."""
    for entry in log.unfinished():
        sweep(log.folder / entry.target)
