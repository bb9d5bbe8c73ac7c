"""Finds which pictures of two folders belong together: the ones with the same stem."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from dit4sr_cli.core.errors import InputError, UsageError

EXTENSIONS = frozenset((".png", ".jpg", ".jpeg", ".tif", ".tiff", ".webp", ".bmp", ".ppm"))
_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Pair:
    """A picture and the original it should look like."""

    name: str
    picture: Path
    reference: Path


def match(pictures: Path, references: Path) -> list[Pair]:
    """Each picture with its reference; references that nothing asks for are left out."""
    originals = by_name(references)
    found = by_name(pictures)
    require(found, originals, f"{references}: no reference for")
    return [Pair(name, path, originals[name]) for name, path in found.items()]


def finished(folder: Path, pairs: Iterable[Pair]) -> dict[str, Path]:
    """The results in a folder that somebody else filled, one for each pair."""
    found = by_name(folder)
    wanted = [pair.name for pair in pairs]
    require(wanted, found, f"{folder}: no result for")
    return {name: found[name] for name in wanted}


def by_name(folder: Path) -> dict[str, Path]:
    """The pictures in a folder by their stem, sorted; `_x4` is what `dit4sr upscale` appends."""
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder", hint="name a folder with pictures")
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() not in EXTENSIONS or not path.is_file():
            continue
        name = path.stem.removesuffix("_x4")
        if name in found:
            raise UsageError(
                f"{folder}: {found[name].name} and {path.name} have the same name",
                hint="keep one of them",
            )
        found[name] = path
    if not found:
        raise InputError(f"{folder}: no pictures in it", hint="PNG, JPEG, TIFF, WebP, BMP or PPM")
    return found


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
            hint="files are matched by name without extension",
        )
