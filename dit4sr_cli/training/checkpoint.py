"""Checkpoints of a run: written beside and renamed, read back exactly."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch

from dit4sr_cli.core.errors import InputError

NAME = "last.pt"


def save(folder: Path, state: dict[str, Any]) -> None:
    """Replace the folder's checkpoint; a kill in between leaves the old one."""
    temporary = folder / f".{NAME}.{os.getpid()}"
    try:
        torch.save(state, temporary)
        temporary.replace(folder / NAME)
    finally:
        temporary.unlink(missing_ok=True)


def exists(folder: Path) -> bool:
    """Whether there is one in the folder."""
    return (folder / NAME).exists()


def load(folder: Path) -> dict[str, Any] | None:
    """The folder's checkpoint, or None where there is none.

    Raises:
        InputError: the file is damaged.
    """
    path = folder / NAME
    if not exists(folder):
        return None
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
    except Exception as error:  # torch's reader lets a torn file raise almost anything
        raise InputError(
            f"{path}: damaged checkpoint", hint="delete it to start the run again"
        ) from error
    return state
