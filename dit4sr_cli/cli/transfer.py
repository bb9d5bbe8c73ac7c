"""Shows files arriving: a bar for the whole and for each file, for a person at a terminal."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

from dit4sr_cli.cli.console import console
from dit4sr_cli.core import events
from dit4sr_cli.core.words import as_size

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

_LONGEST_NAME = 40


class Transfer:
    """An observer of a pull; the bars are gone when it ends."""

    def __init__(self) -> None:
        self._bars: Progress | None = None
        self._whole: TaskID | None = None
        self._files: dict[str, TaskID] = {}
        self._sizes: dict[str, int] = {}
        self._arrived: dict[str, int] = {}

    def __enter__(self) -> Transfer:
        console.aside = self._aside
        return self

    def __exit__(self, *exc_info: object) -> None:
        if self._bars is not None:
            self._bars.stop()
        console.aside = contextlib.nullcontext

    def __call__(self, event: events.TransferEvent) -> None:
        """Draw, or say, one event."""
        if isinstance(event, events.Warned):
            console.warn(event.message)
        elif isinstance(event, events.Noted):
            console.detail(event.message)
        elif isinstance(event, events.TransferStarted):
            self._begin(event)
        elif isinstance(event, events.FileStarted):
            self._sizes[event.name] = event.num_bytes
            self._advance(event.name, event.done)
        elif isinstance(event, events.FileAdvanced):
            self._advance(event.name, event.done)
        else:
            self._finish(event.name)

    def _begin(self, event: events.TransferStarted) -> None:
        missing = as_size(event.num_bytes - event.done)
        console.detail(f"{event.num_files} files, {as_size(event.num_bytes)}, {missing} missing")
        if console.shows_progress and event.done < event.num_bytes:
            self._bars = _bars()
            self._whole = self._bars.add_task(
                f"{event.num_files} files", total=event.num_bytes, completed=event.done
            )
            self._bars.start()

    def _advance(self, name: str, done: int) -> None:
        change = done - self._arrived.get(name, 0)
        self._arrived[name] = done
        if self._bars is None or self._whole is None:
            return
        if name not in self._files:
            self._files[name] = self._bars.add_task(_shortened(name), total=self._sizes[name])
        self._bars.update(self._files[name], completed=done)
        self._bars.advance(self._whole, change)

    def _finish(self, name: str) -> None:
        self._advance(name, self._sizes[name])
        if self._bars is None:
            console.detail(f"{name}: {as_size(self._sizes[name])}")
        else:
            self._bars.remove_task(self._files.pop(name))

    @contextlib.contextmanager
    def _aside(self) -> Iterator[None]:
        """Take the bars away while a line is written above them."""
        if self._bars is None or not self._bars.live.is_started:
            yield
            return
        self._bars.stop()
        try:
            yield
        finally:
            self._bars.start()


def _bars() -> Progress:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=None),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
        expand=True,
    )


def _shortened(name: str) -> str:
    name = name.removesuffix(".safetensors")
    return name if len(name) <= _LONGEST_NAME else f"...{name[3 - _LONGEST_NAME :]}"
