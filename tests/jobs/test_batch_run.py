"""The loop over many pictures, with a stand-in model: what is loaded, read ahead, and let go."""

from __future__ import annotations

import threading
import time
from dataclasses import replace

import pytest
from helpers import faults, images

from dit4sr_cli.core.errors import ModelError
from dit4sr_cli.core.settings import ModelSettings, OutputSettings, UpscaleSettings
from dit4sr_cli.jobs import batch, steps
from dit4sr_cli.jobs.record import Status


@pytest.fixture
def request_(tmp_path):
    paths = [images.save(tmp_path / f"{name}.png", 20 + n, 16) for n, name in enumerate("abcd")]
    out = tmp_path / "out"
    return batch.Request(
        targets={path: out / path.name for path in paths},
        folder=out,
        model=ModelSettings(model="nano"),
    )


def load(settings, observe=None) -> faults.Upscaler:
    return faults.Upscaler.load(settings.model, settings.device.value)


def never(settings, observe=None):
    pytest.fail("loaded")


def statuses(summary) -> list[str]:
    return [outcome.status.value for outcome in summary.outcomes]


def test_nothing_to_do_loads_nothing(request_):
    first = batch.run(replace(request_, limit=3), load=load)
    assert (statuses(first), first.left, first.exit_code) == (["done"] * 3, 1, 0)
    assert statuses(batch.run(request_, load=load)) == ["skipped"] * 3 + ["done"]
    assert statuses(batch.run(request_, load=never)) == ["skipped"] * 4


def test_other_settings_are_other_work(request_):
    batch.run(request_, load=load)
    other = replace(request_, upscale=UpscaleSettings(seed=1))
    refused = batch.run(other, load=never)
    assert (statuses(refused), refused.exit_code) == (["failed"] * 4, 4)
    other = replace(other, output=OutputSettings(overwrite=True))
    assert statuses(batch.run(other, load=load)) == ["done"] * 4
    assert statuses(batch.run(other, load=never)) == ["skipped"] * 4


def test_a_model_that_cannot_be_loaded_ends_the_run(request_):
    def fail(settings, observe=None):
        raise ModelError("no such weights")

    with pytest.raises(ModelError):
        batch.run(request_, load=fail)
    assert statuses(batch.run(request_, load=load)) == ["done"] * 4


@pytest.mark.parametrize("threads", [0, 1, 3])
def test_few_pictures_are_in_memory(request_, threads, monkeypatch):
    """One that is made, and as many as there are threads before and behind it."""
    held, most, lock = 0, 0, threading.Lock()
    real_open, real_finish = steps.open_source, steps.finish

    def open_source(*args):
        nonlocal held, most
        with lock:
            held += 1
            most = max(most, held)
        return real_open(*args)

    def finish(*args):
        nonlocal held
        time.sleep(0.1)  # the disk is slower than the model
        with lock:
            held -= 1
        return real_finish(*args)

    monkeypatch.setattr(steps, "open_source", open_source)
    monkeypatch.setattr(steps, "finish", finish)
    summary = batch.run(replace(request_, threads=threads), load=load)
    assert statuses(summary) == ["done"] * 4
    assert most <= 2 + 2 * threads
    if threads == 0:
        assert most == 1


def test_a_failure_keeps_no_tensors(request_, monkeypatch):
    """What one picture held must be free for the next."""
    import gc
    import weakref

    class Large:
        pass

    seen = []

    def upscale(self, image, **settings):
        large = Large()
        seen.append(weakref.ref(large))
        if len(seen) == 2:
            gc.collect()
            assert seen[0]() is None
        raise MemoryError("large")

    monkeypatch.setattr(faults.Upscaler, "upscale", upscale)
    summary = batch.run(replace(request_, limit=2), load=load)
    assert [o.reason for o in summary.of(Status.FAILED)] == ["unexpected MemoryError: large"] * 2
