"""The only place that talks: results to stdout, one line a message to stderr, nothing wrapped."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import warnings
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

from dit4sr_cli.cli import streams

JSON_SCHEMA = 1
_RED, _YELLOW, _DIM = "31", "33", "2"


class Console:
    """What the user asked to hear, and how to say it."""

    def __init__(self) -> None:
        self.is_quiet = False
        self.is_verbose = is_debugging()
        self.is_json = False
        self.aside: Callable[[], AbstractContextManager[None]] = contextlib.nullcontext
        """Moves the progress bar out of the way of a message."""

    def open(self, *, quiet: bool = False, verbose: bool = False, as_json: bool = False) -> None:
        """Start a command: from here on stdout carries its result and nothing else."""
        self.is_quiet = quiet
        self.is_verbose = verbose or is_debugging()
        self.is_json = as_json
        streams.reserve_stdout()
        if not self.is_verbose:
            warnings.simplefilter("ignore")  # the libraries' notes to developers

    @property
    def shows_progress(self) -> bool:
        """Progress is for a person who watches."""
        return streams.is_stderr_terminal() and not (self.is_quiet or self.is_json)

    def result(self, text: str, record: dict[str, Any]) -> None:
        """The answer of a command: its text, or with --json the record."""
        if self.is_json:
            self.json(record)
        elif text:
            streams.write_text(text + "\n")

    def json(self, record: dict[str, Any]) -> None:
        """One object on one line of stdout."""
        streams.write_text(json.dumps({"schema": JSON_SCHEMA, **record}) + "\n")

    def summary(self, text: str) -> None:
        """The closing line of a command whose result is a file."""
        if not (self.is_quiet or self.is_json):
            self._say(text)

    def note(self, text: str) -> None:
        """Something worth knowing."""
        if not self.is_quiet:
            self._say(text, label="note", colour=_DIM)

    def warn(self, text: str) -> None:
        """Something that may not be what the user wanted."""
        if not self.is_quiet:
            self._say(text, label="warning", colour=_YELLOW)

    def detail(self, text: str) -> None:
        """For --verbose."""
        if self.is_verbose:
            self._say(text, colour=_DIM)

    def error(self, text: str, hint: str = "") -> None:
        """Why the command failed; never hidden."""
        self._say(f"{text} ({hint})" if hint else text, label="error", colour=_RED)

    def traceback(self, text: str) -> None:
        """A developer's view, line by line."""
        for line in text.splitlines():
            self._say(line)

    def _say(self, text: str, *, label: str = "", colour: str = "") -> None:
        line = one_line(text)
        if label:
            line = f"{_painted(label + ':', colour)} {line}"
        # Straight to the descriptor: when nobody reads stderr, the work and its exit code stand.
        with self.aside(), contextlib.suppress(OSError):
            os.write(2, (line + "\n").encode(_encoding(), "backslashreplace"))


def is_debugging() -> bool:
    """DIT4SR_DEBUG=1 is --verbose for what happens before options are read."""
    return os.environ.get("DIT4SR_DEBUG", "") not in ("", "0")


def one_line(text: str) -> str:
    """The text with line breaks and control characters made visible; file names may hold any."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def wants_colour() -> bool:
    """Whether a terminal has colours, and nobody has said no."""
    return not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def _painted(text: str, colour: str) -> str:
    is_plain = not (wants_colour() and streams.is_stderr_terminal())
    return text if is_plain else f"\x1b[{colour}m{text}\x1b[0m"


def _encoding() -> str:
    return getattr(sys.stderr, "encoding", None) or "utf-8"


console = Console()
