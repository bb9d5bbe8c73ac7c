"""Shows licences to a person and asks whether they are accepted."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from dit4sr_cli.cli import streams
from dit4sr_cli.cli.console import console

if TYPE_CHECKING:
    from dit4sr_cli.weights.licence import Licence


def licences(*, are_accepted: bool) -> Callable[[Sequence[Licence]], bool]:
    """What `pull` asks about licences: `--accept-licence`, or else the person at the terminal."""

    def accept(terms: Sequence[Licence]) -> bool:
        if are_accepted:
            for licence in terms:
                console.detail(f"accepted: {licence.title} ({licence.url})")
            return True
        if not can_ask():
            return False
        for licence in terms:
            _write(f"{licence.title}\n")
            _write("".join(f"  {line}\n" for line in licence.summary))
            _write(f"  This is our summary; what counts is {licence.url}\n")
        return ask("Do you accept?" if len(terms) == 1 else "Do you accept these licences?")

    return accept


def ask(question: str) -> bool:
    """A yes or no on the terminal; anything but y or yes is no."""
    _write(f"{question} [y/N] ")
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def can_ask() -> bool:
    """Whether a person reads and can answer."""
    is_person = sys.stdin is not None and sys.stdin.isatty()
    return is_person and streams.is_stderr_terminal() and not console.is_json


def _write(text: str) -> None:
    os.write(2, text.encode("utf-8", "backslashreplace"))
