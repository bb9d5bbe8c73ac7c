"""What can go wrong, and the exit code that says so; what a user can cause is a Dit4srError."""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """Process exit codes, documented in docs/exit-codes.md and stable between releases."""

    OK = 0
    INTERNAL = 1
    USAGE = 2
    INPUT = 3
    OUTPUT = 4
    MODEL = 5
    MEMORY = 6
    NETWORK = 7
    PARTIAL = 8
    CHANGED = 9
    COMMAND = 10
    INTERRUPTED = 130
    BROKEN_PIPE = 141


class Dit4srError(Exception):
    """An expected failure: one line for the user, and a hint that says what to do.

    Args:
        message: names the file or option and what is wrong with it, in one line.
        hint: the next step, in one line; may be empty.
    """

    exit_code: ExitCode = ExitCode.INTERNAL

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(Dit4srError):
    """An option or a combination of options that makes no sense."""

    exit_code = ExitCode.USAGE


class InputError(Dit4srError):
    """A picture or file that cannot be read: missing, empty, truncated, not an image, too large."""

    exit_code = ExitCode.INPUT


class OutputError(Dit4srError):
    """A result that cannot be written: exists already, no permission, disk full, unknown format."""

    exit_code = ExitCode.OUTPUT


class ModelError(Dit4srError):
    """Weights that are missing, incomplete, or do not fit the architecture."""

    exit_code = ExitCode.MODEL


class OutOfMemoryError(Dit4srError):
    """The device or the machine has not enough memory for the settings."""

    exit_code = ExitCode.MEMORY


class NetworkError(Dit4srError):
    """A transfer that failed."""

    exit_code = ExitCode.NETWORK


class CommandError(Dit4srError):
    """Another program, which the user named, that cannot be run or fails."""

    exit_code = ExitCode.COMMAND


class InterruptedByUser(Dit4srError):
    """Ctrl-C or a request to terminate."""

    exit_code = ExitCode.INTERRUPTED
