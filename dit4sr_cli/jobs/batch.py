"""Many pictures with one model: read ahead, made in turn, written behind, and all of it recorded.

A file that fails is an outcome and never stops the others. What does stop a run: the model cannot
be loaded, the journal cannot be written, or somebody says so.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, Generic, TypeAlias, TypeVar

from dit4sr_cli.core import events
from dit4sr_cli.core.errors import Dit4srError, ExitCode, ModelError, OutOfMemoryError
from dit4sr_cli.core.settings import (
    CaptionSettings,
    ModelSettings,
    OutputSettings,
    UpscaleSettings,
)
from dit4sr_cli.core.types import CaptionChoice
from dit4sr_cli.jobs import estimate, plan, provenance, steps
from dit4sr_cli.jobs.journal import Entry, Happened, Journal, Stamp, digest, journal
from dit4sr_cli.jobs.record import FileOutcome, Status
from dit4sr_cli.jobs.upscale import Loader, load_upscaler

if TYPE_CHECKING:
    from dit4sr_cli.captions.source import Caption
    from dit4sr_cli.jobs.steps import Made, Opened
    from dit4sr_cli.jobs.upscaler import Upscaler
    from dit4sr_cli.weights.resolve import Resolved

T = TypeVar("T")

DONE_BEFORE = "done before"
_UNREADABLE = "folder cannot be read"
_PARTIAL = ".dit4sr-*.part"


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """Pictures to enlarge, all in the same way.

    Args:
        targets: where the result of each picture goes.
        folder: of the results, with the journal.
        refused: what was found and is no picture, with the reason.
        output: how they are written; its `target` does not count.
        skip_existing: leave a picture alone whose result is there, whoever made it.
        threads: pictures that are read ahead, and written behind, while one is made; 0: none.
        limit: how many are made at most.
        fail_fast: end with the first that fails.
    """

    targets: Mapping[Path, Path]
    folder: Path
    refused: Sequence[tuple[Path, str]] = ()
    upscale: UpscaleSettings = field(default_factory=UpscaleSettings)
    caption: CaptionSettings = field(default_factory=CaptionSettings)
    model: ModelSettings = field(default_factory=ModelSettings)
    output: OutputSettings = field(default_factory=OutputSettings)
    skip_existing: bool = False
    threads: int = 1
    limit: int | None = None
    fail_fast: bool = False


@dataclass(frozen=True, slots=True)
class Planned:
    """The pictures that will be made, and how many bytes their files have."""

    sizes: Mapping[Path, int]


@dataclass(frozen=True, slots=True)
class About:
    """Something happens to one of the pictures."""

    source: Path
    event: events.Event


Event: TypeAlias = Planned | About | FileOutcome | events.Event
Observer: TypeAlias = Callable[[Event], None]
Explain: TypeAlias = Callable[[Exception], Dit4srError]


@dataclass(frozen=True, slots=True)
class Summary:
    """What became of the files, in the order in which it was settled.

    Args:
        outcomes: one for each file that was reached.
        left: how many were not: --limit, --fail-fast.
        seconds: of the whole run.
    """

    outcomes: tuple[FileOutcome, ...]
    left: int
    seconds: float

    def of(self, status: Status) -> list[FileOutcome]:
        """Those with one status."""
        return [outcome for outcome in self.outcomes if outcome.status is status]

    @property
    def megapixels(self) -> float:
        """Made in this run."""
        return sum(map(megapixels, self.outcomes))

    @property
    def exit_code(self) -> int:
        """0: none failed; 8: some did; if all did, what the first one alone would have ended with.

        See docs/exit-codes.md.
        """
        failed = self.of(Status.FAILED)
        if not failed:
            return ExitCode.OK
        return failed[0].code if len(failed) == len(self.outcomes) else ExitCode.PARTIAL


def megapixels(outcome: FileOutcome) -> float:
    """Of the result, if it was made in this run."""
    if outcome.outcome is None:
        return 0.0
    width, height = outcome.outcome.output_size
    return width * height * outcome.outcome.pages / 1e6


def as_expected(error: Exception) -> Dit4srError:
    """A failure in one line, whatever it is."""
    if isinstance(error, Dit4srError):
        return error
    return Dit4srError(f"unexpected {type(error).__name__}: {error}")


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
    """
    from dit4sr_cli.weights.resolve import resolve

    started = time.monotonic()
    model = resolve(request.model.model)
    with journal(request.folder) as log:
        this = _Run(request, model, log, load, observe, explain)
        _sweep(log)
        try:
            jobs = this.plan()
            this.make(jobs[: request.limit])
        finally:
            _sweep(log)
    left = len(request.targets) + len(request.refused) - len(this.outcomes)
    return Summary(tuple(this.outcomes), left, time.monotonic() - started)


def missing(request: Request) -> dict[Path, Path]:
    """The targets that are not done yet; only looks."""
    from dit4sr_cli.weights.resolve import resolve

    model = resolve(request.model.model)
    common, captioner = _settings(request, model), _captioner(request, model)
    log = Journal(request.folder)
    left = {}
    for source, target in request.targets.items():
        with contextlib.suppress(Dit4srError):  # its caption cannot be read: for the run to say
            settings = _job_digest(common, _caption(source, request, model, captioner), captioner)
            if log.is_done(source, target, settings):
                continue
        left[source] = target
    return left


@dataclass(frozen=True, slots=True, kw_only=True)
class _Job:
    """One picture: what is asked for, under which name it is recorded, and its caption if known."""

    request: plan.Request
    source: Path
    target: Path
    settings: str
    caption: Caption | None


class _Run:
    """One run over many files; everything but reading and writing happens in its own thread."""

    def __init__(
        self,
        request: Request,
        model: Resolved,
        log: Journal,
        load: Loader,
        observe: Observer,
        explain: Explain,
    ) -> None:
        self.request, self.model, self.log = request, model, log
        self.load, self.observe, self.explain = load, observe, explain
        self.outcomes: list[FileOutcome] = []
        self.upscaler: Upscaler | None = None
        self.has_failed = False

    # ------------------------------------------------------------------ what is to be done

    def plan(self) -> list[_Job]:
        """The pictures that are missing; the others are settled."""
        common = _settings(self.request, self.model)
        captioner = _captioner(self.request, self.model)
        for path, reason in self.request.refused:
            self.settle(_refused(path, reason))
        jobs = []
        for source, target in self.request.targets.items():
            try:
                job = self._job(source, target, common, captioner)
            except Exception as error:
                self.settle(self._failure(source, target, error))
                continue
            if reason := self._why_not(job):
                self.settle(
                    FileOutcome(source=source, target=target, status=Status.SKIPPED, reason=reason)
                )
            else:
                jobs.append(job)
        return jobs

    def _job(self, source: Path, target: Path, common: str, captioner: str | None) -> _Job:
        request = self.request
        caption = _caption(source, request, self.model, captioner)
        return _Job(
            request=plan.Request(
                source=source,
                upscale=request.upscale,
                caption=request.caption,
                model=request.model,
                output=replace(request.output, target=target),
            ),
            source=source,
            target=target,
            settings=_job_digest(common, caption, captioner),
            caption=caption,
        )

    def _why_not(self, job: _Job) -> str:
        """Why a picture need not be made; empty: it must be."""
        if self.log.is_done(job.source, job.target, job.settings):
            return DONE_BEFORE
        if start := self.log.unrecorded(job.source, job.target, job.settings):
            if self._has_all(job.target):
                result = Stamp.of(job.target)
                self.log.add(replace(start, event=Happened.DONE, result=result, time=0.0))
                return DONE_BEFORE
            job.target.unlink()  # the run was killed between the picture and its sidecar
        return "exists already" if self.request.skip_existing and job.target.exists() else ""

    def _has_all(self, target: Path) -> bool:
        return not self.request.output.sidecar or provenance.sidecar_of(target).exists()

    # ------------------------------------------------------------------ the work

    def make(self, jobs: Sequence[_Job]) -> None:
        """Make the pictures; what is made when it ends, however it ends, is written."""
        if not jobs:
            return
        self.observe(Planned({job.source: _size(job.source) for job in jobs}))
        captions = self._describe(jobs)
        jobs = [job for job in jobs if job.source in captions]
        readers, writers = (Crew[Any](self.request.threads) for _ in range(2))
        behind: deque[Future[FileOutcome]] = deque()
        try:
            for job, opening in _ahead(jobs, self._open, readers):
                if self.request.fail_fast and self.has_failed:
                    break
                behind.append(self._enlarge(job, opening, captions, writers))
                while behind and (len(behind) > writers.size or behind[0].done()):
                    self._settle_first(behind)
        finally:
            readers.close()
            while behind:
                self._settle_first(behind)
            writers.close()
            self._give_up_the_rest()

    def _describe(self, jobs: Sequence[_Job]) -> dict[Path, list[Caption]]:
        """Captions of all pictures, before the model is loaded: a captioner needs the room.

        One caption stands for all pages if it was written down. A picture that fails is left out.
        """
        captions = {job.source: [job.caption] for job in jobs if job.caption is not None}
        unknown = [job for job in jobs if job.caption is None]
        if not unknown:
            return captions
        from dit4sr_cli.imaging import reader
        from dit4sr_cli.jobs.caption import finding

        request = self.request
        with finding(
            prompt=request.upscale.prompt,
            settings=request.caption,
            device=request.model.device,
            precision=request.model.precision,
            seed=request.upscale.seed,
            observe=self.observe,
        ) as find:
            for job in unknown:
                try:
                    pages = reader.read(job.source, max_megapixels=request.output.max_megapixels)
                    captions[job.source] = [find(job.source, page.pixels) for page in pages]
                except (ModelError, OutOfMemoryError):
                    raise  # of the captioner: no other picture will fare better
                except Exception as error:
                    self.settle(self._failure(job.source, job.target, error))
        return captions

    def _open(self, job: _Job) -> tuple[Opened, Stamp, float]:
        """Read a picture, in a thread of its own."""
        started = time.monotonic()
        job.target.parent.mkdir(parents=True, exist_ok=True)
        plan.check_source(job.source)
        is_free = not job.target.exists()
        opened = steps.open_source(job.request, self._whisper(job))
        picture = Stamp.of(job.source, opened.source_sha256)
        self._log(job, Happened.STARTED, picture=picture, was_free=is_free)
        return opened, picture, time.monotonic() - started

    def _enlarge(
        self,
        job: _Job,
        opening: Future[tuple[Opened, Stamp, float]],
        captions: Mapping[Path, list[Caption]],
        writers: Crew[FileOutcome],
    ) -> Future[FileOutcome]:
        """Make a picture and hand it to be written; a failure is an outcome, too."""
        try:
            opened, picture, seconds = opening.result()
        except Exception as error:
            return _ready(self._failure(job.source, job.target, error))
        # Out of what is caught: without a model no picture can be made.
        upscaler = self._loaded(captions)
        started = time.monotonic()
        try:
            told = captions[job.source]
            told = told * len(opened.pages) if len(told) == 1 else told[: len(opened.pages)]
            made = steps.enlarge(opened, told, upscaler, self._talk(job))
            estimate.learn(made.records[0])
        except Exception as error:
            return _ready(self._failure(job.source, job.target, error))
        seconds += time.monotonic() - started
        return writers.submit(lambda: self._finish(job, opened, made, picture, seconds))

    def _finish(
        self, job: _Job, opened: Opened, made: Made, picture: Stamp, seconds: float
    ) -> FileOutcome:
        """Write a picture, in a thread of its own."""
        started = time.monotonic()
        try:
            outcome = steps.finish(opened, made, self._whisper(job))
            result = Stamp.of(job.target)
        except Exception as error:
            return self._failure(job.source, job.target, error)
        seconds = round(seconds + time.monotonic() - started, 3)
        outcome = replace(outcome, seconds=seconds)
        self._log(job, Happened.DONE, picture=picture, result=result, outcome=outcome)
        return FileOutcome(
            source=job.source,
            target=job.target,
            status=Status.DONE,
            seconds=seconds,
            outcome=outcome,
        )

    def _loaded(self, captions: Mapping[Path, list[Caption]]) -> Upscaler:
        """The model, loaded when the first picture is there, with all that will be said to it."""
        if self.upscaler is None:
            self.observe(events.PhaseStarted("loading the model"))
            self.upscaler = self.load(self.request.model, self.observe)
            texts = dict.fromkeys(c.text for told in captions.values() for c in told)
            self.upscaler.learn(
                list(texts),
                suffix=self.request.caption.suffix,
                negative_prompt=self.request.upscale.negative_prompt,
                guidance=self.request.upscale.guidance,
            )
        return self.upscaler

    # ------------------------------------------------------------------ what became of it

    def settle(self, outcome: FileOutcome) -> None:
        """An outcome that is final."""
        self.outcomes.append(outcome)
        self.observe(outcome)

    def _settle_first(self, behind: deque[Future[FileOutcome]]) -> None:
        self.settle(behind[0].result())
        behind.popleft()  # only now: a Ctrl-C while waiting must not lose it

    def _failure(self, source: Path, target: Path, error: Exception) -> FileOutcome:
        """Nothing of the exception is kept: its frames hold pictures and tensors."""
        self.has_failed = True
        known = self.explain(error)
        reason = f"{known.message} ({known.hint})" if known.hint else known.message
        entry = Entry(
            event=Happened.FAILED,
            target=self.log.name_of(target),
            source=str(source),
            settings="",
            reason=reason,
        )
        self.log.add(entry)
        return FileOutcome(
            source=source,
            target=target,
            status=Status.FAILED,
            reason=reason,
            code=int(known.exit_code),
        )

    def _give_up_the_rest(self) -> None:
        """Say of pictures that were read in vain that nothing of them is there."""
        for entry in self.log.unfinished():
            if (self.log.folder / entry.target).exists():
                continue
            self.log.add(replace(entry, event=Happened.FAILED, reason="not finished", time=0.0))

    def _log(self, job: _Job, event: Happened, **more: Any) -> None:
        name = self.log.name_of(job.target)
        source, settings = str(job.source), job.settings
        self.log.add(Entry(event=event, target=name, source=source, settings=settings, **more))

    def _talk(self, job: _Job) -> events.Observer:
        return lambda event: self.observe(About(job.source, event))

    def _whisper(self, job: _Job) -> events.Observer:
        """For the other threads, whose phases are not what the run is waiting for."""

        def tell(event: events.Event) -> None:
            if isinstance(event, events.Warned | events.Noted):
                self.observe(About(job.source, event))

        return tell


# ---------------------------------------------------------------------- threads


class Crew(Generic[T]):
    """Threads that nobody waits for when the program ends; with none, work is done on the spot.

    An executor of the standard library would hold up a Ctrl-C until its last task is done.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self._tasks: SimpleQueue[tuple[Future[T], Callable[[], T]] | None] = SimpleQueue()
        for _ in range(size):
            threading.Thread(target=self._work, daemon=True).start()

    def submit(self, task: Callable[[], T]) -> Future[T]:
        """Do it as soon as a thread is free."""
        future: Future[T] = Future()
        if self.size:
            self._tasks.put((future, task))
        else:
            _do(future, task)
        return future

    def close(self) -> None:
        """Begin nothing more."""
        with contextlib.suppress(Exception):
            while True:
                self._tasks.get_nowait()
        for _ in range(self.size):
            self._tasks.put(None)

    def _work(self) -> None:
        while (item := self._tasks.get()) is not None:
            _do(*item)
            del item  # the next one may be long in coming, and this one holds a picture


def _do(future: Future[T], task: Callable[[], T]) -> None:
    try:
        result = task()
    except Exception as error:
        future.set_exception(error)
    else:
        future.set_result(result)


def _ready(outcome: T) -> Future[T]:
    future: Future[T] = Future()
    future.set_result(outcome)
    return future


def _ahead(
    jobs: Sequence[_Job], act: Callable[[_Job], T], crew: Crew[T]
) -> Iterator[tuple[_Job, Future[T]]]:
    """Jobs in their order, while the crew is at work on those that follow."""
    begun: deque[tuple[_Job, Future[T]]] = deque()
    for job in jobs:
        begun.append((job, crew.submit(lambda job=job: act(job))))  # type: ignore[misc]
        if len(begun) > crew.size:
            yield begun.popleft()
    while begun:
        yield begun.popleft()


# ---------------------------------------------------------------------- what decides a result


def _settings(request: Request, model: Resolved) -> str:
    """A digest of all that decides about pixels and files, but for picture and caption.

    Not of where it is computed, nor of the version: an archive is finished after an update, too.
    """
    from dit4sr_cli.weights.identity import weight_digests

    return digest(
        [
            _given(request.upscale),
            _given(request.output, but=("target", "overwrite", "max_megapixels")),
            _given(request.model, but=("model", "device", "low_memory")),
            request.caption.suffix,
            model.name,
            model.revision or weight_digests(model, t5=request.model.t5),
        ]
    )


def _job_digest(common: str, caption: Caption | None, captioner: str | None) -> str:
    """A caption that will be asked for stands for itself by who is asked: it is always the same."""
    return digest([common, captioner if caption is None else caption.text])


def _given(settings: Any, but: Sequence[str] = ()) -> dict[str, Any]:
    """What was set: fields that a later version adds do not make all work undone."""
    values = {f.name: (getattr(settings, f.name), f.default) for f in fields(settings)}
    return {k: v for k, (v, default) in values.items() if v != default and k not in but}


def _captioner(request: Request, model: Resolved) -> str | None:
    """Who will be asked for captions that nobody has written down; None: nobody."""
    from dit4sr_cli.weights.resolve import resolve_captioner

    if not model.spec.text or request.caption.caption is CaptionChoice.NONE:
        return None
    found = resolve_captioner(request.caption.captioner)
    return None if found is None else f"{found.name}@{found.revision}"


def _caption(
    source: Path, request: Request, model: Resolved, captioner: str | None
) -> Caption | None:
    """What was written about a picture; None: the captioner is to be asked."""
    from dit4sr_cli.captions.source import NO_CAPTION, written_caption

    if not model.spec.text:
        return NO_CAPTION
    found = written_caption(
        source,
        prompt=request.upscale.prompt,
        prompt_file=request.caption.prompt_file,
        prompts=request.caption.prompts,
    )
    return NO_CAPTION if found is None and captioner is None else found


def _refused(path: Path, reason: str) -> FileOutcome:
    """What is no picture is skipped; a folder that cannot be looked into may hold many."""
    if reason.startswith(_UNREADABLE):
        code = int(ExitCode.INPUT)
        return FileOutcome(source=path, target=None, status=Status.FAILED, reason=reason, code=code)
    return FileOutcome(source=path, target=None, status=Status.SKIPPED, reason=reason)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _sweep(log: Journal) -> None:
    """Remove what a run that was cut off has left half written."""
    folders = {(log.folder / entry.target).parent for entry in log.unfinished()}
    for folder in folders:
        for path in folder.glob(_PARTIAL):
            path.unlink(missing_ok=True)
