"""Shares a batch out over a Ray cluster: an actor for each device, the journal stays here.

The machines see the same files under the same paths. Ray places the workers, restarts those that
are lost and tells of it; what was lost with one goes to whichever is free next.
"""

from __future__ import annotations

import logging
import os
import signal
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from dit4sr_cli import __version__
from dit4sr_cli.core import events, parts
from dit4sr_cli.core.errors import Dit4srError, ExitCode, ModelError, UsageError
from dit4sr_cli.core.types import DeviceChoice
from dit4sr_cli.jobs import provenance
from dit4sr_cli.jobs.batch import todo, work
from dit4sr_cli.jobs.batch.ledger import Failure, Ledger
from dit4sr_cli.jobs.batch.request import Job, Planned, Request
from dit4sr_cli.jobs.batch.todo import Common
from dit4sr_cli.jobs.batch.worker import Finished, Result, Worker
from dit4sr_cli.jobs.journal import Stamp
from dit4sr_cli.jobs.record import FileOutcome, Status

if TYPE_CHECKING:
    from dit4sr_cli.captions.source import Caption
    from dit4sr_cli.jobs.batch.work import Captions

AUTO = "auto"
MOST_LOSSES = 3
"""How often a picture may lose its worker, before it is taken to be the reason."""
DESCRIBED_AT_ONCE = 32
"""Pictures for which a captioner is loaded once."""
PATIENCE_SECONDS = 600.0
"""How long a run waits for machines when it has none at all."""
_POLL_SECONDS = 1.0
_Ref: TypeAlias = Any
_Actor: TypeAlias = Any


@dataclass(slots=True)
class _Task:
    """Pictures that go to one worker together, and how often that was lost."""

    jobs: Sequence[Job]
    losses: int = 0


@dataclass(frozen=True, slots=True)
class _Kind:
    """A round of tasks: what gets a worker ready for them, does one, and takes what comes of it."""

    prepare: Callable[[_Actor], _Ref]
    send: Callable[[_Actor, _Task], _Ref]
    take: Callable[[_Task, Any], None]


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
    with _connected(request.ray or AUTO):
        crew = _Crew(_start(request, known, ledger), request, ledger)
        ledger.observe(Planned(sizes, workers=len(crew.workers)))
        try:
            captions = _describe([job for group in groups for job in group], crew, ledger)
            tasks = [_Task([job for job in group if job.source in captions]) for group in groups]
            _enlarge([task for task in tasks if task.jobs], captions, crew, ledger)
        finally:
            crew.close()


def _describe(jobs: Sequence[Job], crew: _Crew, ledger: Ledger) -> dict[Path, Sequence[Caption]]:
    captions: dict[Path, Sequence[Caption]] = {
        job.source: [job.caption] for job in jobs if job.caption is not None
    }
    left = [job for job in jobs if job.caption is None]

    def take(task: _Task, told: Sequence[Captions | Failure]) -> None:
        for job, one in zip(task.jobs, told, strict=True):
            if isinstance(one, Failure):
                ledger.settle(ledger.failed(job.source, job.target, one))
            else:
                captions[job.source] = next(iter(one.values()))

    crew.share(
        [
            _Task(left[start : start + DESCRIBED_AT_ONCE])
            for start in range(0, len(left), DESCRIBED_AT_ONCE)
        ],
        _Kind(
            prepare=lambda worker: crew.call(worker.check, __version__),
            send=lambda worker, task: worker.describe.remote(_absolute(task.jobs)),
            take=take,
        ),
    )
    return captions


def _enlarge(tasks: Sequence[_Task], captions: Captions, crew: _Crew, ledger: Ledger) -> None:
    texts = work.texts_of(captions)

    def send(worker: _Actor, task: _Task) -> _Ref:
        jobs = _absolute(task.jobs)
        told = {to.source: captions[job.source] for job, to in zip(task.jobs, jobs, strict=True)}
        return worker.make.remote(jobs, told)

    def take(task: _Task, results: Sequence[Result]) -> None:
        for job, result in zip(task.jobs, results, strict=True):
            ledger.settle(_outcome(job, result, ledger))

    crew.share(
        tasks,
        _Kind(
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


# -------------------------------------------------------------- workers and what they are at


@dataclass(slots=True)
class _Call:
    """Something that a worker was asked for; a task, news, or to get ready."""

    worker: int
    task: _Task | None = None
    is_news: bool = False


@dataclass(slots=True)
class _Member:
    """A worker as it is seen from here."""

    name: str
    actor: _Actor
    is_ready: bool = False
    tasks: int = 0


class _Crew:
    """The workers of a run, and what each of them is at."""

    def __init__(self, workers: Sequence[_Member], request: Request, ledger: Ledger) -> None:
        self.workers = list(workers)
        self._request, self._ledger = request, ledger
        self._calls: dict[_Ref, _Call] = {}
        self._reason: Exception | None = None
        self._alone_since = time.monotonic()

    def call(self, method: Any, *args: object) -> _Ref:
        """A call that is made again if the worker is lost and started anew meanwhile."""
        return method.options(max_task_retries=MOST_LOSSES).remote(*args)

    def share(
        self, tasks: Sequence[_Task], kind: _Kind, begin: Callable[[Job], bool] | None = None
    ) -> None:
        """Have tasks done, each by whoever is free; those whose worker is lost, again.

        Raises:
            Dit4srError: no worker is left.
        """
        if not tasks:
            return
        waiting = deque(tasks)
        for number in range(len(self.workers)):
            self._prepare(number, kind)
        while waiting or any(call.task for call in self._calls.values()):
            if self._request.fail_fast and self._ledger.has_failed:
                waiting.clear()
            self._hand_out(waiting, kind, begin)
            for ref in self._returned():
                self._settle(ref, waiting, kind)
            self._check_patience()

    def close(self) -> None:
        """End the workers, whatever they are at, and remove what they leave half written."""
        import ray

        held = [job for call in self._calls.values() if call.task for job in call.task.jobs]
        for member in self.workers:
            ray.kill(member.actor)
        for member in self.workers:  # only when it is gone, nothing more comes
            with suppress(Exception):
                ray.get(member.actor.news.remote(), timeout=10)
        self._calls.clear()
        for job in held:
            _sweep(job)

    def _prepare(self, number: int, kind: _Kind) -> None:
        member = self.workers[number]
        member.is_ready = False
        self._calls[kind.prepare(member.actor)] = _Call(number)

    def _listen(self, number: int) -> None:
        ref = self.workers[number].actor.news.remote()
        self._calls[ref] = _Call(number, is_news=True)

    def _hand_out(
        self, waiting: deque[_Task], kind: _Kind, begin: Callable[[Job], bool] | None
    ) -> None:
        for number, member in enumerate(self.workers):
            while waiting and member.is_ready and member.tasks <= self._request.threads:
                task = waiting.popleft()
                if begin and not task.losses:
                    task = _Task([job for job in task.jobs if begin(job)])
                if task.jobs:
                    self._calls[kind.send(member.actor, task)] = _Call(number, task)
                    member.tasks += 1

    def _returned(self) -> list[_Ref]:
        import ray

        if not self._calls:
            return []
        ready, _ = ray.wait(list(self._calls), num_returns=1, timeout=_POLL_SECONDS)
        # Tasks first: what a worker's loss means for it is said once, by what it was asked for.
        return sorted(ready, key=lambda ref: self._calls[ref].is_news)

    def _settle(self, ref: _Ref, waiting: deque[_Task], kind: _Kind) -> None:
        import ray
        from ray.exceptions import RayActorError, RayTaskError

        call = self._calls.pop(ref)
        member = self.workers[call.worker]
        member.tasks -= call.task is not None
        try:
            value = ray.get(ref)
        except RayActorError as error:
            self._lost(call, error, waiting, kind)
        except RayTaskError as error:
            self._refused(call, error)
        else:
            if call.is_news:
                for event in value:
                    self._ledger.observe(event)
                if member.is_ready:
                    self._listen(call.worker)
            elif call.task is not None:
                kind.take(call.task, value)
            else:
                member.is_ready = True
                self._listen(call.worker)

    def _refused(self, call: _Call, error: Any) -> None:
        """A worker said no: it cannot load the model, or there is a bug."""
        cause = error.cause if isinstance(error.cause, Exception) else error
        if call.task is not None:
            for job in call.task.jobs:
                self._ledger.settle(self._ledger.failed(job.source, job.target, cause))
        elif not call.is_news:
            self._drop(call.worker, self._ledger.explain(cause))

    def _lost(self, call: _Call, error: Exception, waiting: deque[_Task], kind: _Kind) -> None:
        """A worker is gone: Ray starts it anew, and what it was at goes on elsewhere."""
        member = self.workers[call.worker]
        if call.task is None and not call.is_news:
            reason = str(error).splitlines()[0]
            self._drop(call.worker, ModelError(f"the worker cannot be started: {reason}"))
            return
        if member.is_ready:
            self._ledger.observe(events.Warned(f"{member.name}: lost; it is started again"))
            self._prepare(call.worker, kind)
        if call.task is not None:
            waiting.extendleft(reversed(self._again(call.task)))

    def _again(self, task: _Task) -> list[_Task]:
        """What of a lost task is still to be done, picture by picture."""
        left = []
        for job in task.jobs:
            _sweep(job)
            if todo.why_not(job, self._request, self._ledger.log) == todo.DONE_BEFORE:
                outcome = FileOutcome(source=job.source, target=job.target, status=Status.DONE)
                self._ledger.settle(outcome)
            elif task.losses + 1 >= MOST_LOSSES:
                reason = f"{job.source}: its worker was lost {MOST_LOSSES} times"
                failure = Failure(reason, int(ExitCode.INTERNAL))
                self._ledger.settle(self._ledger.failed(job.source, job.target, failure))
            else:
                left.append(_Task([job], task.losses + 1))
        return left

    def _drop(self, number: int, error: Dit4srError) -> None:
        """Go on without a worker; with the last one, the run ends."""
        member = self.workers[number]
        self._calls = {ref: call for ref, call in self._calls.items() if call.worker != number}
        self._reason = error
        is_last = not any(call.task or not call.is_news for call in self._calls.values()) and not (
            any(other.is_ready for other in self.workers)
        )
        if is_last:
            raise error
        self._ledger.observe(events.Warned(f"{member.name}: left out: {error.message}"))

    def _check_patience(self) -> None:
        if any(member.is_ready for member in self.workers):
            self._alone_since = time.monotonic()
        elif time.monotonic() - self._alone_since > PATIENCE_SECONDS:
            raise UsageError(
                f"no machine of the cluster has been there for {PATIENCE_SECONDS:.0f} s",
                hint="the same command goes on when there are some",
            )


def _sweep(job: Job) -> None:
    for target in (job.target, provenance.sidecar_of(job.target)):
        parts.sweep(target)


# -------------------------------------------------------------------------- Ray itself


@contextmanager
def _connected(address: str) -> Iterator[None]:
    """A cluster that is there, or for `auto` this machine as one if there is none.

    Raises:
        UsageError: Ray is not installed, or nothing answers.
    """
    try:
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is sent anywhere
        import ray
    except ImportError as error:
        raise UsageError(
            "--ray needs Ray, which is not installed", hint="pip install 'dit4sr[ray]'"
        ) from error
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        ray.init(
            address=None if address == AUTO else address,
            log_to_driver=False,
            logging_level=logging.ERROR,
        )
    except (ConnectionError, ValueError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise UsageError(
            f"--ray {address}: {reason}", hint="start a cluster with `ray start --head`"
        ) from error
    try:
        for number, handler in handlers.items():  # Ray puts its own in their place
            signal.signal(number, handler)
        yield
    finally:
        ray.shutdown()


def _start(request: Request, known: Common, ledger: Ledger) -> list[_Member]:
    """A worker for each GPU; where there are none, for each machine, with all its cores."""
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    actor = ray.remote(max_restarts=-1, max_concurrency=request.threads + 4)(Worker)
    is_cpu = request.model.device is DeviceChoice.CPU
    started: list[_Member] = []
    for node in (node for node in ray.nodes() if node["Alive"]):
        has = node["Resources"]
        gpus = 0 if is_cpu else int(has.get("GPU", 0))
        shares = [{"num_gpus": 1, "num_cpus": 0}] * gpus
        if not gpus and has.get("CPU", 0) >= 1:
            shares = [{"num_cpus": int(has["CPU"])}]
        for share in shares:
            place = NodeAffinitySchedulingStrategy(node["NodeID"], soft=True)
            name = f"worker {node['NodeManagerHostname']}:{len(started) + 1}"
            handle = actor.options(scheduling_strategy=place, **share).remote(
                _for_workers(request), known.settings, ledger.explain
            )
            started.append(_Member(name, handle))
    if not started:
        raise UsageError("the cluster has neither a GPU nor a core to spare")
    return started


def _for_workers(request: Request) -> Request:
    """The settings alone: a list of all files need not go to each worker."""
    return replace(request, targets={}, refused=())
