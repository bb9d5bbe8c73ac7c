"""Turns whatever ends a command into one line for the user and a documented exit code."""

from __future__ import annotations

import errno
import os
import re
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from types import FrameType

from dit4sr_cli.cli import streams
from dit4sr_cli.cli.console import console
from dit4sr_cli.cli.stop import Stopped
from dit4sr_cli.core.errors import (
    Dit4srError,
    ExitCode,
    InterruptedByUser,
    OutOfMemoryError,
    OutputError,
    UsageError,
)
from dit4sr_cli.core.words import did_you_mean

_SIGHUP = 1  # the module `signal` of Windows does not have it
_STOP_WORDS: dict[int, str] = {
    signal.SIGINT: "interrupted",
    signal.SIGTERM: "terminated",
    _SIGHUP: "the terminal was closed",
}
_MEMORY_HINT = "use smaller tiles, for example --tile 16, or a smaller --scale"
_MEMORY_PHRASES = ("out of memory", "can't allocate memory", "not enough memory")
_DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)


def catch_signals() -> None:
    """Make Ctrl-C and its kin unwind the stack, so that half-written files are removed."""
    main_process = os.getpid()

    def stop(signum: int, frame: FrameType | None) -> None:
        if os.getpid() == main_process:
            raise Stopped(signum)
        # A forked worker ends as if we had never been here, without a traceback.
        signal.signal(signum, signal.SIG_DFL)
        os.kill(os.getpid(), signum)

    for signum in _stop_signals():
        if signal.getsignal(signum) != signal.SIG_IGN:  # nohup, or a job in the background
            signal.signal(signum, stop)
    sys.unraisablehook = _stop_again


def guard(run: Callable[[], object]) -> int:
    """Run a command; whatever it raises becomes a message and an exit code."""
    try:
        code = run()
        streams.flush()
        _ignore_signals()  # all is done: what remains is to leave
        return code if isinstance(code, int) else ExitCode.OK
    except SystemExit as error:  # completion ends so
        return error.code if isinstance(error.code, int) else ExitCode.OK
    except BaseException as error:
        _ignore_signals()
        return _report(error)


def translate(error: BaseException) -> Dit4srError | None:
    """The expected failure behind an exception of Python, Typer or torch; None for our own bugs."""
    if isinstance(error, Dit4srError):
        return error
    if hasattr(error, "format_message"):  # every error of Typer, whichever click it carries
        return _usage_error(error)
    if _is_out_of_memory(error):
        return OutOfMemoryError("not enough memory for this picture", hint=_MEMORY_HINT)
    if isinstance(error, OSError) and error.errno in _DISK_ERRORS:
        name = f"{error.filename}: " if error.filename else ""
        return OutputError(f"{name}{error.strerror}", hint="free some space or choose another -o")
    return None


def _report(error: BaseException) -> int:
    error = _stop_behind(error) or error
    if isinstance(error, (KeyboardInterrupt, InterruptedByUser)):
        error = Stopped(signal.SIGINT)
    if isinstance(error, Stopped):
        return _report_stop(error)
    expected = translate(error)
    if console.is_verbose and not isinstance(expected, UsageError):
        console.traceback("".join(traceback.format_exception(error)))
    if expected is None:
        expected = Dit4srError(
            f"unexpected {type(error).__name__}: {error}", hint="run again with -v for a traceback"
        )
    console.error(expected.message, expected.hint)
    _report_json(expected)
    return expected.exit_code


def _stop_behind(error: BaseException) -> Stopped | None:
    """A signal while a module is imported may arrive wrapped: Python does so in __set_name__."""
    behind: BaseException | None = error
    while behind is not None and not isinstance(behind, Stopped):
        behind = behind.__cause__
    return behind


def _report_stop(stop: Stopped) -> int:
    word = _STOP_WORDS.get(stop.signum)
    if word:
        console.error(word)
    return stop.exit_code


def _report_json(error: Dit4srError) -> None:
    """With --json a failure is an object too; not for a wrong command line, nobody reads yet."""
    if not console.is_json or isinstance(error, UsageError):
        return
    try:
        kind = type(error).__name__
        body = {"kind": kind, "code": int(error.exit_code), "message": error.message}
        console.json({"error": {**body, "hint": error.hint}})
    except (Stopped, OutputError):
        return  # stdout is what failed


def _usage_error(error: BaseException) -> UsageError:
    """Typer's message as one line, and what was meant: its own guess is one of several words."""
    message = str(error.format_message()).replace("Value error, ", "")  # type: ignore[attr-defined]
    message = " ".join(message.split())  # choices come a line each
    meant = ""
    if type(error).__name__ == "NoArgsIsHelpError":  # its message is the whole help
        message = "Missing command."
    elif near := getattr(error, "possibilities", None):
        name = error.option_name  # type: ignore[attr-defined]
        message, meant = f"No such option: {name}", did_you_mean(name, near)
    elif guess := re.fullmatch(r"(No such command .*)\. Did you mean '([^']*)'.*", message):
        message, meant = guess[1], f"did you mean {guess[2]}?"
    elif choice := re.search(r"'([^']*)' is not one of (.+?)\.?$", message):
        meant = did_you_mean(choice[1], re.findall(r"'([^']*)'", choice[2]))
    context = getattr(error, "ctx", None)
    path = context.command_path if context else "dit4sr"
    return UsageError(message.rstrip("."), hint=meant or f"see {path} --help")


def _is_out_of_memory(error: BaseException) -> bool:
    # torch is not imported for this: its class is known by name, its CPU allocator by its words.
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    return isinstance(error, RuntimeError) and any(p in str(error) for p in _MEMORY_PHRASES)


def _stop_again(unraisable: sys.UnraisableHookArgs) -> None:
    """Send again a signal that came where Python can raise nothing: a destructor, a fork hook."""
    error = unraisable.exc_value
    if isinstance(error, Stopped):
        threading.Timer(0.05, os.kill, (os.getpid(), error.signum)).start()
    else:
        sys.__unraisablehook__(unraisable)


def _ignore_signals() -> None:
    for signum in _stop_signals():
        signal.signal(signum, signal.SIG_IGN)


def _stop_signals() -> set[int]:
    return _STOP_WORDS.keys() & signal.valid_signals()
