"""Shows a batch as it goes: bars at a terminal, a line a file elsewhere, events with --json."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dit4sr_cli.cli.console import console, one_line
from dit4sr_cli.core import events
from dit4sr_cli.jobs.batch import DONE_BEFORE, About, Event, Planned, Summary, megapixels
from dit4sr_cli.jobs.record import FileOutcome, Status

if TYPE_CHECKING:
    from tqdm import tqdm

_ALL = "{desc} {percentage:3.0f}% |{bar}| {remaining} left{postfix}"
_ONE = "{desc} {percentage:3.0f}% |{bar}| {n_fmt}/{total_fmt} tiles"
_PLAIN = "{desc}"
_LONGEST_NAME = 32
_MOST_BARS = 12
"""Of pictures; a cluster may be at more, which take turns."""
_SHOWN_FAILURES = 20
_SECONDS_BETWEEN_EVENTS = 1.0


class Live:
    """An observer of a batch."""

    def __init__(self) -> None:
        self._sizes: dict[Path, int] = {}
        self._started = time.monotonic()
        self._settled = self._failed = 0
        self._megapixels = 0.0
        self._all: tqdm[Any] | None = None
        self._bars: dict[Path | None, tqdm[Any]] = {}
        self._most_bars = 1
        self._last_told = 0.0

    def __enter__(self) -> Live:
        console.aside = self._aside
        return self

    def __exit__(self, *exc_info: object) -> None:
        for source in list(self._bars):
            self._close(source)
        if self._all is not None:
            self._all.close()
            self._all = None
        console.aside = contextlib.nullcontext

    def __call__(self, event: Event) -> None:
        """Show one event."""
        if isinstance(event, Planned):
            self._plan(event)
        elif isinstance(event, FileOutcome):
            self._settle(event)
        elif isinstance(event, About):
            self._tell(event.event, event.source)
        else:
            self._tell(event, None)

    def counts(self) -> str:
        """How far it is: `3/10 files, 1 failed`."""
        failed = f", {self._failed} failed" if self._failed else ""
        return f"{self._settled}/{len(self._sizes)} files{failed}"

    def _plan(self, planned: Planned) -> None:
        self._sizes = {path: max(1, size) for path, size in planned.sizes.items()}
        self._started = time.monotonic()
        self._most_bars = min(planned.workers, _MOST_BARS)
        total = sum(planned.sizes.values())
        _json("planned", files=len(self._sizes), bytes=total, workers=planned.workers)
        if console.shows_progress:
            self._all = _bar(_ALL, self.counts(), sum(self._sizes.values()), position=0)

    def _settle(self, outcome: FileOutcome) -> None:
        _json("file", **as_json(outcome))
        self._failed += outcome.status is Status.FAILED
        self._megapixels += megapixels(outcome)
        self._close(outcome.source)
        if size := self._sizes.get(outcome.source):
            self._settled += 1
            if self._all is not None:
                seconds = time.monotonic() - self._started
                self._all.set_postfix_str(_pace(self._megapixels, seconds), refresh=False)
                self._all.set_description_str(self.counts(), refresh=False)
                if outcome.status is Status.DONE:
                    self._all.update(size)
                else:  # took no time, and says nothing of how long the others will
                    self._all.total = (self._all.total or size) - size
                    self._all.refresh()
        self._say(outcome)

    def _say(self, outcome: FileOutcome) -> None:
        """One line; at a terminal only what needs eyes."""
        count = f"[{self._settled}/{len(self._sizes)}] " if outcome.source in self._sizes else ""
        if outcome.status is Status.FAILED:
            name = "" if outcome.reason.startswith(str(outcome.source)) else f"{outcome.source}: "
            console.error(f"{count}{name}{outcome.reason}")
        elif outcome.status is Status.SKIPPED:
            tell = console.detail if outcome.reason == DONE_BEFORE else console.note
            tell(f"{outcome.source}: skipped, {outcome.reason}")
        elif not console.shows_progress:
            # A worker that was lost may have written it, and could not say how.
            said = outcome.outcome and outcome.outcome.summary()
            console.summary(f"{count}{said or f'{outcome.source} -> {outcome.target}'}")

    def _tell(self, event: events.Event, source: Path | None) -> None:
        about = {} if source is None else {"file": str(source)}
        if isinstance(event, events.Warned):
            _json("warning", **about, message=event.message)
            console.warn(_named(event.message, source))
        elif isinstance(event, (events.Noted, events.Said)):
            console.detail(_named(event.message, source))
        elif isinstance(event, events.PhaseStarted):
            _json("phase", **about, phase=event.phase, total=event.total)
            self._begin(event, source)
        else:
            self._advance(event, source, about)

    def _begin(self, phase: events.PhaseStarted, source: Path | None) -> None:
        if not console.shows_progress:
            return
        self._close(source)
        while len(self._bars) >= self._most_bars:
            self._close(next(iter(self._bars)))
        name = "" if source is None else f"{_shortened(source)}  "
        form = _ONE if phase.total else _PLAIN
        taken = {-bar.pos for bar in self._bars.values()}
        place = min(set(range(1, self._most_bars + 1)) - taken)
        self._bars[source] = _bar(form, f"{name}{phase.phase}", phase.total, position=place)

    def _advance(self, event: events.Advanced, source: Path | None, about: dict[str, str]) -> None:
        if source in self._bars:
            bar = self._bars[source]
            bar.update(event.done - bar.n)
        now = time.monotonic()
        if console.is_json and now - self._last_told >= _SECONDS_BETWEEN_EVENTS:
            self._last_told = now
            _json("progress", **about, done=event.done)

    def _close(self, source: Path | None) -> None:
        """Take a picture's bar away, if it has one."""
        bar = self._bars.pop(source, None)
        if bar is not None:
            bar.close()

    @contextlib.contextmanager
    def _aside(self) -> Iterator[None]:
        bars = [bar for bar in (self._all, *self._bars.values()) if bar is not None]
        for bar in bars:
            bar.clear()
        try:
            yield
        finally:
            for bar in bars:
                bar.refresh()


def close(summary: Summary) -> None:
    """The end of a batch: a table at a terminal, a line elsewhere, an object with --json."""
    done, skipped, failed = (summary.of(status) for status in Status)
    _json(
        "summary",
        done=len(done),
        skipped=len(skipped),
        failed=len(failed),
        left=summary.left,
        megapixels=round(summary.megapixels, 3),
        seconds=round(summary.seconds, 3),
        code=summary.exit_code,
    )
    if console.shows_progress and failed:
        _table(failed)
    counts = f"{len(done)} done, {len(skipped)} skipped, {len(failed)} failed"
    left = f", {summary.left} left for another run" if summary.left else ""
    pace = _pace(summary.megapixels, summary.seconds)
    made = f"; {summary.megapixels:.3g} megapixels, {pace}" if pace else ""
    console.summary(f"{counts}{left}{made}")


def as_json(outcome: FileOutcome) -> dict[str, Any]:
    """One flat object of what became of a file, with how it was made within."""
    how = None if outcome.outcome is None else outcome.outcome.as_json()
    target = None if outcome.target is None else str(outcome.target)
    values = {"source": str(outcome.source), "target": target, "status": outcome.status.value}
    plain = {name: getattr(outcome, name) for name in ("reason", "code", "seconds")}
    return {**values, **plain, "outcome": how}


def _table(failed: list[FileOutcome]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title=f"{len(failed)} failed")
    for heading in ("file", "code", "reason"):
        table.add_column(heading, overflow="fold")
    for outcome in failed[:_SHOWN_FAILURES]:
        reason = one_line(outcome.reason).removeprefix(f"{outcome.source}: ")
        table.add_row(_escaped(str(outcome.source)), str(outcome.code), _escaped(reason))
    if len(failed) > _SHOWN_FAILURES:
        table.add_row(f"and {len(failed) - _SHOWN_FAILURES} more", "", "see --report")
    Console(file=sys.stderr).print(table)


def _escaped(text: str) -> str:
    from rich.markup import escape

    return escape(one_line(text))


def _bar(form: str, text: str, total: int, *, position: int) -> tqdm[Any]:
    from tqdm import tqdm

    tqdm.monitor_interval = 0  # no thread for two bars
    return tqdm(
        total=total or None,
        desc=text,
        bar_format=form,
        position=position,
        file=sys.stderr,
        dynamic_ncols=True,
        leave=False,
    )


def _json(event: str, **values: Any) -> None:
    if console.is_json:
        console.json({"command": "batch", "event": event, **values})


def _pace(done: float, seconds: float) -> str:
    return f"{60 * done / seconds:.2g} megapixels/min" if done and seconds else ""


def _named(message: str, source: Path | None) -> str:
    return message if source is None or str(source) in message else f"{source}: {message}"


def _shortened(path: Path) -> str:
    name = one_line(path.name)
    return name if len(name) <= _LONGEST_NAME else name[: _LONGEST_NAME - 3] + "..."
