"""The watch that takes a run's figures from its events."""

from __future__ import annotations

import pytest

from dit4sr_cli.core.events import Advanced, PhaseStarted, Warned
from dit4sr_cli.jobs import stopwatch
from dit4sr_cli.jobs.stopwatch import Phase, Stopwatch


@pytest.fixture
def clock(monkeypatch):
    """Goes on by a second whenever it is asked."""
    seconds = iter(range(100))
    monkeypatch.setattr(stopwatch.time, "perf_counter", lambda: float(next(seconds)))


def _run(watch):
    watch.start()
    for event in (
        PhaseStarted("reading"),
        PhaseStarted("sampling", total=2),
        Advanced(1),
        Warned("careful"),
        Advanced(2),
        PhaseStarted("reading"),
    ):
        watch(event)
    return watch.stop()


def test_phases(clock):
    watch = Stopwatch()
    seconds, phases = _run(watch)
    assert seconds == 5
    assert phases == (Phase("reading", 2), Phase("sampling", 2))
    assert watch.first_tile == 3
    assert watch.warnings == ["careful"]


def test_the_next_run_begins_anew(clock):
    watch = Stopwatch()
    first = _run(watch)
    assert _run(watch) == first
    assert (watch.first_tile, watch.warnings) == (3, ["careful"])


def test_it_waits_for_the_device_before_it_looks():
    waits = []
    _run(Stopwatch(settle=lambda: waits.append(None)))
    assert len(waits) == 1 + 3 + 1 + 1  # start, phases, the first tile, stop
