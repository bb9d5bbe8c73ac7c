"""A terminal for tests: what runs on it, what it answers, and what is drawn on it."""

from __future__ import annotations

import base64
import fcntl
import io
import os
import pty
import re
import struct
import subprocess
import termios
from collections.abc import Mapping

import numpy as np
from PIL import Image

from helpers.cli import command, environment

_ASKED = b"\x1b[c"
_NAMES = ("TMUX", "STY", "TERM_PROGRAM", "LC_TERMINAL", "KITTY_WINDOW_ID")


def run_on_terminal(
    *args, answer: bytes = b"", width: int = 0, columns: int = 100, env: Mapping | None = None
) -> tuple[int, bytes, bytes]:
    """Run `dit4sr ARGS` with stderr and stdin on a terminal; exit code, stdout, what was shown.

    Args:
        args: of the command.
        answer: to the question what it can do; nothing is a terminal that stays silent.
        width: in pixels; 0: it does not say.
        columns: of text.
        env: more of the environment.
    """
    parent, child = pty.openpty()
    fcntl.ioctl(child, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, width, 0))
    clean = dict.fromkeys(_NAMES)
    process = subprocess.Popen(
        command(*args),
        stdin=child,
        stdout=subprocess.PIPE,
        stderr=child,
        env=environment({**clean, "TERM": "xterm", **(env or {})}),
        start_new_session=True,
    )
    os.close(child)
    shown, is_answered = b"", False
    while True:
        try:
            chunk = os.read(parent, 65536)
        except OSError:  # Linux: the other end is gone
            break
        if not chunk:
            break
        shown += chunk
        if _ASKED in shown and answer and not is_answered:
            os.write(parent, answer)
            is_answered = True
    os.close(parent)
    stdout = process.stdout.read() if process.stdout else b""
    return process.wait(), stdout, shown.replace(b"\r\n", b"\n")


def kitty_png(shown: bytes) -> bytes:
    """What kitty would put together of its commands."""
    data, is_open = b"", False
    for keys, payload in re.findall(rb"\x1b_G([^;]*);([^\x1b]*)\x1b\\", shown):
        given = dict(pair.split(b"=") for pair in keys.split(b","))
        assert given[b"q"] == b"2"  # else it answers, into the shell
        assert len(payload) <= 4096
        if not is_open:
            assert (given[b"a"], given[b"f"]) == (b"T", b"100")
        is_open = given[b"m"] == b"1"
        assert not is_open or len(payload) % 4 == 0
        data += payload
    assert data
    assert not is_open
    return base64.b64decode(data, validate=True)


def iterm_png(shown: bytes) -> bytes:
    """What iTerm2 would decode."""
    [(keys, payload)] = re.findall(rb"\x1b\]1337;File=([^:]*):([^\x07]*)\x07", shown)
    given = dict(pair.split(b"=") for pair in keys.split(b";"))
    data = base64.b64decode(payload, validate=True)
    assert given[b"inline"] == b"1"
    assert int(given[b"size"]) == len(data)
    return data


def sixel_pixels(shown: bytes) -> np.ndarray:
    """What a terminal would draw of sixels, [H, W, 3]."""
    [(raster, body)] = re.findall(rb'\x1bP[\d;]*q"([\d;]*)(.*?)\x1b\\', shown, re.DOTALL)
    _, _, width, height = map(int, raster.split(b";"))
    picture = np.full((height + 6, width, 3), -1)
    palette, colour, x, y = {}, None, 0, 0
    token = rb"#(\d+)(?:;2;(\d+);(\d+);(\d+))?|!(\d+)([?-~])|([?-~])|(\$)|(-)"
    end = 0
    for found in re.finditer(token, body):
        assert found.start() == end, body[end : end + 20]
        end = found.end()
        number, red, green, blue, count, repeated, one, carriage, newline = found.groups()
        if red is not None:
            palette[number] = np.array([int(red), int(green), int(blue)]) * 255 / 100
        elif number is not None:
            colour = palette[number]
        elif carriage:
            x = 0
        elif newline:
            x, y = 0, y + 6
        else:
            times, bits = int(count or 1), (repeated or one)[0] - 63
            for row in range(6):
                if bits >> row & 1:
                    picture[y + row, x : x + times] = colour.round()
            x += times
            assert x <= width
    assert end == len(body)
    assert (picture[height:] == -1).all()
    assert (picture[:height] >= 0).all()
    return picture[:height].astype(np.uint8)


def decoded(png: bytes) -> np.ndarray:
    """Its pixels."""
    with Image.open(io.BytesIO(png)) as picture:
        return np.asarray(picture.convert("RGB"))
