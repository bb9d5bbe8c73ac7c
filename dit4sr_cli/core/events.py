"""What happens during a run, as plain data handed to an observer; nothing here prints."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class PhaseStarted:
    """A new phase of work; `total` counts its units (tiles x steps, if no other), 0: unknown."""

    phase: str
    total: int = 0
    unit: str = "tiles"


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


@dataclass(frozen=True, slots=True)
class Said:
    """An answer that was asked for, beside the result."""

    message: str


@dataclass(frozen=True, slots=True)
class TransferStarted:
    """Files are about to arrive. `num_bytes` are all of them, of which `done` were here before."""

    num_files: int
    num_bytes: int
    done: int = 0


@dataclass(frozen=True, slots=True)
class FileStarted:
    """A file of `num_bytes` begins to arrive; `done` of them were here before."""

    name: str
    num_bytes: int
    done: int = 0


@dataclass(frozen=True, slots=True)
class FileAdvanced:
    """So many bytes of a file are here; fewer than before if it had to start again."""

    name: str
    done: int


@dataclass(frozen=True, slots=True)
class FileFinished:
    """A file is here, and its checksum is right."""

    name: str


TransferEvent: TypeAlias = (
    TransferStarted | FileStarted | FileAdvanced | FileFinished | Warned | Noted
)
TransferObserver: TypeAlias = Callable[[TransferEvent], None]

Event: TypeAlias = PhaseStarted | Advanced | Warned | Noted | Said
Observer: TypeAlias = Callable[[Event], None]


def ignore(event: object) -> None:
    """The observer that does nothing."""


def only_messages(observe: Observer) -> Observer:
    """For work beside the main one, whose phases and progress are not what is waited for."""

    def tell(event: Event) -> None:
        if isinstance(event, (Warned, Noted)):
            observe(event)

    return tell
