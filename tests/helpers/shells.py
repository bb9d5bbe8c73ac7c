"""Types into interactive shells on a pseudo-terminal, TAB and all."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import re
import select
import signal
import struct
import sys
import termios
import time
from pathlib import Path

from helpers.cli import environment

START = {
    "bash": ["bash", "--norc", "--noprofile", "-i"],
    "zsh": ["zsh", "-f", "-i"],
    "fish": ["fish", "--no-config", "-i"],
}
_DEVICE_QUERY = re.compile(rb"\x1b\[0?c")  # fish asks the terminal what it is, and waits


class Terminal:
    """A shell at a terminal of 160 columns, in a folder, with a `dit4sr` that shows its words.

    It completes as the real one does; run, it prints each of its arguments in angle brackets.
    """

    def __init__(self, shell: str, folder: Path, bin_folder: Path) -> None:
        _put_program(bin_folder)
        path = f"{bin_folder}{os.pathsep}{os.environ['PATH']}"
        self._pid, self._fd = pty.fork()
        if self._pid == 0:
            os.chdir(folder)
            home = {"HOME": str(folder), "DIT4SR_HOME": str(folder / "home"), "TERM": "xterm"}
            os.execvpe(START[shell][0], START[shell], environment({**home, "PATH": path}))
        fcntl.ioctl(self._fd, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 160, 0, 0))

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, *exc_info: object) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._pid, signal.SIGKILL)
        os.waitpid(self._pid, 0)
        os.close(self._fd)

    def run(self, line: str) -> None:
        """Run a line to its end."""
        self.type(f'{line}; echo do""ne\r', until="done")

    def type(self, keys: str, *, until: str, seconds: float = 60) -> None:
        """Type, and wait until the terminal shows something."""
        os.write(self._fd, keys.encode())
        shown, end = b"", time.monotonic() + seconds
        while until not in (text := _plain(shown)):
            if time.monotonic() > end:
                raise AssertionError(f"{until!r} did not appear after {keys!r}: {text!r}")
            if select.select([self._fd], [], [], 0.1)[0]:
                data = os.read(self._fd, 65536)
                if _DEVICE_QUERY.search(data):
                    os.write(self._fd, b"\x1b[?62;c")
                shown += data


def _plain(shown: bytes) -> str:
    """Without control sequences."""
    text = re.sub(
        rb"\x1b(\[[0-9;?<>=]*[a-zA-Z]|[()].|[=>]|\][^\x07\x1b]*(\x07|\x1b\\))", b"", shown
    )
    return text.decode("utf-8", "replace")


def _put_program(folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    program = folder / "dit4sr"
    program.write_text(
        "#!/bin/sh\n"
        f'[ "$1" = complete ] && exec "{sys.executable}" -m dit4sr_cli "$@"\n'
        "printf '<%s>' \"$@\"\n"
    )
    program.chmod(0o755)
