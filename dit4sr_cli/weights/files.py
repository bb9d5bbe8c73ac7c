"""Files of a model, read and checked without torch: JSON, TOML, digests, safetensors headers."""

from __future__ import annotations

import hashlib
import json
import os
import sys
from pathlib import Path
from typing import Any

from dit4sr_cli.core.digest import feed
from dit4sr_cli.core.errors import ModelError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

SHA256, GIT = "sha256", "git"
"""Kinds of digest: of the bytes, and git's blob id, which the hub gives for small files."""

_LONGEST_HEADER = 100 << 20


def read_json(path: Path) -> dict[str, Any]:
    """Parse a JSON object.

    Raises:
        ModelError: the file is missing or damaged.
    """
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ModelError(f"{path}: not there", hint="is this the folder of a model?") from None
    except (OSError, ValueError) as error:
        raise ModelError(f"{path}: cannot be read ({error})") from error
    if not isinstance(values, dict):
        raise ModelError(f"{path}: not a JSON object")
    return values


def read_toml(path: Path) -> dict[str, Any]:
    """Parse TOML; a file that is not there is empty.

    Raises:
        ModelError: the file is broken or cannot be read.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ModelError(f"{path}: not TOML ({error})", hint="mend this file") from error


def write_json(path: Path, values: dict[str, Any]) -> None:
    """Replace a file as a whole: a kill in between leaves the old one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary.write_text(json.dumps(values, indent=1) + "\n", encoding="utf-8")
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def digest(path: Path, kind: str = SHA256) -> str:
    """`sha256:...` of a file's bytes, or `git:...`, the id that git gives them."""
    if kind == GIT:
        state = hashlib.sha1(b"blob %d\0" % path.stat().st_size, usedforsecurity=False)
    else:
        state = hashlib.sha256()
    feed(state, path)
    return f"{kind}:{state.hexdigest()}"


def matches(path: Path, expected: str) -> bool:
    """Whether a file has this digest."""
    return digest(path, expected.partition(":")[0]) == expected


def safetensors_problem(path: Path) -> str:
    """What is wrong with a safetensors file by its header and length; empty: nothing."""
    size = path.stat().st_size
    with path.open("rb") as stream:
        start = stream.read(8)
        length = int.from_bytes(start, "little")
        if len(start) < 8 or length > min(size, _LONGEST_HEADER):
            return "not a safetensors file, or cut off in its header"
        try:
            header = json.loads(stream.read(length))
            ends = [entry["data_offsets"][1] for key, entry in header.items() if key[0] != "_"]
        except (ValueError, AttributeError, KeyError, IndexError, TypeError):
            return "its header is damaged"
    expected = 8 + length + max(ends, default=0)
    return "" if size == expected else f"{size} bytes where its header says {expected}"
