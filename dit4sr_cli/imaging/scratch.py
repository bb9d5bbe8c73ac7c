"""Arrays that live in a file without a name, so that memory need not hold them.

The system frees such a file with its last user, however that one ends.
"""

from __future__ import annotations

import math
import mmap
import os
import tempfile
import weakref
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import DTypeLike

from dit4sr_cli.core.errors import OutputError
from dit4sr_cli.imaging.picture import Pixels

_ZEROS = bytes(1 << 20)
_maps: weakref.WeakSet[mmap.mmap] = weakref.WeakSet()


def zeros(shape: tuple[int, ...], dtype: DTypeLike, folder: Path) -> Pixels:
    """An array on disk, in this folder; its room is taken now.

    Raises:
        OutputError: there is no room.
    """
    size = math.prod(shape) * np.dtype(dtype).itemsize
    try:
        with tempfile.TemporaryFile(dir=folder, prefix=".dit4sr-") as file:
            _reserve(file, size)
            mapped = mmap.mmap(file.fileno(), size)
    except OSError as error:
        raise OutputError(
            f"{folder}: no room for {size / 1e9:.1f} GB of intermediate results: {error.strerror}",
            hint="free some space, or choose another folder with -o",
        ) from error
    _maps.add(mapped)
    return np.frombuffer(mapped, dtype).reshape(shape)


def holds(array: Pixels) -> bool:
    """Whether an array, or what it is a part of, was made here."""
    owner: object = array
    while isinstance(owner, np.ndarray):
        owner = owner.base
    return (isinstance(owner, memoryview) and owner.obj in _maps) or owner in _maps


def rest() -> None:
    """Leave what has been touched so far to the disk; it comes back when it is touched again."""
    if hasattr(mmap, "MADV_DONTNEED"):
        for mapped in list(_maps):
            # The mapping is shared, so the pages go to the file and nothing is lost.
            mapped.madvise(mmap.MADV_DONTNEED)


def _reserve(file: IO[bytes], size: int) -> None:
    """Take the room, so that a full disk is an error here and not a crash in mid-write."""
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(file.fileno(), 0, size)
        return
    for start in range(0, size, len(_ZEROS)):
        file.write(_ZEROS[: size - start])
    file.flush()
