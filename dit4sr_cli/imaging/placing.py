"""Files put in place whole or not at all, and what the system refuses told in one line."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from dit4sr_cli.core.errors import OutputError
from dit4sr_cli.core.parts import part_of


@contextmanager
def explained(target: Path) -> Iterator[None]:
    """Turn what the system refuses into one line.

    Raises:
        OutputError: instead of an OSError.
    """
    try:
        yield
    except FileExistsError:
        raise OutputError(
            f"{target}: appeared while the picture was made", hint="use --overwrite to replace it"
        ) from None
    except OSError as error:
        hints = {
            errno.ENOSPC: "free some space, or choose another folder with -o",
            errno.EDQUOT: "free some space, or choose another folder with -o",
            errno.EACCES: "check the permissions of the folder",
            errno.EROFS: "choose another folder with -o",
        }
        hint = hints.get(error.errno or 0, "choose another place with -o")
        raise OutputError(
            f"{target}: cannot be written: {error.strerror or error}", hint=hint
        ) from error


def is_special(target: Path) -> bool:
    """A device, pipe or socket: renaming would put a file in its place."""
    try:
        return not stat.S_ISREG(target.stat().st_mode)
    except OSError:
        return False


@contextmanager
def whole_file(target: Path, *, overwrite: bool) -> Iterator[BinaryIO]:
    """A file beside the target that takes its place when all is written, and else vanishes.

    Where its process is killed, it stays: `core.parts.sweep` removes it.

    Raises:
        FileExistsError: the target is there, and may not be overwritten.
    """
    temporary = part_of(target)
    # Not tempfile: os.open applies the umask, as for any file that the user makes.
    descriptor = os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_RDWR | _BINARY, 0o666)
    try:
        with os.fdopen(descriptor, "w+b") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        if overwrite:
            temporary.replace(target)
        else:
            _claim(temporary, target)
        _sync_folder(target.parent)
    finally:
        temporary.unlink(missing_ok=True)


_BINARY = getattr(os, "O_BINARY", 0)  # Windows


def _claim(temporary: Path, target: Path) -> None:
    """Give the file its name, but never to the cost of one that appeared meanwhile."""
    try:
        target.hardlink_to(temporary)
    except FileExistsError:
        raise
    except OSError:
        # FAT and some network folders have no links: take the name first, then replace.
        os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
        temporary.replace(target)


def _sync_folder(folder: Path) -> None:
    """Make the new name last through a power cut, where folders can be opened."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    except OSError:
        pass  # some network file systems refuse; the file is complete all the same
    finally:
        os.close(descriptor)
