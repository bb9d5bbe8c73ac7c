"""Ctrl-C and requests to terminate: one line, the documented code, no file and no leftovers."""

from __future__ import annotations

import os
import signal
import subprocess

import pytest
from helpers.cli import command, environment

from dit4sr_cli.cli import failures
from dit4sr_cli.cli.stop import Stopped
from dit4sr_cli.core.errors import ExitCode


def stop_after_begun(argv, signum) -> tuple[int, list[str]]:
    process = subprocess.Popen(
        argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment()
    )
    while "BEGUN" not in (line := process.stderr.readline()):
        assert line, "ended before it had begun"
    process.send_signal(signum)
    stdout, stderr = process.communicate(timeout=20)
    assert stdout == ""
    return process.returncode, stderr.splitlines()


@pytest.mark.parametrize("fault", ["endless", "stubborn", "endless_destructor", "endless_write"])
@pytest.mark.parametrize(
    ("signum", "code", "word"),
    [
        (signal.SIGINT, ExitCode.INTERRUPTED, "interrupted"),
        (signal.SIGTERM, 143, "terminated"),
        (signal.SIGHUP, 129, "closed"),
    ],
    ids=["SIGINT", "SIGTERM", "SIGHUP"],
)
def test_stopped(tmp_path, photo, fault, signum, code, word):
    argv = command("upscale", photo, "-o", tmp_path / "out.png", faults=["fake_model", fault])
    returncode, lines = stop_after_begun(argv, signum)
    assert returncode == code
    (line,) = lines
    assert line.startswith("error: ")
    assert word in line
    assert [p.name for p in tmp_path.iterdir()] == ["photo.jpg"]


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_workers_end_without_a_word(tmp_path, photo, signum):
    faults = ["fake_model", "endless_worker"]
    process = subprocess.Popen(
        command("upscale", photo, "-o", tmp_path / "out.png", "-q", faults=faults),
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
        start_new_session=True,
    )
    assert process.stderr.readline() == "BEGUN\n"
    os.killpg(process.pid, signum)  # what a terminal does
    _, stderr = process.communicate(timeout=20)  # ends only when the worker has ended too
    assert process.returncode == 128 + signum, stderr
    assert stderr.count("\n") == 1


def test_an_old_output_survives(tmp_path, photo):
    out = tmp_path / "out.png"
    out.write_text("precious")
    faults = ["fake_model", "endless_write"]
    argv = command("upscale", photo, "-o", out, "--overwrite", faults=faults)
    returncode, _ = stop_after_begun(argv, signal.SIGINT)
    assert returncode == ExitCode.INTERRUPTED
    assert out.read_text() == "precious"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out.png", "photo.jpg"]


def test_a_signal_in_the_middle_of_an_import_is_still_a_signal(capfd, monkeypatch):
    def run():
        try:
            raise Stopped(signal.SIGINT)
        except Stopped as stop:  # as Python's __set_name__ does
            raise RuntimeError("Error calling __set_name__") from stop

    monkeypatch.setattr(failures, "_ignore_signals", lambda: None)
    assert failures.guard(run) == ExitCode.INTERRUPTED
    assert "interrupted" in capfd.readouterr().err
