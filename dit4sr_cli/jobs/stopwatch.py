"""The watch that takes a run's times from its events."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from dit4sr_cli.core.events import Advanced, Event, PhaseStarted, Warned


@dataclass(frozen=True, slots=True)
class Phase:
    """A part of a run."""

    name: str
    seconds: float


def _nothing() -> None:
    pass


@dataclass(slots=True)
class Stopwatch:
    """An observer that notes when phases and the first tile come; `settle` waits for the device."""

    settle: Callable[[], None] = _nothing
    warnings: list[str] = field(default_factory=list)
    started: float = 0.0
    first_tile: float = 0.0
    _marks: list[tuple[str, float]] = field(default_factory=list)

    def start(self) -> None:
        """Begin a run."""
        self.settle()
        self._marks, self.warnings, self.first_tile = [], [], 0.0
        self.started = time.perf_counter()

    def __call__(self, event: Event) -> None:
        """Hear of an event."""
        if isinstance(event, Warned):
            self.warnings.append(event.message)
        elif isinstance(event, PhaseStarted):
            self.settle()
            self._marks.append((event.phase, time.perf_counter()))
        elif isinstance(event, Advanced) and not self.first_tile:
            self.settle()
            self.first_tile = time.perf_counter() - self.started

    def stop(self) -> tuple[float, tuple[Phase, ...]]:
        """The run's seconds, and where they went."""
        self.settle()
        end = time.perf_counter()
        totals: dict[str, float] = {}
        ends = [time for _, time in self._marks[1:]] + [end]
        for (name, begun), until in zip(self._marks, ends, strict=True):
            totals[name] = totals.get(name, 0.0) + until - begun
        return end - self.started, tuple(Phase(*item) for item in totals.items())
