"""Who of a cluster's workers does what: each gets tasks when it is free, and they outlive it.

Ray starts a worker that is lost anew; until it is ready again it is asked for nothing.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from dit4sr_cli.core import events
from dit4sr_cli.core.errors import Dit4srError, ExitCode, ModelError, UsageError
from dit4sr_cli.jobs.batch import todo
from dit4sr_cli.jobs.batch.connection import Actor, Ref
from dit4sr_cli.jobs.batch.ledger import Failure, Ledger, sweep
from dit4sr_cli.jobs.batch.request import Job, Request
from dit4sr_cli.jobs.record import FileOutcome, Status

MOST_LOSSES = 3
"""How often a picture may lose its worker, before it is taken to be the reason."""
PATIENCE_SECONDS = 600.0
"""How long a run waits for machines when it has none at all."""
_POLL_SECONDS = 1.0


@dataclass(frozen=True, slots=True, eq=False)
class Task:
    """Pictures that go to one worker together, and how often that was lost."""

    jobs: Sequence[Job]
    losses: int = 0


@dataclass(frozen=True, slots=True)
class Kind:
    """A round of tasks: what gets a worker ready for them, does one, and takes what comes of it."""

    prepare: Callable[[Actor], Ref]
    send: Callable[[Actor, Task], Ref]
    take: Callable[[Task, Any], None]


@dataclass(slots=True)
class _Call:
    """Something that a worker was asked for; a task, news, or to get ready."""

    worker: int
    task: Task | None = None
    is_news: bool = False


@dataclass(slots=True)
class _Member:
    """A worker as it is seen from here."""

    name: str
    actor: Actor
    is_ready: bool = False
    tasks: list[Task] = field(default_factory=list)

    def has_room_for(self, task: Task, at_once: int) -> bool:
        """Whether a task can be given to it; what was lost goes alone, to see who is to blame."""
        if not self.is_ready:
            return False
        if task.losses or any(other.losses for other in self.tasks):
            return not self.tasks
        return len(self.tasks) < at_once


class Crew:
    """The workers of a run, and what each of them is at."""

    def __init__(
        self, workers: Sequence[tuple[str, Actor]], request: Request, ledger: Ledger
    ) -> None:
        self.workers = [_Member(name, actor) for name, actor in workers]
        self._request, self._ledger = request, ledger
        self._calls: dict[Ref, _Call] = {}
        self._alone_since = time.monotonic()

    def call(self, method: Any, *args: object) -> Ref:
        """A call that is made again if the worker is lost and started anew meanwhile."""
        return method.options(max_task_retries=MOST_LOSSES).remote(*args)

    def share(
        self, tasks: Sequence[Task], kind: Kind, begin: Callable[[Job], bool] | None = None
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
            sweep(job.target)

    def _prepare(self, number: int, kind: Kind) -> None:
        member = self.workers[number]
        member.is_ready = False
        self._calls[kind.prepare(member.actor)] = _Call(number)

    def _listen(self, number: int) -> None:
        ref = self.workers[number].actor.news.remote()
        self._calls[ref] = _Call(number, is_news=True)

    def _hand_out(
        self, waiting: deque[Task], kind: Kind, begin: Callable[[Job], bool] | None
    ) -> None:
        for number, member in enumerate(self.workers):
            while waiting and member.has_room_for(waiting[0], 1 + self._request.threads):
                task = waiting.popleft()
                if begin and not task.losses:
                    task = Task([job for job in task.jobs if begin(job)])
                if task.jobs:
                    self._calls[kind.send(member.actor, task)] = _Call(number, task)
                    member.tasks.append(task)

    def _returned(self) -> list[Ref]:
        import ray

        if not self._calls:
            return []
        ready, _ = ray.wait(list(self._calls), num_returns=1, timeout=_POLL_SECONDS)
        # Tasks first: what a worker's loss means for it is said once, by what it was asked for.
        return sorted(ready, key=lambda ref: self._calls[ref].is_news)

    def _settle(self, ref: Ref, waiting: deque[Task], kind: Kind) -> None:
        import ray
        from ray.exceptions import RayActorError, RayTaskError

        call = self._calls.pop(ref)
        member = self.workers[call.worker]
        if call.task is not None:
            member.tasks.remove(call.task)
        try:
            value = ray.get(ref)
        except RayActorError as error:
            self._lost(call, error, waiting, kind)
        except RayTaskError as error:
            self._refused(call, error, waiting)
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

    def _refused(self, call: _Call, error: Any, waiting: deque[Task]) -> None:
        """A worker said no: it cannot load the model, or there is a bug."""
        cause = error.cause if isinstance(error.cause, Exception) else error
        if call.task is not None:
            for job in call.task.jobs:
                self._ledger.settle(self._ledger.failed(job.source, job.target, cause))
        elif not call.is_news:
            self._drop(call.worker, self._ledger.explain(cause), waiting)

    def _lost(self, call: _Call, error: Exception, waiting: deque[Task], kind: Kind) -> None:
        """A worker is gone: Ray starts it anew, and what it was at goes on elsewhere."""
        member = self.workers[call.worker]
        if call.task is None and not call.is_news:
            reason = str(error).splitlines()[0]
            known = ModelError(f"the worker cannot be started: {reason}")
            self._drop(call.worker, known, waiting)
            return
        if member.is_ready:
            self._ledger.observe(events.Warned(f"{member.name}: lost; it is started again"))
            self._prepare(call.worker, kind)
        if call.task is not None:
            waiting.extendleft(reversed(self._again(call.task)))

    def _again(self, task: Task) -> list[Task]:
        """What of a lost task is still to be done, picture by picture."""
        left = []
        for job in task.jobs:
            sweep(job.target)
            if todo.why_not(job, self._request, self._ledger.log) == todo.DONE_BEFORE:
                outcome = FileOutcome(source=job.source, target=job.target, status=Status.DONE)
                self._ledger.settle(outcome)
            elif task.losses + 1 >= MOST_LOSSES:
                reason = f"{job.source}: its worker was lost {MOST_LOSSES} times"
                failure = Failure(reason, int(ExitCode.INTERNAL))
                self._ledger.settle(self._ledger.failed(job.source, job.target, failure))
            else:
                left.append(Task([job], task.losses + 1))
        return left

    def _drop(self, number: int, error: Dit4srError, waiting: deque[Task]) -> None:
        """Go on without a worker; with the last one, the run ends."""
        member = self.workers[number]
        for task in member.tasks:  # lost with it, though that has not been heard of yet
            waiting.extendleft(reversed(self._again(task)))
        member.tasks.clear()
        self._calls = {ref: call for ref, call in self._calls.items() if call.worker != number}
        is_getting_ready = any(not (c.task or c.is_news) for c in self._calls.values())
        if not is_getting_ready and not any(other.is_ready for other in self.workers):
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
