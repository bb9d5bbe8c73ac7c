"""The files of an evaluation: digests of what is read; what is written appears whole or not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from PIL import Image

from dit4sr_cli.core.digest import sha256_of
from dit4sr_cli.core.errors import InputError, OutputError


def digest(path: Path) -> str:
    """SHA-256 of a file.

    Raises:
        InputError: it cannot be read.
    """
    try:
        return sha256_of(path)
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from error


def save(image: Image.Image, path: Path) -> None:
    """Write a PNG, and its folder.

    Raises:
        OutputError: it cannot be written.
    """
    _write(path, lambda part: image.save(part, "PNG"))


def write_text(path: Path, text: str) -> None:
    """Write a text and a last line end, and its folder.

    Raises:
        OutputError: it cannot be written.
    """
    _write(path, lambda part: part.write_text(text + "\n", encoding="utf-8"))


def _write(path: Path, write: Callable[[Path], object]) -> None:
    """Beside its place, then renamed."""
    part = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write(part)
        part.replace(path)
    except OSError as error:
        raise OutputError(f"{path}: cannot be written: {error.strerror or error}") from error
    finally:
        part.unlink(missing_ok=True)
