"""What happens during a run, as plain data handed to an observer; nothing here prints."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class PhaseStarted:
    """A new phase of work on one picture; `total` counts its units (tiles x steps), 0: unknown."""

    phase: str
    total: int = 0


@dataclass(frozen=True, slots=True)
class Advanced:
    """`done` of the current phase's units are finished."""

    done: int


@dataclass(frozen=True, slots=True)
class Warned:
    """Something the user should know that does not stop the run."""

    message: str


@dataclass(frozen=True, slots=True)
class Noted:
    """Detail for `--verbose`."""

    message: str


Event: TypeAlias = PhaseStarted | Advanced | Warned | Noted
Observer: TypeAlias = Callable[[Event], None]


def ignore(event: Event) -> None:
    """The observer that does nothing."""
