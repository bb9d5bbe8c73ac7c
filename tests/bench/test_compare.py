"""Runs in turn, each variant in its process, or each run where memory is short."""

from __future__ import annotations

import os
import signal
from dataclasses import replace

import pytest

from dit4sr_cli.bench import compare as module
from dit4sr_cli.bench.compare import compare
from dit4sr_cli.bench.scene import save_scene
from dit4sr_cli.bench.task import Task
from dit4sr_cli.bench.variant import Variant
from dit4sr_cli.bench.worker import working
from dit4sr_cli.core.errors import ModelError, OutOfMemoryError
from dit4sr_cli.core.events import PhaseStarted, Warned
from dit4sr_cli.core.settings import ModelSettings
from dit4sr_cli.core.types import DeviceChoice, Size


@pytest.fixture(autouse=True)
def _one_thread(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


@pytest.fixture
def tasks(tmp_path):
    model = ModelSettings(model="nano", device=DeviceChoice.CPU)
    source = save_scene(tmp_path / "scene.png", Size(16, 16))
    one = Task(variant=Variant(name="one", model=model), source=source, result=tmp_path / "one.png")
    two = replace(one, variant=replace(one.variant, name="two"), result=tmp_path / "two.png")
    return one, two


@pytest.mark.parametrize("has_room", [True, False])
def test_turns(tasks, monkeypatch, has_room):
    monkeypatch.setattr(module, "_has_room", lambda lap: has_room)
    heard = []
    found = compare(*tasks, runs=2, observe=heard.append)
    names = [event.phase.split(": ")[1] for event in heard if isinstance(event, PhaseStarted)]
    if has_room:
        assert names == ["two", "one", *["one", "two"] * 2]
    else:
        assert names == ["two", *["one", "one", "two", "two"] * 2]
        assert any("of its own" in event.message for event in heard if isinstance(event, Warned))
    assert [len(side.laps) for side in (found.first, found.second)] == [2, 2]
    assert found.distance.max_difference == 0


def test_memory_is_told_by_process(tasks):
    held = bytearray(300 << 20)  # which the parent holds, and no variant should be blamed for
    held[:: 1 << 12] = b"x" * len(held[:: 1 << 12])
    with working(tasks[0]) as worker:
        lap = worker.run()
    assert lap.base_bytes < lap.peak_bytes < lap.base_bytes + (300 << 20)
    assert lap.free_bytes is None or lap.free_bytes > 0
    assert len(held)


@pytest.mark.parametrize(
    ("number", "kind"), [(signal.SIGKILL, OutOfMemoryError), (signal.SIGTERM, ModelError)]
)
def test_a_process_that_dies(tasks, number, kind):
    with working(tasks[0]) as worker:
        worker.run()
        os.kill(worker._process.pid, number)
        with pytest.raises(kind, match="one"):
            worker.run()


def test_an_error_comes_through(tasks):
    broken = replace(tasks[0].variant, model=ModelSettings(model="no-such-model"))
    with working(replace(tasks[0], variant=broken)) as worker, pytest.raises(ModelError) as raised:
        worker.run()
    assert "no-such-model" in raised.value.message
