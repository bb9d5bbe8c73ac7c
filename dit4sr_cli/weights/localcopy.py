"""`--from`: takes a part's files from a copy on this machine or on another disk; no network."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from dit4sr_cli.core import events
from dit4sr_cli.core.errors import ModelError
from dit4sr_cli.weights.catalog import MAIN, Kind, Part
from dit4sr_cli.weights.files import GIT, SHA256, safetensors_problem
from dit4sr_cli.weights.hub_errors import on_disk
from dit4sr_cli.weights.job import Job, Listing
from dit4sr_cli.weights.manifest import PulledFile, read_manifest
from dit4sr_cli.weights.shelf import holds

_BLOCK = 4 << 20
_HEX = {64: SHA256, 40: GIT}


@dataclass(frozen=True, slots=True)
class Copy:
    """A folder that has a part: where each file of the repository is. Digests may be unknown."""

    folder: Path
    listing: Listing
    origins: dict[str, Path]


def find_copy(source: Path, part: Part, revision: str | None, not_here: Path) -> Copy:
    """Look for a part below a folder, in every layout that people have.

    Args:
        source: a cache of huggingface_hub; a models folder of dit4sr; a folder with ORG/NAME,
            NAME or PART in it; the repository itself; or, for a transformer, a model's folder.
        part: what is looked for.
        revision: a commit, or a branch that the cache knows; None: main, or the newest.
        not_here: the folder that is to be filled, which is no copy of itself.

    Raises:
        ModelError: it is not there.
    """
    if not source.is_dir():
        raise ModelError(f"{source}: no such folder", hint="give --from an existing folder")
    for folder, commit in _candidates(source, part, revision):
        is_same = folder.resolve() == not_here.resolve()
        if not is_same and (origins := _files_of(folder, part)):
            return _copy(folder, part, commit, origins)
    where = f" at revision {revision}" if revision else ""
    raise ModelError(
        f"{source}: no copy of {part.name} in it{where}",
        hint=f"it should hold {part.repo}, a cache of huggingface_hub, or {part.name}",
    )


def copy_file(job: Job, origin: Path, observe: events.TransferObserver) -> PulledFile:
    """Copy one file, check it, and put it in its place as a whole.

    Raises:
        ModelError: the copy is damaged.
        OutputError: the disk is full, or may not be written.
    """
    observe(events.FileStarted(job.name, job.file.size))
    kind = job.file.digest.partition(":")[0] or SHA256
    try:
        job.partial.parent.mkdir(parents=True, exist_ok=True)
        job.target.parent.mkdir(parents=True, exist_ok=True)
        advanced = _advanced(job, observe)
        digest = f"{kind}:{_copy_bytes(origin, job.partial, kind, advanced)}"
        problem = safetensors_problem(job.partial) if origin.suffix == ".safetensors" else ""
        if job.file.digest and digest != job.file.digest:
            problem = "its checksum is wrong"
        if problem:
            raise ModelError(f"{origin}: {problem}", hint="this copy is damaged: use another")
        job.partial.replace(job.target)
    except OSError as error:
        raise on_disk(error, job.target) from error
    finally:
        job.partial.unlink(missing_ok=True)
    observe(events.FileFinished(job.name))
    return replace(job.file, digest=digest, is_verified=True)


def _candidates(source: Path, part: Part, revision: str | None) -> Iterator[tuple[Path, str]]:
    """Folders that may hold the repository, and the commit if it is known."""
    org, _, name = part.repo.partition("/")
    cached = f"models--{org}--{name}"
    for folder in (source / cached, source / "hub" / cached, source):
        if (folder / "snapshots").is_dir():
            yield from _snapshot(folder, revision)
    for folder in (source / part.name, source / "models" / part.name):
        yield folder, ""
    for folder in (source / org / name, source / name, source):
        yield folder, ""


def _snapshot(folder: Path, revision: str | None) -> Iterator[tuple[Path, str]]:
    commits = [path for path in (folder / "snapshots").iterdir() if path.is_dir()]
    ref = folder / "refs" / (revision or MAIN)
    wanted = ref.read_text().strip() if ref.is_file() else revision
    named = [path for path in commits if path.name == wanted]
    if not named and revision is None:
        named = sorted(commits, key=lambda path: path.stat().st_mtime)[-1:]
    for path in named:
        yield path, path.name


def _files_of(folder: Path, part: Part) -> dict[str, Path]:
    """Paths in the repository and where they are here; empty if the part is not in the folder."""
    inside = folder / part.folder
    if holds(part.kind, inside):
        patterns = ["*"] if part.kind is Kind.CAPTIONER else ["*", "*/*"]
        found = [path for pattern in patterns for path in inside.glob(pattern)]
        found += folder.glob("*")
        return {path.relative_to(folder).as_posix(): path for path in found if path.is_file()}
    if part.kind is Kind.TRANSFORMER and holds(part.kind, folder):
        files = [path for path in (folder / "transformer").glob("*") if path.is_file()]
        place = PurePosixPath(part.folder, "transformer")
        return {str(place / path.name): path for path in files}
    return {}


def _copy(folder: Path, part: Part, commit: str, origins: dict[str, Path]) -> Copy:
    manifest = read_manifest(folder)
    recorded = {file.path: file.digest for file in manifest.files} if manifest else {}
    if manifest and not commit:
        commit = manifest.commit
    files = tuple(
        PulledFile(path, origin.stat().st_size, recorded.get(path) or _digest_by_name(origin))
        for path, origin in origins.items()
    )
    return Copy(folder, Listing(commit, files), origins)


def _digest_by_name(path: Path) -> str:
    """What a cache of huggingface_hub knows of a file: its content is named by its digest."""
    name = path.resolve().name if path.is_symlink() else ""
    kind = _HEX.get(len(name)) if re.fullmatch(r"[0-9a-f]+", name) else None
    return f"{kind}:{name}" if kind else ""


def _advanced(job: Job, observe: events.TransferObserver) -> Callable[[int], None]:
    return lambda done: observe(events.FileAdvanced(job.name, done))


def _copy_bytes(origin: Path, target: Path, kind: str, advanced: Callable[[int], None]) -> str:
    """Copy, and return the hexadecimal digest of what was read."""
    if kind == GIT:
        state = hashlib.sha1(b"blob %d\0" % origin.stat().st_size, usedforsecurity=False)
    else:
        state = hashlib.sha256()
    with origin.open("rb") as reader, target.open("wb") as writer:
        while block := reader.read(_BLOCK):
            writer.write(block)
            state.update(block)
            advanced(writer.tell())
    return state.hexdigest()
