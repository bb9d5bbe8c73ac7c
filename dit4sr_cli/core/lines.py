"""A file of lines that only grows: each is added in one write and is on the disk afterwards.

Of a file that was cut off anywhere, whole lines count; what was cut off stays as a line of its own.
"""

from __future__ import annotations

import os
from pathlib import Path


class GrowingFile:
    """For one writer at a time; whoever opens it sees to that."""

    def __init__(self, path: Path) -> None:
        """Look at what is there, if anything.

        Raises:
            OSError: it cannot be read.
        """
        self.path = path
        data = path.read_bytes() if path.exists() else b""
        self._is_torn = bool(data) and not data.endswith(b"\n")
        self.lines = data.split(b"\n")
        """As they were at the start, without their ends; the last one may be torn."""

    def add(self, line: bytes) -> None:
        """Write a line, which needs no end, and sync it.

        Raises:
            OSError: it cannot be written; part of it may be there.
        """
        data = (b"\n" if self._is_torn else b"") + line + b"\n"
        descriptor = os.open(self.path, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o666)
        try:
            self._is_torn = True
            while data:
                data = data[os.write(descriptor, data) :]
            self._is_torn = False
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
