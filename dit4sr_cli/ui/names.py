"""What a photograph may be called here: one plain name, never a way to somewhere else."""

from __future__ import annotations

from pathlib import PureWindowsPath

from dit4sr_cli.core.errors import InputError

LONGEST = 200
"""Bytes; file systems take 255, and the result's name is longer than the picture's."""


def plain_name(sent: str) -> str:
    """The last part of what a browser calls a file, on any system; it names no folder.

    Raises:
        InputError: nothing is left, or it cannot be a file's name.
    """
    # Windows' rules take both slashes and drives away; elsewhere they only make a name shorter.
    name = PureWindowsPath(sent).name
    if name in ("", ".", "..") or not name.isprintable() or name != name.strip():
        raise InputError("a file without a usable name", hint="give it a plain name")
    if len(name.encode("utf-8", "surrogatepass")) > LONGEST:
        raise InputError(f"{name[:24]}...: the name is too long", hint="give it a shorter one")
    return name
