"""The photographs that train the embedded model: which they are, and how to get them again.

`photos.toml` beside this file names each: the Debian package and the path in it, author, licence
and checksum. A path may go on inside a container: `file.rcc!inner/path` (Qt resources) or
`file.edj!entry` (Enlightenment). `crop` is in pixels of the file as it is; `reduce` says by how
much the photograph must then be averaged down to be sharp at 100 %.
"""

from __future__ import annotations

import hashlib
import shutil
import struct
import subprocess
import sys
import tempfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from pathlib import Path

from dit4sr_cli.core.errors import InputError, NetworkError, OutputError, UsageError
from dit4sr_cli.core.paths import models_dir

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

_MANIFEST = Path(__file__).with_name("photos.toml")
_RELEASE_HINT = "the manifest describes Debian 12 (bookworm); give its packages with --debs"
_EET_MAGIC = 0x1EE70F42
_RCC_COMPRESSED_ZLIB, _RCC_FOLDER, _RCC_COMPRESSED_ZSTD = 1, 2, 4


@dataclass(frozen=True)
class Photo:
    """One photograph: where it is found, whose it is, and how it is to be used."""

    package: str
    path: str
    name: str
    sha256: str
    author: str
    licence: str
    reduce: int = 1
    crop: tuple[int, int, int, int] | None = None


def read_manifest() -> tuple[Photo, ...]:
    """All photographs, in the order of the manifest: sorted by package."""
    with _MANIFEST.open("rb") as stream:
        tables = tomllib.load(stream)["photo"]
    return tuple(
        Photo(**{**table, "crop": tuple(table["crop"]) if "crop" in table else None})
        for table in tables
    )


def fetch(
    target: Path, *, debs: Path | None = None, observe: Callable[[str], None] | None = None
) -> list[Path]:
    """Put the photographs into a folder, byte for byte as their packages hold them.

    Those that are there already are left alone, so an interrupted call can be repeated.

    Args:
        target: made if missing.
        debs: folder of .deb files; without it they are downloaded with apt-get and kept.
        observe: told in a line what is being done.

    Raises:
        UsageError: a tool of Debian's is missing.
        NetworkError: a package cannot be downloaded.
        InputError: a package or photograph is missing, damaged, or another than in the manifest.
        OutputError: the folder cannot be written to.
    """
    tell = observe or (lambda line: None)
    photos = read_manifest()
    try:
        target.mkdir(parents=True, exist_ok=True)
        missing = [photo for photo in photos if not _is_there(target / photo.name, photo)]
        folder = debs or _download([photo.package for photo in missing], tell)
        for package, wanted in groupby(missing, key=lambda photo: photo.package):
            tell(f"unpacking {package}")
            _take(_deb(folder, package), list(wanted), target)
    except OSError as error:
        raise OutputError(f"{error.filename or target}: {error.strerror or error}") from error
    return [target / photo.name for photo in photos]


def read_entry(container: bytes, entry: str) -> bytes:
    """One file out of a Qt resource file or an Enlightenment EET file.

    Raises:
        InputError: neither of the two, damaged, or without that entry.
    """
    try:
        entries = _rcc_entries if container[:4] == b"qres" else _eet_entries
        for name, read in entries(container):
            if name == entry:
                return read()
    except (struct.error, zlib.error, UnicodeDecodeError) as error:
        raise InputError(f"{entry}: its container is damaged ({error})") from error
    raise InputError(f"{entry}: not in its container", hint=_RELEASE_HINT)


# ---------------------------------------------------------------- packages


def _download(packages: Iterable[str], tell: Callable[[str], None]) -> Path:
    """The folder of downloaded packages, after those that it lacks have been added."""
    folder = models_dir().parent / "debs"
    absent = [name for name in dict.fromkeys(packages) if not _debs_of(folder, name)]
    if not absent:
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    # apt-get writes under the final name at once: an aborted file must not look complete
    with tempfile.TemporaryDirectory(dir=folder) as unfinished:
        for name in absent:
            tell(f"downloading {name}")
            _run("apt-get", "download", name, cwd=Path(unfinished), failure=NetworkError)
            for file in _debs_of(Path(unfinished), name):
                file.replace(folder / file.name)
    return folder


def _deb(folder: Path, package: str) -> Path:
    """The package's file in a folder."""
    found = _debs_of(folder, package)
    if not found:
        raise InputError(
            f"{folder}: no {package}_*.deb in it",
            hint=f"get it with: apt-get download {package}",
        )
    return found[-1]


def _debs_of(folder: Path, package: str) -> list[Path]:
    return sorted(folder.glob(f"{package}_*.deb"))


def _take(deb: Path, photos: list[Photo], target: Path) -> None:
    """Write the photographs of one package."""
    with tempfile.TemporaryDirectory() as folder:
        _run("dpkg-deb", "-x", str(deb.resolve()), folder, cwd=Path(folder), failure=InputError)
        # a container of many photographs is read once
        by_file = groupby(photos, key=lambda photo: photo.path.partition("!")[0])
        for inside, wanted in by_file:
            data = _read_file(Path(folder) / inside, deb)
            for photo in wanted:
                entry = photo.path.partition("!")[2]
                _write(target / photo.name, read_entry(data, entry) if entry else data, photo)


def _run(
    program: str, *arguments: str, cwd: Path, failure: type[InputError | NetworkError]
) -> None:
    """Run one of Debian's tools, and say what it said if it fails."""
    found = shutil.which(program)
    if found is None:
        raise UsageError(
            f"{program} is not installed",
            hint="Debian and Ubuntu have apt-get and dpkg-deb; with --debs only dpkg-deb is needed",
        )
    done = subprocess.run(
        [found, *arguments], cwd=cwd, capture_output=True, text=True, errors="replace", check=False
    )
    if done.returncode:
        last = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        hint = "run: apt-get update" if program == "apt-get" else ""
        raise failure(f"{program} {' '.join(arguments)}: {last}", hint=hint)


# ---------------------------------------------------------------- files


def _is_there(file: Path, photo: Photo) -> bool:
    return file.is_file() and hashlib.sha256(file.read_bytes()).hexdigest() == photo.sha256


def _read_file(file: Path, deb: Path) -> bytes:
    try:
        return file.read_bytes()
    except FileNotFoundError as error:
        raise InputError(f"{deb.name}: no {file.name} in it", hint=_RELEASE_HINT) from error


def _write(file: Path, data: bytes, photo: Photo) -> None:
    """Put a photograph in place, whole or not at all, if it is the one that was meant."""
    if hashlib.sha256(data).hexdigest() != photo.sha256:
        raise InputError(
            f"{photo.package}: {photo.path} is not the photograph of the manifest",
            hint=_RELEASE_HINT,
        )
    unfinished = file.with_name(f".{file.name}.partial")
    try:
        unfinished.write_bytes(data)
        unfinished.replace(file)
    finally:
        unfinished.unlink(missing_ok=True)


# ---------------------------------------------------------------- containers

_Entries = Iterator[tuple[str, Callable[[], bytes]]]


def _rcc_entries(data: bytes) -> _Entries:
    """Paths in a Qt resource file, each with what reads it."""
    version, tree, payloads, names = struct.unpack_from(">4I", data, 4)
    node_size = 22 if version >= 2 else 14  # from version 2 on, nodes end with a time
    waiting = [(0, "")]
    while waiting:
        node, parent = waiting.pop()
        at = tree + node * node_size
        name_at, flags = struct.unpack_from(">IH", data, at)
        path = f"{parent}/{_rcc_name(data, names + name_at)}".lstrip("/") if node else ""
        if flags & _RCC_FOLDER:
            count, first = struct.unpack_from(">II", data, at + 6)
            waiting += [(child, path) for child in range(first, first + count)]
        else:
            (offset,) = struct.unpack_from(">I", data, at + 10)
            yield path, partial(_rcc_payload, data, payloads + offset, flags)


def _rcc_name(data: bytes, at: int) -> str:
    (length,) = struct.unpack_from(">H", data, at)
    return data[at + 6 : at + 6 + 2 * length].decode("utf-16-be")  # after a hash of 4 bytes


def _rcc_payload(data: bytes, at: int, flags: int) -> bytes:
    (size,) = struct.unpack_from(">I", data, at)
    payload = data[at + 4 : at + 4 + size]
    if flags & _RCC_COMPRESSED_ZSTD:
        raise InputError("a Qt resource is compressed with Zstandard", hint=_RELEASE_HINT)
    # the uncompressed size stands before the stream
    return zlib.decompress(payload[4:]) if flags & _RCC_COMPRESSED_ZLIB else payload


def _eet_entries(data: bytes) -> _Entries:
    """Names in an EET file, each with what reads it; photographs are plain JPEG in it."""
    magic, count, _ = struct.unpack_from(">3I", data)
    if magic != _EET_MAGIC:
        raise InputError("neither a Qt resource file nor an EET file")
    for number in range(count):
        offset, size, _, name_at, name_size, _ = struct.unpack_from(">6I", data, 12 + 24 * number)
        name = data[name_at : name_at + name_size].rstrip(b"\0").decode()
        yield name, partial(_slice, data, offset, size)


def _slice(data: bytes, at: int, size: int) -> bytes:
    return data[at : at + size]
