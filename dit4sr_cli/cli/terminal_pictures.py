"""Shows a picture in the terminal that stderr is, if it is one that draws pictures."""

from __future__ import annotations

import contextlib
import os
import re
import select
import sys
import time
from collections.abc import Mapping
from enum import Enum
from typing import TYPE_CHECKING

from dit4sr_cli.cli import streams
from dit4sr_cli.cli.console import console

if TYPE_CHECKING:
    from dit4sr_cli.imaging.picture import Pixels

_TERMINAL = 2  # stdout is for results
_ASK_TIMEOUT = 1.0
"""Seconds for an answer: one over ssh takes a while, none at all must not hold anybody up."""
_DEVICE_ATTRIBUTES = b"\x1b[c"
_ANSWER = re.compile(rb"\x1b\[\?([\d;]*)c")
_SIXEL_ATTRIBUTE = b"4"
_STRING_TERMINATOR = b"\x1b\\"
_GUESSED_COLUMN = 9
"""Pixels of a column, if the terminal does not say."""
_MULTIPLEXERS = ("tmux", "screen")


class Show(str, Enum):
    """How a terminal is told to draw."""

    AUTO = "auto"
    KITTY = "kitty"
    ITERM = "iterm"
    SIXEL = "sixel"


def show(pixels: Pixels, way: Show, where: str) -> None:
    """Draw a picture, or say in one line why not.

    Args:
        pixels: uint8 [H, W, 3].
        way: how; `auto` finds out.
        where: the file that it is in, for those who cannot see it.
    """
    if not streams.is_stderr_terminal():
        console.warn(f"--show: stderr is no terminal, nothing is shown; the sheet is {where}")
        return
    found, reason = _way(way, os.environ)
    if found is None:
        console.warn(f"--show: {reason}; the sheet is {where}")
        return
    from dit4sr_cli.imaging import inline

    shown = pixels
    if width := _pixel_width():
        shown = inline.fitted(pixels, width)
    _send(_encoded(shown, found))
    if shown is not pixels:
        percent = round(100 * shown.shape[1] / pixels.shape[1])
        console.note(f"shown at {percent} %, as wide as the terminal; all of it is in {where}")


def _encoded(pixels: Pixels, way: Show) -> bytes:
    from dit4sr_cli.imaging import inline, writer
    from dit4sr_cli.imaging.picture import Metadata, Picture

    if way is Show.SIXEL:
        return inline.sixel(pixels)
    picture = Picture(pixels, None, Metadata(), "the sheet", "png", "rgb")
    png = writer.encode([picture], format="png")
    return inline.kitty(png) if way is Show.KITTY else inline.iterm(png)


# ------------------------------------------------------------------------- finding out


def _way(way: Show, environment: Mapping[str, str]) -> tuple[Show | None, str]:
    """How to draw; or nothing, and why."""
    if multiplexer := _multiplexer(environment):
        if way in (Show.AUTO, Show.SIXEL) and _draws_sixel():  # what it draws itself
            return Show.SIXEL, ""
        return None, f"{multiplexer} lets no pictures through"
    if way is not Show.AUTO:
        return way, ""
    if found := _announced(environment):
        return found, ""
    if environment.get("TERM") != "dumb" and _draws_sixel():
        return Show.SIXEL, ""
    return None, "this terminal draws no pictures (or say how: --show kitty, iterm or sixel)"


def _multiplexer(environment: Mapping[str, str]) -> str:
    """Its name, if the terminal is one inside another: what that one can is beside the point."""
    if environment.get("TMUX"):
        return "tmux"
    if environment.get("STY"):
        return "screen"
    kind = environment.get("TERM", "").partition("-")[0]
    return kind if kind in _MULTIPLEXERS else ""


def _announced(environment: Mapping[str, str]) -> Show | None:
    """What the environment says of the terminal."""
    program, kind = environment.get("TERM_PROGRAM", ""), environment.get("TERM", "")
    if program in ("iTerm.app", "WezTerm") or environment.get("LC_TERMINAL") == "iTerm2":
        return Show.ITERM
    is_like_kitty = kind in ("xterm-kitty", "xterm-ghostty") or program == "ghostty"
    return Show.KITTY if is_like_kitty or environment.get("KITTY_WINDOW_ID") else None


def _draws_sixel() -> bool:
    """Whether the terminal counts sixel among what it can (primary device attributes)."""
    found = _ANSWER.search(_asked(_DEVICE_ATTRIBUTES))
    return found is not None and _SIXEL_ATTRIBUTE in found[1].split(b";")[1:]


def _asked(question: bytes) -> bytes:
    """What the terminal answers; nothing if it does not, or must not be asked."""
    try:
        import termios
        import tty
    except ImportError:  # Windows
        return b""
    try:
        fd = os.open(os.ttyname(_TERMINAL), os.O_RDWR | os.O_NOCTTY)
    except OSError:
        return b""
    try:
        if not _is_in_foreground(fd):
            return b""
        before = termios.tcgetattr(fd)
        answer = b""
        try:
            tty.setcbreak(fd, termios.TCSADRAIN)  # else it is echoed, and waits for Enter
            os.write(fd, question)
            answer = _read_answer(fd)
        finally:
            # An answer that comes too late must not be typed into the shell.
            when = termios.TCSADRAIN if answer else termios.TCSAFLUSH
            termios.tcsetattr(fd, when, before)
        return answer
    except (OSError, termios.error):
        return b""
    finally:
        os.close(fd)


def _read_answer(fd: int) -> bytes:
    answer, until = b"", time.monotonic() + _ASK_TIMEOUT
    while not _ANSWER.search(answer) and (left := until - time.monotonic()) > 0:
        if select.select([fd], [], [], left)[0]:
            some = os.read(fd, 256)
            if not some:
                break
            answer += some
    return answer if _ANSWER.search(answer) else b""


def _is_in_foreground(fd: int) -> bool:
    """A job in the background is stopped when it touches its terminal."""
    try:
        return os.tcgetpgrp(fd) == os.getpgrp()
    except OSError:  # a terminal, but not the one that sends us signals
        return True


def _pixel_width() -> int:
    """Of the terminal; 0 if it does not say how wide it is."""
    try:
        import fcntl
        import struct
        import termios

        size = fcntl.ioctl(_TERMINAL, termios.TIOCGWINSZ, b"\0" * 8)
    except (ImportError, OSError):
        return 0
    _, columns, width, _ = struct.unpack("HHHH", size)
    return int(width or columns * _GUESSED_COLUMN)


# ----------------------------------------------------------------------------- drawing


def _send(data: bytes) -> None:
    """Write all of it; a picture that is broken off is ended, so that text is text again."""
    left = memoryview(data + b"\n")
    is_whole = False
    try:
        sys.stderr.flush()
        while left:
            left = left[os.write(_TERMINAL, left) :]
        is_whole = True
    finally:
        if not is_whole:
            with contextlib.suppress(OSError):
                os.write(_TERMINAL, _STRING_TERMINATOR)
