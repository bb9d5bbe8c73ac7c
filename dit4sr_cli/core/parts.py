"""Files that are being written: each beside its target, under a name that tells whose it is."""

from __future__ import annotations

import hashlib
import os
import secrets
from pathlib import Path


def part_of(target: Path) -> Path:
    """A name that nobody has yet, in the target's folder, for what is to become the target."""
    return target.with_name(f"{_prefix(target)}{secrets.token_hex(6)}.part")


def sweep(target: Path) -> None:
    """Remove what was left half written for a target, and nothing of any other.

    Only for a target that nobody is writing. A symbolic link is followed, as it is in writing.
    """
    for place in {target, target.resolve()}:
        for path in place.parent.glob(f"{_prefix(place)}*.part"):
            path.unlink(missing_ok=True)


def _prefix(target: Path) -> str:
    # A digest: a name may be as long as the file system allows, and hold what a glob reads.
    return f".dit4sr-{hashlib.sha256(os.fsencode(target.name)).hexdigest()[:8]}-"
