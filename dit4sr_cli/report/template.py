"""Pages put together from the files beside this one and what is to be shown."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files


def joined(*names: str) -> str:
    """Style sheets or scripts of this package, one after the other."""
    folder = files(__package__)
    return "\n".join(folder.joinpath(*name.split("/")).read_text("utf-8") for name in names)


def filled(template: str, parts: Mapping[str, str]) -> str:
    """The template with every `{{name}}` replaced, in one pass: what is put in is not looked at."""
    pieces, end = [], template
    while end:
        start, _, rest = end.partition("{{")
        name, _, end = rest.partition("}}")
        pieces += [start, parts[name] if name else ""]
    return "".join(pieces)
