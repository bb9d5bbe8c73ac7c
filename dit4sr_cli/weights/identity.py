"""Which weights a model has, by the digests of its files; gigabytes are read once at most."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Collection
from pathlib import Path

from dit4sr_cli.core import events
from dit4sr_cli.core.errors import ModelError
from dit4sr_cli.core.paths import cache_dir
from dit4sr_cli.weights.catalog import MODELS, parts_of
from dit4sr_cli.weights.files import SHA256, digest, read_json, write_json
from dit4sr_cli.weights.licence import LICENCES
from dit4sr_cli.weights.manifest import read_manifest
from dit4sr_cli.weights.resolve import Resolved
from dit4sr_cli.weights.verify import SUMS


def weight_digests(
    found: Resolved,
    *,
    t5: bool = True,
    parts: Collection[str] | None = None,
    observe: events.Observer = events.ignore,
) -> dict[str, str]:
    """SHA-256 of each file of weights that a model runs with, by `part/file`.

    Args:
        found: the model.
        t5: False leaves the third text encoder out.
        parts: names of folders; None: all that it runs with.
        observe: hears of what is read.

    Raises:
        ModelError: a file is missing or cannot be read.
    """
    from dit4sr_cli.weights.variants import weight_files

    known = _known(found)
    result = {}
    folders = _folders(found, t5=t5)
    for folder in folders if parts is None else [f for f in folders if f.name in parts]:
        for path in weight_files(folder):
            result[f"{folder.name}/{path.name}"] = known.get(path) or _computed(path, observe)
    return result


def licences(found: Resolved) -> list[dict[str, str]]:
    """Name and address of the terms that the weights are under, those of the base included."""
    keys = [part.licence for part in parts_of(found.name)] if found.name in MODELS else []
    keys = [*dict.fromkeys([found.spec.licence, *keys])]
    known = {key: LICENCES.get(key) for key in keys if key}
    return [
        {"name": terms.title, "url": terms.url} if terms else {"name": key, "url": ""}
        for key, terms in known.items()
    ]


def _folders(found: Resolved, *, t5: bool) -> list[Path]:
    folders = [found.folder / "transformer"]
    if found.spec.network == "sd3-controlnet":
        folders.append(found.folder / "controlnet")
    folders.append(found.folder / "codec" if found.spec.codec == "block" else found.base / "vae")
    if found.spec.text:
        encoders = ["text_encoder", "text_encoder_2", *(["text_encoder_3"] if t5 else [])]
        folders += [found.base / name for name in encoders]
    return [folder for folder in folders if folder.is_dir()]


def _known(found: Resolved) -> dict[Path, str]:
    """Digests that were checked when the files came: the pull's, or the package's own."""
    known: dict[Path, str] = {}
    if found.rule == "embedded":
        for line in (found.folder / SUMS).read_text(encoding="utf-8").splitlines():
            value, _, name = line.partition("  ")
            known[found.folder / name] = value
        return known
    for root in {found.folder, found.folder.parent, found.base}:
        known |= _in_manifest(root)
    return known


def _in_manifest(root: Path) -> dict[Path, str]:
    from dit4sr_cli.weights.manifest import is_there

    try:
        manifest = read_manifest(root)
    except ModelError:
        return {}
    files = manifest.files if manifest else ()
    return {
        root / file.path: file.digest.partition(":")[2]
        for file in files
        if file.digest.startswith(f"{SHA256}:") and is_there(root, file)
    }


def _computed(path: Path, observe: events.Observer) -> str:
    """Read the file once, and remember what came of it for as long as it stays the same."""
    stat = path.stat()
    key = f"{path.resolve()}|{stat.st_size}|{stat.st_mtime_ns}"
    place = cache_dir() / "digests" / f"{hashlib.sha256(key.encode()).hexdigest()}.json"
    with contextlib.suppress(ModelError, KeyError):
        return str(read_json(place)[SHA256])
    observe(events.PhaseStarted(f"reading {path.parent.name} to name it in the record"))
    try:
        value = digest(path).partition(":")[2]
    except OSError as error:
        raise ModelError(f"{path}: cannot be read ({error.strerror})") from error
    with contextlib.suppress(OSError):  # a cache: without one it is only slower
        write_json(place, {SHA256: value})
    return value
