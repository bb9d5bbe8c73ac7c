"""What a pull wrote down beside the files: where they came from, and which of them are good."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from dit4sr_cli.core.errors import ModelError
from dit4sr_cli.weights.files import read_json, write_json

FILE_NAME = "dit4sr-pull.json"
SCHEMA = 1


@dataclass(frozen=True, slots=True)
class PulledFile:
    """A file of a part.

    Args:
        path: in the part's folder, with `/`.
        size: in bytes.
        digest: `sha256:...` or `git:...`.
        is_verified: it has arrived, and had this digest.
    """

    path: str
    size: int
    digest: str
    is_verified: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """A part as it was pulled; `revision` is what was asked for, `commit` what that was."""

    part: str
    repo: str
    revision: str = "main"
    commit: str = ""
    dtype: str = "auto"
    t5: bool = True
    source: str = "hub"
    licences: tuple[str, ...] = ()
    pulled_at: str = ""
    files: tuple[PulledFile, ...] = ()

    @property
    def num_bytes(self) -> int:
        """Of all files when they are there."""
        return sum(file.size for file in self.files)

    def with_verified(self, path: str) -> Manifest:
        """The same, with one more file known to be good."""
        files = tuple(
            replace(file, is_verified=True) if file.path == path else file for file in self.files
        )
        return replace(self, files=files)


def read_manifest(folder: Path) -> Manifest | None:
    """The manifest of a part's folder; None where nothing was pulled.

    Raises:
        ModelError: it is damaged, or of a newer version.
    """
    path = folder / FILE_NAME
    if not path.is_file():
        return None
    values = read_json(path)
    if values.pop("schema", None) != SCHEMA:
        raise ModelError(f"{path}: not for this version of dit4sr", hint="update dit4sr")
    try:
        files = tuple(_file_from(entry) for entry in values.pop("files"))
        licences = tuple(values.pop("licences"))
        return Manifest(files=files, licences=licences, **values)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise ModelError(
            f"{path}: damaged ({error!r})",
            hint=f"delete it, then run dit4sr models pull {folder.name}: good files are kept",
        ) from error


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Replace the manifest as a whole."""
    values = {
        "schema": SCHEMA,
        "part": manifest.part,
        "repo": manifest.repo,
        "revision": manifest.revision,
        "commit": manifest.commit,
        "dtype": manifest.dtype,
        "t5": manifest.t5,
        "source": manifest.source,
        "licences": list(manifest.licences),
        "pulled_at": manifest.pulled_at,
        "files": [_file_as_json(file) for file in manifest.files],
    }
    write_json(folder / FILE_NAME, values)


def is_there(folder: Path, file: PulledFile) -> bool:
    """Whether a file is known to be good and still has its size; its bytes are not read."""
    try:
        return file.is_verified and (folder / file.path).stat().st_size == file.size
    except OSError:
        return False


def is_complete(folder: Path, manifest: Manifest) -> bool:
    """Whether every file of a pull is there."""
    return bool(manifest.files) and all(is_there(folder, file) for file in manifest.files)


def _file_from(entry: dict[str, object]) -> PulledFile:
    size = entry["size"]
    if not isinstance(size, int):
        raise ValueError(f"size {size!r}")
    path = str(entry["path"])
    if PurePosixPath(path).is_absolute() or ".." in PurePosixPath(path).parts:
        raise ValueError(f"path {path!r}")  # files that a pull does not want are deleted
    return PulledFile(path, size, str(entry["digest"]), bool(entry["verified"]))


def _file_as_json(file: PulledFile) -> dict[str, object]:
    return {
        "path": file.path,
        "size": file.size,
        "digest": file.digest,
        "verified": file.is_verified,
    }
