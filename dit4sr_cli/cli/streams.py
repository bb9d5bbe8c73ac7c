"""Owns the process's standard streams: a protected stdout, pictures from stdin, terminal checks."""

from __future__ import annotations

import io
import os
import stat
import sys
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from dit4sr_cli.cli.stop import Stopped
from dit4sr_cli.core.errors import InputError, OutputError, UsageError

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

MAX_STREAM_BYTES = 2 << 30
"""A picture in a pipe is held in memory: an endless one must not fill it."""

STDOUT_NAMES = ("-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1")
"""fd 1 is stderr once it is protected, so its other names must not be opened."""

_SIGPIPE = 13  # the module `signal` of Windows does not have it


class _RealStdout(io.RawIOBase):
    """The descriptor that was fd 1; a closed pipe ends the run like SIGPIPE, without noise."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._is_dead = False

    def fileno(self) -> int:
        return self._fd

    def isatty(self) -> bool:
        return self._fd >= 0 and os.isatty(self._fd)

    def writable(self) -> bool:
        return True

    def write(self, data: ReadableBuffer) -> int:
        if self._is_dead:  # what is left in buffers at exit has no reader any more
            return memoryview(data).nbytes
        try:
            return os.write(self._fd, data)
        except BrokenPipeError:
            self._is_dead = True
            raise Stopped(_SIGPIPE) from None
        except OSError as error:
            self._is_dead = True
            raise OutputError(f"standard output: {error.strerror}") from error


_stdout: io.TextIOWrapper | None = None


def protect_stdout() -> None:
    """Keep the real stdout for ourselves and point fd 1 at stderr, where chatter does no harm."""
    global _stdout
    real = os.dup(1) if _is_open(1) else -1
    while (missing := next((fd for fd in (0, 1, 2) if not _is_open(fd)), None)) is not None:
        # A closed standard stream would be handed to the next file that is opened.
        if os.open(os.devnull, os.O_RDWR) != missing:
            break
    os.dup2(2, 1)
    _stdout = io.TextIOWrapper(
        io.BufferedWriter(_RealStdout(real)),
        encoding=getattr(sys.stdout, "encoding", None) or "utf-8",
        errors="backslashreplace",
    )
    sys.stdout = _stdout  # help, version and completion are data: they go to the real one


def reserve_stdout() -> None:
    """From now on `print` in any library goes to stderr; only this module reaches the real one."""
    if _stdout is not None:
        sys.stdout = sys.stderr


def write_text(text: str) -> None:
    """Write to the real standard output."""
    stdout = _stdout or sys.stdout
    stdout.write(text)
    stdout.flush()


def flush() -> None:
    """Hand over what is still buffered, so that a full disk is noticed before the exit code."""
    if _stdout is not None:
        _stdout.flush()


def picture_stdout() -> BinaryIO:
    """Standard output for a picture; a terminal is refused."""
    stdout = (_stdout or sys.stdout).buffer
    if stdout.isatty():
        raise UsageError(
            "a picture is not written to a terminal",
            hint="redirect it with > FILE, or name a file with -o",
        )
    return stdout


def is_stderr_terminal() -> bool:
    """Whether messages are read by a person right now."""
    return _is_open(2) and os.isatty(2)


def is_stdout_terminal() -> bool:
    """Whether results are."""
    return (_stdout or sys.stdout).isatty()


def is_stream(source: str) -> bool:
    """Whether a picture comes from `-`, a named pipe or a device such as /dev/fd/63."""
    if source == "-":
        return True
    try:
        mode = Path(source).stat().st_mode
    except OSError:  # not there: for the job to say
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def read_stream(source: str) -> bytes:
    """All of the picture in a stream."""
    if source == "-":
        return _read_stdin()
    try:
        with Path(source).open("rb") as stream:
            return _read_all(stream, source)
    except OSError as error:
        raise InputError(f"{source}: {error.strerror}") from error


def _read_stdin() -> bytes:
    if sys.stdin is None or sys.stdin.isatty():
        raise UsageError(
            "standard input is not a picture but a terminal",
            hint="pipe one in, as in: dit4sr upscale - -o out.png < photo.jpg",
        )
    return _read_all(sys.stdin.buffer, "stdin")


def _read_all(stream: BinaryIO, name: str) -> bytes:
    data = stream.read(MAX_STREAM_BYTES + 1)
    if len(data) > MAX_STREAM_BYTES:
        raise InputError(f"{name}: more than 2 GiB in a pipe", hint="save it to a file first")
    return data


def _is_open(fd: int) -> bool:
    try:
        os.fstat(fd)
    except OSError:
        return False
    return True
