"""A real folder, real files that arrive slowly, a real process that is stopped."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
from helpers import images
from helpers.cli import command, environment, run_cli

SMALL = {"width": 10, "height": 8}


def _watch_args(inbox: Path, done: Path, *more: str) -> list[str]:
    return ["watch", str(inbox), "-o", str(done), "--settle", "0.6", "--model", "nano", *more]


def _until(condition, seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.1)


@pytest.fixture
def inbox(tmp_path) -> Path:
    folder = tmp_path / "inbox"
    folder.mkdir()
    return folder


def test_once_does_what_is_there_and_one_bad_file_stops_nothing(inbox, tmp_path):
    (inbox / "deep").mkdir()
    images.save(inbox / "a.jpg", **SMALL)
    images.save(inbox / "deep" / "b.png", **SMALL)
    (inbox / "bad.jpg").write_bytes(b"no picture")
    (inbox / "empty.png").touch()
    (inbox / "notes.txt").write_text("x")
    done = tmp_path / "done"
    finished = run_cli(*_watch_args(inbox, done, "--once", "--json"))
    assert finished.code == 8, finished.stderr
    outcomes = {Path(o["input"]).name: o for o in map(json.loads, finished.stdout.splitlines())}
    assert {name: o["status"] for name, o in outcomes.items()} == {
        "a.jpg": "done",
        "b.png": "done",
        "bad.jpg": "failed",
        "empty.png": "failed",
    }
    assert images.size_of(done / "a_x4.png") == (40, 32)
    assert images.size_of(done / "deep" / "b_x4.png") == (40, 32)
    again = run_cli(*_watch_args(inbox, done, "--once"))
    assert "2 skipped, 2 failed" in again.stderr


def test_once_with_an_empty_folder_ends(inbox, tmp_path):
    finished = run_cli(*_watch_args(inbox, tmp_path / "done", "--once"))
    assert finished.code == 0
    assert "0 done" in finished.stderr


def test_results_in_the_watched_folder_are_refused_or_left_alone(inbox, tmp_path):
    assert run_cli(*_watch_args(inbox, inbox, "--once")).code == 2
    images.save(inbox / "a.jpg", **SMALL)
    for _ in range(2):
        finished = run_cli(*_watch_args(inbox, inbox / "done", "--once"))
        assert finished.code == 0
    assert [path.name for path in (inbox / "done").iterdir()] == ["a_x4.png"]


def test_arrivals_slow_copies_and_renames_until_ctrl_c(inbox, tmp_path):
    done = tmp_path / "done"
    picture = images.save(tmp_path / "whole.png", width=20, height=16).read_bytes()
    images.save(inbox / "first.jpg", **SMALL)
    with (tmp_path / "err").open("wb") as err, (tmp_path / "out").open("wb") as out:
        process = subprocess.Popen(
            command(*_watch_args(inbox, done, "--json")),
            stdout=out,
            stderr=err,
            env=environment({"DIT4SR_HOME": os.environ["DIT4SR_HOME"]}),
        )
    try:
        _until(lambda: (done / "first_x4.png").exists())
        slow = inbox / "slow.png"
        with slow.open("wb") as stream:  # a copy over a slow line
            for part in range(8):
                stream.write(picture[len(picture) * part // 8 : len(picture) * (part + 1) // 8])
                stream.flush()
                time.sleep(0.25)
        (inbox / ".tmp-moved").write_bytes(picture)
        (inbox / ".tmp-moved").rename(inbox / "moved.png")
        (inbox / "bad.tif").write_bytes(b"II*\0 no more")
        (inbox / "gone.png").write_bytes(picture)
        (inbox / "gone.png").unlink()
        (inbox / "new").mkdir()
        (inbox / "new" / "inner.png").write_bytes(picture)
        wanted = [done / n for n in ("slow_x4.png", "moved_x4.png", "new/inner_x4.png")]
        _until(lambda: all(path.exists() for path in wanted))
        _until(lambda: b"bad.tif" in (tmp_path / "out").read_bytes())
        (inbox / "bad.tif").write_bytes(picture)  # copied again, whole
        _until(lambda: (tmp_path / "out").read_bytes().count(b"bad.tif") >= 2)
    finally:
        process.send_signal(signal.SIGINT)
        code = process.wait(timeout=30)
    outcomes = [json.loads(line) for line in (tmp_path / "out").read_bytes().splitlines()]
    assert code == 130
    assert [images.size_of(path) for path in wanted] == [(80, 64)] * 3
    statuses = [(Path(o["input"]).name, o["status"]) for o in outcomes if "input" in o]
    assert statuses.count(("slow.png", "done")) == 1
    assert ("slow.png", "failed") not in statuses
    assert ("bad.tif", "failed") in statuses
    assert ("gone.png", "failed") not in statuses
    assert not [path for path in done.rglob("*") if path.name.endswith(".part")]
    assert b"Traceback" not in (tmp_path / "err").read_bytes()


def test_the_model_is_loaded_once(inbox, tmp_path):
    from dit4sr_cli.core.settings import ModelSettings
    from dit4sr_cli.jobs.upscale import load_upscaler
    from dit4sr_cli.jobs.watch import Watch, watch

    for name in ("a.png", "b.png", "c.png"):
        images.save(inbox / name, **SMALL)
    loaded = []

    def load(settings, observe):
        loaded.append(settings)
        return load_upscaler(settings, observe)

    request = Watch(
        folder=inbox,
        output=tmp_path / "done",
        settle=0.0,
        is_once=True,
        model=ModelSettings(model="nano"),
    )
    outcomes = list(watch(request, load=load))
    assert [o.status.value for o in outcomes] == ["done"] * 3
    assert len(loaded) == 1
