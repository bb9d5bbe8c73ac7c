"""`--show`: what a terminal is sent, by a terminal that reads it back."""

from __future__ import annotations

import shutil
import subprocess
import time

import numpy as np
import pytest
from helpers.cli import command, environment, run_cli
from helpers.images import psnr
from helpers.terminal import decoded, iterm_png, kitty_png, run_on_terminal, sixel_pixels
from PIL import Image

ASKED, SIXEL, PLAIN = b"\x1b[c", b"\x1b[?62;4;22c", b"\x1b[?64;1;2c"


@pytest.fixture
def preview(tmp_path, photo):
    """Runs it with so many arguments more; code, stdout, what was shown, and the sheet."""

    def run(*args, **options):
        sheet = tmp_path / "sheet.png"
        words = ("preview", photo, "--size", "8", "-o", sheet, *args)
        code, stdout, shown = run_on_terminal(*words, **options)
        assert code == 0, shown
        return stdout, shown, sheet

    return run


@pytest.mark.parametrize(
    ("env", "read"),
    [
        ({"TERM": "xterm-kitty"}, kitty_png),
        ({"TERM_PROGRAM": "ghostty"}, kitty_png),
        ({"TERM_PROGRAM": "iTerm.app"}, iterm_png),
        ({"TERM_PROGRAM": "WezTerm"}, iterm_png),
    ],
    ids=["kitty", "ghostty", "iterm", "wezterm"],
)
def test_terminals_that_say_who_they_are_get_the_very_file(preview, env, read):
    stdout, shown, sheet = preview("--show", "--json", env=env)
    assert read(shown) == sheet.read_bytes()
    assert ASKED not in shown
    assert stdout.startswith(b'{"schema": 1, "command": "preview"')
    assert b"\x1b" not in stdout


def test_a_terminal_that_counts_sixel_among_what_it_can_gets_sixels(preview):
    _, shown, sheet = preview("--show", answer=SIXEL)
    assert ASKED in shown
    drawn = Image.fromarray(sixel_pixels(shown))
    assert drawn.size == Image.open(sheet).size
    assert psnr(drawn, Image.open(sheet)) > 25  # 256 colours
    assert SIXEL not in shown  # the answer was read, not echoed


@pytest.mark.parametrize("answer", [PLAIN, b""], ids=["plain", "silent"])
def test_others_get_one_line_and_the_files_name(preview, answer):
    _, shown, sheet = preview("--show", answer=answer, env={"NO_COLOR": "1"})
    lines = [line for line in shown.decode().splitlines() if "--show" in line]
    [line] = lines
    assert "draws no pictures" in line
    assert line.endswith(str(sheet))


def test_a_way_that_is_named_is_taken(preview):
    _, shown, sheet = preview("--show", "kitty")
    assert kitty_png(shown) == sheet.read_bytes()


def test_what_is_wider_than_the_terminal_is_reduced_for_it(preview):
    _, shown, sheet = preview("--show=iterm", width=100)
    small, whole = decoded(iterm_png(shown)), Image.open(sheet)
    assert small.shape[1] == 100 < whole.width
    reduced = whole.resize((100, small.shape[0]), Image.Resampling.LANCZOS)
    assert np.abs(small.astype(int) - np.asarray(reduced)).max() <= 1
    assert f"shown at {round(100 * 100 / whole.width)} %" in shown.decode("utf-8", "replace")


@pytest.mark.parametrize(
    "env", [{"TMUX": "/tmp/x,1,0"}, {"STY": "1.x"}, {"TERM": "screen-256color"}]
)
def test_what_is_around_a_multiplexer_does_not_count(preview, env):
    _, shown, sheet = preview("--show", answer=PLAIN, env={"KITTY_WINDOW_ID": "1", **env})
    assert b"lets no pictures through" in shown
    assert str(sheet).encode() in shown
    assert b"\x1b_G" not in shown


def test_not_a_terminal(tmp_path, photo):
    done = run_cli("preview", photo, "--size", "8", "--show", "-o", "-")
    assert done.code == 0
    assert decoded(done.stdout).shape[2] == 3
    assert "stderr is no terminal" in done.stderr
    assert "\x1b" not in done.stderr


@pytest.mark.skipif(not shutil.which("tmux"), reason="needs tmux")
def test_in_a_real_tmux(tmp_path, photo):
    words = command("preview", photo, "--size", "8", "--show", "-o", tmp_path / "sheet.png")
    socket = str(tmp_path / "socket")
    env = environment({"TERM": "xterm-kitty", "KITTY_WINDOW_ID": "1", "TMUX": None})

    def tmux(*args):
        done = subprocess.run(
            ["tmux", "-S", socket, "-f", "/dev/null", *args],
            env=env,
            capture_output=True,
            check=False,
        )
        return done.stdout.decode()

    tmux("new-session", "-d", "-x", "200", "-y", "30", "sh")
    try:
        tmux("send-keys", "-l", " ".join(words) + "; echo DONE-$?")
        tmux("send-keys", "Enter")
        until = time.monotonic() + 120
        while "DONE-0" not in (screen := tmux("capture-pane", "-p", "-J")):
            assert time.monotonic() < until, screen
            time.sleep(0.3)
    finally:
        tmux("kill-server")
    assert "tmux lets no pictures through" in screen
    assert "_Ga=T" not in screen
