"""What a person at a terminal sees: progress, colours unless NO_COLOR, clean lines."""

from __future__ import annotations

import fcntl
import os
import pty
import struct
import subprocess
import termios

import pytest
from helpers.cli import command, environment

RED, RESET = "\x1b[31m", "\x1b[0m"


def run_on_terminal(*args, faults=(), env=None, columns=100, cwd=None) -> tuple[int, str]:
    """Run with stderr on a terminal; returns the exit code and all that was shown."""
    parent, child = pty.openpty()
    fcntl.ioctl(child, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    process = subprocess.Popen(
        command(*args, faults=faults),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=child,
        env=environment({"TERM": "xterm", **(env or {})}),
        cwd=cwd,
    )
    os.close(child)
    shown = b""
    while True:
        try:
            chunk = os.read(parent, 65536)
        except OSError:  # Linux: the other end is gone
            break
        if not chunk:
            break
        shown += chunk
    os.close(parent)
    return process.wait(), shown.decode().replace("\r\n", "\n")


def upscale_slowly(tmp_path, photo, *args, **options):
    faults = ["fake_model", "slow"]
    return run_on_terminal(
        "upscale", photo, "-o", tmp_path / "o.png", *args, faults=faults, **options
    )


def test_progress_by_tiles_with_time_left(tmp_path, photo):
    code, shown = upscale_slowly(tmp_path, photo)
    assert code == 0
    frames = shown.split("\r")
    assert any("photo.jpg" in f and "loading the model" in f for f in frames)
    assert any("sampling" in f and "/2" in f and "left" in f for f in frames)
    assert frames[-1].endswith(" s\n")  # the bar is gone, the summary stands alone
    assert frames[-2].strip() == ""


@pytest.mark.parametrize("flag", ["-q", "--json"])
def test_no_progress_when_quiet_or_json(tmp_path, photo, flag):
    _, shown = upscale_slowly(tmp_path, photo, flag)
    assert "sampling" not in shown
    assert "%" not in shown


def test_progress_fits_a_narrow_terminal(tmp_path, photo):
    _, shown = upscale_slowly(tmp_path, photo, columns=40)
    frames = [f for f in shown.replace("\n", "\r").split("\r") if "sampling" in f or "load" in f]
    assert frames
    assert max(map(len, frames)) <= 40


def test_a_warning_does_not_break_into_the_bar(tmp_path, photo):
    _, shown = upscale_slowly(tmp_path, photo, "--prompt", "x", env={"NO_COLOR": "1"})
    (line,) = (f for f in shown.replace("\r", "\n").splitlines() if "warning:" in f)
    assert line == "warning: nano reads no prompt: --prompt is ignored"


def test_errors_are_red_unless_no_color(tmp_path):
    args = ["upscale", tmp_path / "missing.jpg"]
    _, shown = run_on_terminal(*args)
    assert shown.startswith(f"{RED}error:{RESET} ")
    for env in ({"NO_COLOR": "1"}, {"TERM": "dumb"}):
        _, shown = run_on_terminal(*args, env=env)
        assert shown.startswith("error: ")
        assert "\x1b" not in shown


def test_no_color_holds_for_progress_too(tmp_path, photo):
    _, shown = upscale_slowly(tmp_path, photo, "--prompt", "x", env={"NO_COLOR": "1"})
    assert "\x1b[3" not in shown
