"""What is on this machine of the published parts: where, how much of it, how many bytes."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from dit4sr_cli.core.errors import ModelError, OutputError
from dit4sr_cli.core.paths import models_dir
from dit4sr_cli.weights.catalog import PARTS, Kind, Part
from dit4sr_cli.weights.manifest import Manifest, is_complete, read_manifest

PARTIAL_DIR = ".partial"
"""Holds what has arrived of files that are not complete yet, in a part's folder."""
LOCKS_DIR = ".locks"
"""In the models folder; holds a file for each part that was ever pulled."""


class State(str, Enum):
    """How much of a part is here."""

    PULLED = "pulled"
    PARTLY = "partly pulled"
    YOURS = "yours"
    ABSENT = "not pulled"


@dataclass(frozen=True, slots=True)
class OnShelf:
    """A part on this machine; `folder` is where its weights are, `root` all that was pulled."""

    part: Part
    root: Path
    folder: Path
    state: State
    manifest: Manifest | None = None

    @property
    def is_usable(self) -> bool:
        """Complete, or put there by hand."""
        return self.state in (State.PULLED, State.YOURS)


def look_up(name: str) -> OnShelf:
    """Where a published part is. A damaged manifest counts as partly pulled."""
    part = PARTS[name]
    root = models_dir() / name
    try:
        manifest = read_manifest(root)
    except ModelError:
        return OnShelf(part, root, root / part.folder, State.PARTLY)
    if manifest is not None:
        state = State.PULLED if is_complete(root, manifest) else State.PARTLY
        return OnShelf(part, root, root / part.folder, state, manifest)
    is_here = holds(part.kind, root)
    return OnShelf(part, root, root, State.YOURS if is_here else State.ABSENT)


def holds(kind: Kind, folder: Path) -> bool:
    """Whether a folder looks like one of a kind."""
    places = {
        Kind.TRANSFORMER: folder / "transformer" / "config.json",
        Kind.BASE: folder / "vae" / "config.json",
        Kind.CAPTIONER: folder / "config.json",
    }
    return places[kind].is_file()


def num_bytes(folder: Path) -> int:
    """What a folder takes on disk, files that are not complete included; links count once."""
    return sum(
        path.lstat().st_size for path in folder.rglob("*") if path.is_file() or path.is_symlink()
    )


def remove(root: Path) -> int:
    """Delete a part's folder, or the link to it; returns the bytes that were freed.

    Raises:
        OutputError: something in it cannot be deleted.
    """
    freed = 0 if root.is_symlink() else num_bytes(root)
    try:
        if root.is_symlink():
            root.unlink()
        else:
            shutil.rmtree(root)
    except OSError as error:
        raise OutputError(f"{error.filename or root}: {error.strerror}") from error
    return freed
