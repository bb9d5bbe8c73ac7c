"""Small helps for messages: the word that was meant, and sizes that a person can read."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from textwrap import shorten

_LONGEST_REASON = 300


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`did you mean X?`, or nothing if no known word is near."""
    near = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f"did you mean {near[0]}?" if near else ""


def as_reason(said: object) -> str:
    """What a library said, an error for one, as one line that is not too long to be read."""
    return shorten(str(said), _LONGEST_REASON, placeholder=" ...")


def as_size(num_bytes: float) -> str:
    """Bytes in decimal units, as disks and hubs count: `9.5 GB`."""
    units = ["B", "kB", "MB", "GB", "TB"]
    while abs(num_bytes) >= 999.5 and len(units) > 1:
        num_bytes /= 1000
        units.pop(0)
    is_round = units[0] == "B" or abs(num_bytes) >= 99.95
    return f"{num_bytes:.0f} {units[0]}" if is_round else f"{num_bytes:.1f} {units[0]}"


def as_time(seconds: float) -> str:
    """`42 s`, `12 min`, `3 h 05 min`, `4 d 2 h`."""
    if seconds < 100:
        return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.1f} s"
    minutes = round(seconds / 60)
    if minutes < 100:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes:02d} min"
    return f"{hours // 24} d {hours % 24} h"
