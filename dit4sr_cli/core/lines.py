"""A file of lines that only grows: each is added in one write and is on the disk afterwards.

Of a file that was cut off anywhere, whole lines count; what was cut off stays as a line of its own.
"""

from __future__ import annotations

import os
from pathlib import Path


def opened(path: Path) -> tuple[GrowingFile, list[bytes]]:
    """The file, and what is in it: lines without their ends, of which the last may be torn.

    Raises:
        OSError: it cannot be read.
    """
    data = path.read_bytes() if path.exists() else b""
    is_torn = bool(data) and not data.endswith(b"\n")
    return GrowingFile(path, is_torn=is_torn), data.split(b"\n")


class GrowingFile:
    """For one writer at a time, who sees to that; see `opened`. It holds nothing of the file."""

    def __init__(self, path: Path, *, is_torn: bool) -> None:
        self.path = path
        self._is_torn = is_torn

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
