"""Enlarges pictures as they arrive in a folder, each once it is whole, with one loaded model.

The system's notices only ring a bell: what is there is always read from the folder itself, so that
a notice that is lost, or a share that sends none, costs time and no picture.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from dit4sr_cli.core import events
from dit4sr_cli.core.errors import Dit4srError, InputError, UsageError
from dit4sr_cli.core.settings import (
    CaptionSettings,
    ModelSettings,
    OutputSettings,
    UpscaleSettings,
)
from dit4sr_cli.jobs import estimate, naming
from dit4sr_cli.jobs import upscale as job
from dit4sr_cli.jobs.discover import Discovery, Found, discover
from dit4sr_cli.jobs.plan import Request
from dit4sr_cli.jobs.record import FileOutcome, Status

if TYPE_CHECKING:
    from dit4sr_cli.jobs.upscaler import Upscaler

RESCAN_SECONDS = 30.0
"""How often the folder is looked through even if nothing was noticed."""
_Signature: TypeAlias = tuple[int, int, int]
"""Size, time of change and file number: a copy that goes on changes the first two."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """What to watch, and what to do with what comes.

    Args:
        folder: where pictures arrive, folders in it included.
        output: where results go; in it nothing is looked for.
        settle: seconds that a file must not change for before it is taken.
        is_once: end when all that is there has been handled.
    """

    folder: Path
    output: Path
    settle: float = 2.0
    is_once: bool = False
    template: str | None = None
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    upscale: UpscaleSettings = field(default_factory=UpscaleSettings)
    caption: CaptionSettings = field(default_factory=CaptionSettings)
    model: ModelSettings = field(default_factory=ModelSettings)
    settings: OutputSettings = field(default_factory=OutputSettings)


Explain: TypeAlias = Callable[[Exception], Dit4srError]


def watch(
    request: Watch,
    *,
    load: job.Loader = job.load_upscaler,
    explain: Explain | None = None,
    observe: events.Observer = events.ignore,
) -> Iterator[FileOutcome]:
    """Every picture that is there or arrives, when it has been handled; until stopped from outside.

    Args:
        request: what to watch.
        load: makes the model, once, for the first picture.
        explain: an error of a library as one of ours; what it does not know is told by its type.
        observe: hears of phases, tiles and warnings.

    Raises:
        UsageError: the folders are one, or watchfiles is not installed.
        InputError: the folder is not there, or goes away.
        ModelError: there is no such model; found out before anything is waited for.
    """
    from dit4sr_cli.weights.resolve import resolve

    _check(request)
    resolve(request.model.model)
    once_loaded = _loading_once(load)
    inbox = _Inbox(request)
    if request.is_once:
        while (ready := inbox.ready()) or inbox.pending:
            for file, target in ready:
                yield _handle(file, target, request, once_loaded, explain, observe)
            if not ready:
                time.sleep(inbox.patience)
        return
    with _bell(request.folder) as bell:
        while True:
            bell.clear()
            for file, target in inbox.ready():
                yield _handle(file, target, request, once_loaded, explain, observe)
            bell.wait(inbox.patience)
            # A copy rings at each block that is written: once in a while is enough.
            time.sleep(min(request.settle, 0.2))


class _Inbox:
    """What is in the folder: what was handled, and what is still being written."""

    def __init__(self, request: Watch) -> None:
        self._request = request
        self._handled: dict[Path, _Signature] = {}
        self._made: set[str] = set()
        self.pending: dict[Path, tuple[_Signature, float]] = {}

    @property
    def patience(self) -> float:
        """Seconds until it is worth to look again."""
        if not self.pending:
            return RESCAN_SECONDS
        oldest = min(since for _, since in self.pending.values())
        return max(0.05, oldest + self._request.settle - time.monotonic())

    def ready(self) -> list[tuple[Found, Path | Dit4srError]]:
        """Pictures that have come to rest, with where their results go."""
        found = self._found()
        seen: dict[Path, tuple[_Signature, float]] = {}
        ready = []
        now = time.monotonic()
        for file in found:
            signature = _signature(file.path)
            if signature is None or self._handled.get(file.path) == signature:
                continue
            before, since = self.pending.get(file.path, (None, now))
            if signature != before:
                since = now
            # An empty file is one that a copy has just made; if no copy follows, it stays.
            is_begun = signature[0] > 0 or self._request.is_once
            if now - since >= self._request.settle and is_begun:
                self._handled[file.path] = signature
                ready.append(file)
            elif is_begun:
                seen[file.path] = (signature, since)
        self.pending = seen
        named = [(file, self._target(file, found)) for file in ready]
        self._made |= {os.path.realpath(t) for _, t in named if isinstance(t, Path)}
        return named

    def _found(self) -> tuple[Found, ...]:
        request = self._request
        if not request.folder.is_dir():
            raise InputError(f"{request.folder}: the folder is not there any more")
        try:
            found = discover(
                [str(request.folder)],
                include=request.include,
                exclude=request.exclude,
                output=request.output,
            )
        except InputError:  # no picture yet
            found = Discovery((), ())
        return tuple(f for f in found.files if os.path.realpath(f.path) not in self._made)

    def _target(self, file: Found, all_files: tuple[Found, ...]) -> Path | Dit4srError:
        request = self._request
        try:
            return naming.targets(
                all_files,
                output=request.output,
                template=request.template,
                format=request.settings.format,
                settings=request.upscale,
            )[file.path]
        except UsageError as error:
            return error


def _handle(
    file: Found,
    target: Path | Dit4srError,
    request: Watch,
    load: job.Loader,
    explain: Explain | None,
    observe: events.Observer,
) -> FileOutcome:
    """One picture; whatever is wrong with it is its own outcome."""
    started = time.monotonic()
    source = file.path
    if isinstance(target, Dit4srError):
        return _failed(source, None, target, started)
    if target.exists() and not request.settings.overwrite:
        reason = f"{target}: exists already"
        return FileOutcome(source=source, target=target, status=Status.SKIPPED, reason=reason)
    try:
        _make_folder(target.parent)
        outcome = job.run(
            Request(
                source=source,
                upscale=request.upscale,
                caption=request.caption,
                model=request.model,
                output=replace(request.settings, target=target),
            ),
            load=load,
            observe=observe,
        )
    except Exception as error:
        if not source.exists():
            reason = "gone before it was read"
            return FileOutcome(source=source, target=target, status=Status.SKIPPED, reason=reason)
        return _failed(source, target, _explained(error, explain), started)
    estimate.learn(outcome)
    return FileOutcome(
        source=source,
        target=target,
        status=Status.DONE,
        seconds=outcome.seconds,
        outcome=outcome,
    )


def _failed(source: Path, target: Path | None, error: Dit4srError, started: float) -> FileOutcome:
    return FileOutcome(
        source=source,
        target=target,
        status=Status.FAILED,
        reason=f"{error.message} ({error.hint})" if error.hint else error.message,
        code=int(error.exit_code),
        seconds=round(time.monotonic() - started, 3),
    )


def _explained(error: Exception, explain: Explain | None) -> Dit4srError:
    if isinstance(error, Dit4srError):
        return error
    if explain is not None:
        return explain(error)
    return Dit4srError(f"unexpected {type(error).__name__}: {error}")


def _check(request: Watch) -> None:
    if not request.folder.is_dir():
        raise InputError(f"{request.folder}: no such folder", hint="create it first")
    if os.path.realpath(request.folder) == os.path.realpath(request.output):
        raise UsageError(
            f"{request.output}: results there would be taken for new pictures",
            hint="name another folder with -o",
        )
    _make_folder(request.output)


def _make_folder(folder: Path) -> None:
    from dit4sr_cli.core.errors import OutputError

    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{folder}: {error.strerror}") from error


def _signature(path: Path) -> _Signature | None:
    """None: it was moved away in the meantime."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_size, status.st_mtime_ns, status.st_ino


def _loading_once(load: job.Loader) -> job.Loader:
    loaded: list[Upscaler] = []

    def once(settings: ModelSettings, observe: events.Observer) -> Upscaler:
        if not loaded:
            loaded.append(load(settings, observe))
        return loaded[0]

    return once


@contextmanager
def _bell(folder: Path) -> Iterator[threading.Event]:
    """An event that is set whenever something happens in the folder.

    In a thread of its own: the main one sleeps where a signal can wake it.
    """
    try:
        import watchfiles
    except ImportError as error:
        hint = "pip install 'dit4sr[watch]', or run it with --once from time to time"
        raise UsageError("watching needs the package watchfiles", hint=hint) from error
    bell, stop = threading.Event(), threading.Event()

    def listen() -> None:
        try:
            for _ in watchfiles.watch(
                folder, watch_filter=None, stop_event=stop, raise_interrupt=False, rust_timeout=500
            ):
                bell.set()
        except OSError:  # the folder is gone: the next look at it says so
            bell.set()

    thread = threading.Thread(target=listen, name="watchfiles", daemon=True)
    thread.start()
    try:
        yield bell
    finally:
        stop.set()
        thread.join(timeout=2)
