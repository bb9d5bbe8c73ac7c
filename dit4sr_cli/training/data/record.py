"""`data.json`: the settings that a folder was made with; and one run at a time in it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from dit4sr_cli.core.errors import InputError, OutputError
from dit4sr_cli.imaging.placing import explained
from dit4sr_cli.training.data import files
from dit4sr_cli.training.data.index import HOW_TO_BEGIN, shards_in
from dit4sr_cli.training.data.layout import KINDS, PAIR, SETTINGS

_FORMAT = 1
_LOCK = ".dit4sr.lock"
_PARTS = ".dit4sr-*.part"
_ANOTHER = "choose another folder, or the settings of before"


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Work in a data folder, and nobody else does; the lock of a dead process is none.

    Raises:
        InputError: there is no such folder.
        OutputError: another run is at work there, or it cannot be written to.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder", hint=HOW_TO_BEGIN)
    lock = FileLock(folder / _LOCK, timeout=0)
    with explained(folder):
        try:
            lock.acquire()
        except Timeout:
            raise OutputError(f"{folder}: another run is writing there", hint="wait") from None
    try:
        _sweep(folder)
        yield
    finally:
        _sweep(folder)  # processes that a signal ended could not do it themselves
        lock.release()


@contextmanager
def at_work(folder: Path, section: str, settings: Mapping[str, Any]) -> Iterator[None]:
    """Work there alone, with settings that are those of before or are noted now.

    Args:
        folder: of the data.
        section: the command, whose settings these are.
        settings: all that what it makes depends on, as JSON has it.

    Raises:
        InputError: there is no such folder, or its data.json is damaged.
        OutputError: another run is at work there, it was made with other settings, or it cannot be
            written to.
    """
    with alone_in(folder):
        _note(folder, section, json.loads(json.dumps(settings)))
        yield


def make_folder(folder: Path) -> None:
    """Make a data folder if it is missing.

    Raises:
        OutputError: it cannot be made.
    """
    with explained(folder):
        folder.mkdir(parents=True, exist_ok=True)


def read_settings(folder: Path) -> dict[str, Any]:
    """What data.json says, by section; nothing where there is none.

    Raises:
        InputError: it is damaged, or of a newer version.
    """
    path = folder / SETTINGS
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        if values["format"] > _FORMAT:
            raise InputError(f"{path}: of a newer version of dit4sr", hint="update dit4sr")
        return {str(key): value for key, value in values.items() if key != "format"}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{path}: damaged", hint="make the data again, elsewhere") from error


def write_settings(folder: Path, sections: Mapping[str, Any]) -> None:
    """Replace data.json."""
    text = json.dumps({"format": _FORMAT, **sections}, indent=1, ensure_ascii=False)
    files.write(folder / SETTINGS, f"{text}\n".encode())


def _note(folder: Path, section: str, settings: dict[str, Any]) -> None:
    """Refuse other settings than those before; note them where there are none yet."""
    sections = read_settings(folder)
    before = sections.get(section)
    has_pairs = shards_in(folder) or any((folder / kind.folder).is_dir() for kind in PAIR)
    if before is None and section == "pairs" and has_pairs:
        raise OutputError(
            f"{folder}: holds pairs of unknown origin, without {SETTINGS}", hint=_ANOTHER
        )
    if before is not None and before != settings:
        keys = [key for key in {**before, **settings} if before.get(key) != settings.get(key)]
        raise OutputError(
            f"{folder}: its {section} were made with {_told(before, keys)},"
            f" not {_told(settings, keys)}",
            hint=_ANOTHER,
        )
    if before is None:
        write_settings(folder, {**sections, section: settings})


def _told(settings: Mapping[str, Any], keys: list[str]) -> str:
    return ", ".join(f"{key.replace('_', ' ')} {settings.get(key)}" for key in keys)


def _sweep(folder: Path) -> None:
    """Remove what a killed run left half written; nobody else is writing here."""
    places = [folder, *(folder / kind.folder for kind in KINDS)]
    places += [place / kind.folder for place in folder.glob(".shard-*") for kind in KINDS]
    for place in places:
        for path in place.glob(_PARTS):
            path.unlink(missing_ok=True)
