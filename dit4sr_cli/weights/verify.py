"""Reads every byte of a model again and says what is missing or changed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from dit4sr_cli.core import events
from dit4sr_cli.core.errors import ModelError
from dit4sr_cli.weights.files import SHA256, matches, safetensors_problem
from dit4sr_cli.weights.manifest import Manifest, PulledFile, write_manifest
from dit4sr_cli.weights.shelf import OnShelf

SUMS = "SHA256SUMS"
"""Digests of the embedded model's files, as `sha256sum -c` reads them too."""


@dataclass(frozen=True, slots=True)
class Problem:
    """A file that is not as it should be, and why."""

    path: Path
    what: str


@dataclass(frozen=True, slots=True)
class Verified:
    """A part that was read; `checked_by` is `sha256` or, where no digest is known, `header`."""

    name: str
    folder: Path
    num_files: int
    checked_by: str
    problems: tuple[Problem, ...]


def verify_part(found: OnShelf, observe: events.TransferObserver = events.ignore) -> Verified:
    """Check a pulled part against its manifest, where bad files lose their mark; or its headers."""
    if found.manifest is None:
        return verify_folder(found.part.name, found.root)
    problems: list[Problem] = []
    files: list[PulledFile] = []
    for file in found.manifest.files:
        observe(events.Noted(f"{found.root / file.path}: checking"))
        what = _problem(found.root / file.path, file.size, file.digest)
        problems += [Problem(found.root / file.path, what)] if what else []
        files.append(replace(file, is_verified=not what))
    _record(found, files)
    return Verified(found.part.name, found.root, len(files), SHA256, tuple(problems))


def verify_folder(name: str, folder: Path) -> Verified:
    """Check a folder by its SHA256SUMS, or else whether its safetensors are complete.

    Raises:
        ModelError: there are no weights in it.
    """
    if (folder / SUMS).is_file():
        entries = list(_sums(folder))
        found = [(path, _problem(path, None, digest)) for path, digest in entries]
        problems = tuple(Problem(path, what) for path, what in found if what)
        return Verified(name, folder, len(entries), SHA256, problems)
    paths = sorted(folder.rglob("*.safetensors"))
    if not paths:
        raise ModelError(f"{folder}: no .safetensors weights in this folder")
    found = [(path, safetensors_problem(path)) for path in paths]
    problems = tuple(Problem(path, what) for path, what in found if what)
    return Verified(name, folder, len(paths), "header", problems)


def _problem(path: Path, size: int | None, digest: str) -> str:
    if not path.is_file():
        return "missing"
    if size is not None and path.stat().st_size != size:
        return f"{path.stat().st_size} bytes instead of {size}"
    return "" if matches(path, digest) else "its checksum is wrong"


def _sums(folder: Path) -> Iterator[tuple[Path, str]]:
    for line in (folder / SUMS).read_text(encoding="utf-8").splitlines():
        digest, _, path = line.partition("  ")
        yield folder / path, f"{SHA256}:{digest}"


def _record(found: OnShelf, files: list[PulledFile]) -> None:
    """What is bad has to be fetched again; what turned out good need not be."""
    manifest: Manifest | None = found.manifest
    if manifest is not None and tuple(files) != manifest.files:
        write_manifest(found.root, replace(manifest, files=tuple(files)))
