"""Finds which pictures of two folders belong together: by name, whatever is put behind it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from dit4sr_cli.core.errors import InputError, UsageError

EXTENSIONS = frozenset((".png", ".jpg", ".jpeg", ".tif", ".tiff", ".webp", ".bmp", ".ppm"))
_SHOWN = 3
_SUFFIX = re.compile(r"(?:[_-](?:out|sr|lr\d?|hr|gt|lq)|[_-]?x\d(?:\.\d+)?)$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Case:
    """A picture, and the original it should look like if there is one."""

    name: str
    picture: Path
    reference: Path | None = None


def match(pictures: Path, references: Path | None = None) -> list[Case]:
    """Each picture with its reference; references that nothing asks for are left out.

    Raises:
        InputError: a folder is missing or empty, or a picture has no reference.
        UsageError: two files would have the same name.
    """
    found = by_name(pictures)
    if references is None:
        return [Case(name, path) for name, path in found.items()]
    originals = _partners(found, references, "reference")
    return [Case(name, path, originals[name]) for name, path in found.items()]


def finished(folder: Path, cases: Iterable[Case]) -> dict[str, Path]:
    """The results in a folder that somebody else filled, one for each case.

    Raises:
        InputError: some are missing.
        UsageError: two files would be the result of one picture.
    """
    return _partners([case.name for case in cases], folder, "result")


def by_name(folder: Path) -> dict[str, Path]:
    """The pictures in a folder by the name that they share with their kin, sorted."""
    stems = _stems(folder)
    found: dict[str, Path] = {}
    for stem, path in stems.items():
        name = plain(stem)
        if name in found:
            raise _twice(folder, found[name], path)
        found[name] = path
    return found


def plain(stem: str) -> str:
    """The stem without what systems and sets append: `a_x4`, `a_out`, `a_LR4`, `a_HR`, `ax4`."""
    while (shorter := _SUFFIX.sub("", stem)) not in (stem, ""):
        stem = shorter
    return stem


def _partners(names: Iterable[str], folder: Path, kind: str) -> dict[str, Path]:
    """The file of each name: the one that has just this name goes before `name_out`."""
    stems = _stems(folder)
    kin: dict[str, list[Path]] = {}
    for stem, path in stems.items():
        kin.setdefault(plain(stem), []).append(path)
    found: dict[str, Path] = {}
    for name in names:
        if name in stems:
            found[name] = stems[name]
        elif len(kin.get(name, ())) == 1:
            (found[name],) = kin[name]
        elif name in kin:
            raise _twice(folder, *kin[name][:2])
    require(names, found, f"{folder}: no {kind} for")
    return found


def _stems(folder: Path) -> dict[str, Path]:
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder", hint="name a folder with pictures")
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() not in EXTENSIONS or not path.is_file():
            continue
        if path.stem in found:
            raise _twice(folder, found[path.stem], path)
        found[path.stem] = path
    if not found:
        raise InputError(f"{folder}: no pictures in it", hint="PNG, JPEG, TIFF, WebP, BMP or PPM")
    return found


def _twice(folder: Path, first: Path, second: Path) -> UsageError:
    return UsageError(
        f"{folder}: {first.name} and {second.name} have the same name", hint="keep one of them"
    )


def require(names: Iterable[str], available: Iterable[str], complaint: str) -> None:
    """Refuse what is missing, by its first names.

    Raises:
        InputError: names are not among those available.
    """
    missing = sorted(set(names) - set(available))
    if missing:
        more = f" and {len(missing) - _SHOWN} more" if len(missing) > _SHOWN else ""
        raise InputError(
            f"{complaint} {', '.join(missing[:_SHOWN])}{more}",
            hint="files are matched by name, without extension and endings such as _x4 and _out",
        )
