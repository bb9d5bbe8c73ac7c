"""The files of one set of weights in a folder: plain or a variant, whole or in shards; no torch."""

from __future__ import annotations

import re
from pathlib import Path, PurePath

from dit4sr_cli.core.errors import ModelError
from dit4sr_cli.weights.files import read_json

_STEM = r"(?:diffusion_pytorch_)?model"
_WEIGHTS = re.compile(rf"{_STEM}(?:\.(\w+))?(?:-\d+-of-\d+)?\.safetensors")
_INDEX = re.compile(rf"{_STEM}(?:\.(\w+))?\.safetensors\.index(?:\.(\w+))?\.json")


def weight_files(folder: Path) -> list[Path]:
    """The files of one set of weights: the plain one, unless only a variant such as fp16 is there.

    Raises:
        ModelError: there are none, or a shard that the index names is missing.
    """
    indexes, files = _indexes(folder), _files(folder)
    variants = weight_variants(folder)
    if not variants:
        return _any_files(folder)
    index = indexes.get(variants[0])
    if index is None:
        return files[variants[0]]
    paths = [folder / name for name in _shards(index)]
    missing = [path for path in paths if not path.is_file()]
    if missing:
        raise ModelError(f"{missing[0]}: this shard is missing", hint="fetch it again")
    return paths


def _shards(index: Path) -> list[str]:
    """The files that an index names; they lie beside it, whatever it says."""
    listed = read_json(index).get("weight_map")
    names = set(listed.values()) if isinstance(listed, dict) else set()
    if not names or not all(isinstance(n, str) and PurePath(n).name == n for n in names):
        raise ModelError(
            f"{index}: does not say which files of this folder the weights are in",
            hint="fetch it again",
        )
    return sorted(names)


def weight_variants(folder: Path) -> list[str | None]:
    """The sets of weights in a folder, the plain one first: [None, "fp16"]."""
    return sorted({*_indexes(folder), *_files(folder)}, key=lambda variant: variant or "")


def _indexes(folder: Path) -> dict[str | None, Path]:
    matches = [(path, _INDEX.fullmatch(path.name)) for path in sorted(folder.glob("*.json"))]
    return {match[1] or match[2]: path for path, match in matches if match}


def _files(folder: Path) -> dict[str | None, list[Path]]:
    files: dict[str | None, list[Path]] = {}
    for path in sorted(folder.glob("*.safetensors")):
        if match := _WEIGHTS.fullmatch(path.name):
            files.setdefault(match[1], []).append(path)
    return files


def _any_files(folder: Path) -> list[Path]:
    """Whatever safetensors there are, under names of their own."""
    paths = sorted(folder.glob("*.safetensors"))
    if not paths:
        raise ModelError(
            f"{folder}: no .safetensors weights in this folder",
            hint="other weight formats are not read: convert them to safetensors first",
        )
    return paths
