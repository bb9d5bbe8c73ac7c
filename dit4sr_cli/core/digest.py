"""SHA-256 of files, however large they are."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

_BLOCK = 1 << 20


def feed(state: Any, path: Path) -> None:
    """Give a file's bytes to a `hashlib` state.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as stream:
        while block := stream.read(_BLOCK):
            state.update(block)


def sha256_of(path: Path) -> str:
    """Hexadecimal SHA-256 of a file.

    Raises:
        OSError: it cannot be read.
    """
    state = hashlib.sha256()
    feed(state, path)
    return state.hexdigest()
