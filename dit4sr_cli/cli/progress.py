"""Shows what happens during a run on stderr, for a person at a terminal; otherwise only warns."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from dit4sr_cli.cli.console import console, one_line
from dit4sr_cli.core import events

if TYPE_CHECKING:
    from tqdm import tqdm

_COUNTED = "{desc} {percentage:3.0f}% |{bar}| {n_fmt}/{total_fmt} {unit}, {remaining} left"
_UNCOUNTED = "{desc}"
_LONGEST_NAME = 24


class Progress:
    """An observer that draws one line, gone when the run ends."""

    def __init__(self, name: str) -> None:
        self._name = _shortened(one_line(name))
        self._bar: tqdm[Any] | None = None

    def __enter__(self) -> Progress:
        if console.shows_progress:
            console.aside = self._aside
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._close()
        console.aside = contextlib.nullcontext

    def __call__(self, event: events.Event) -> None:
        """Draw, or say, one event."""
        if isinstance(event, events.Warned):
            console.warn(event.message)
        elif isinstance(event, events.Noted):
            console.detail(event.message)
        elif isinstance(event, events.Said):
            console.summary(event.message)
        elif not console.shows_progress:
            return
        elif isinstance(event, events.PhaseStarted):
            self._start(event)
        elif self._bar is not None:
            self._bar.update(event.done - self._bar.n)

    def _start(self, phase: events.PhaseStarted) -> None:
        from tqdm import tqdm

        self._close()
        tqdm.monitor_interval = 0  # no thread for one bar
        self._bar = tqdm(
            total=phase.total or None,
            desc=f"{self._name}  {phase.phase}",
            unit=phase.unit,
            bar_format=_COUNTED if phase.total else _UNCOUNTED,
            file=sys.stderr,
            dynamic_ncols=True,
            leave=False,
        )

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    @contextlib.contextmanager
    def _aside(self) -> Iterator[None]:
        if self._bar is None:
            yield
            return
        self._bar.clear()
        try:
            yield
        finally:
            self._bar.refresh()


def _shortened(name: str) -> str:
    name = name.replace("\\", "/").rsplit("/", 1)[-1]
    return name if len(name) <= _LONGEST_NAME else name[: _LONGEST_NAME - 3] + "..."
