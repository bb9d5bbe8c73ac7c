"""Which files of a repository a part needs: patterns, because no file name is known for sure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePosixPath

from dit4sr_cli.core.errors import ModelError
from dit4sr_cli.weights.catalog import Kind, Part

_TEXT_SUFFIXES = (".json", ".txt", ".model", ".jinja")
_LICENCE_FILE = re.compile(r"(licen[cs]e|notice)[^/]*", re.IGNORECASE)
_BASE_FOLDERS = (
    "scheduler",
    "vae",
    "tokenizer",
    "tokenizer_2",
    "text_encoder",
    "text_encoder_2",
)
T5_FOLDERS = ("text_encoder_3", "tokenizer_3")

_SHARD = r"-(?P<shard>\d{5})-of-(?P<count>\d{5})"
_WEIGHTS = re.compile(
    rf"(?P<stem>[^.]+?)(\.(?P<variant>\w+?))?({_SHARD})?(\.(?P<variant2>\w+))?\.safetensors"
)
_INDEX = re.compile(
    r"(?P<stem>[^.]+)(\.(?P<variant>\w+))?\.safetensors\.index(\.(?P<variant2>\w+))?\.json"
)
_STEMS = ("diffusion_pytorch_model", "model")
_VARIANTS = {
    "fp32": ("", "fp32", "bf16", "fp16"),
    "bf16": ("bf16", "fp16", ""),
    "fp16": ("fp16", "", "bf16"),
}


@dataclass(frozen=True, slots=True)
class _WeightSet:
    """Weights that belong together: one file, or shards with their index."""

    stem: str
    variant: str
    count: int
    """Shards; 0: one whole file."""


def wanted(part: Part, paths: Iterable[str], *, dtype: str = "auto", t5: bool = True) -> list[str]:
    """The files of a repository that a part needs, sorted.

    Args:
        part: what is to be fetched.
        paths: every file of the repository, with `/` between folders.
        dtype: `auto` and `fp16` prefer the half-precision weights of a folder, `fp32` the plain.
        t5: whether the base's third text encoder comes too.

    Raises:
        ModelError: what the part cannot do without is not there.
    """
    # A backslash would be a folder to Windows, and could lead out of ours.
    everything = sorted({path for path in paths if "\\" not in path})
    chosen = [path for path in everything if _LICENCE_FILE.fullmatch(path)]
    for folder in _folders(part, t5=t5):
        names = [_name_in(folder, path) for path in everything]
        files = _wanted_in_folder([name for name in names if name], dtype)
        _check_folder(part, folder, files)
        chosen += [str(PurePosixPath(folder, name)) for name in files]
    return sorted(set(chosen))


def _folders(part: Part, *, t5: bool) -> list[str]:
    if part.kind is Kind.TRANSFORMER:
        return [str(PurePosixPath(part.folder, "transformer"))]
    if part.kind is Kind.BASE:
        return [*_BASE_FOLDERS, *(T5_FOLDERS if t5 else ())]
    return [""]


def _name_in(folder: str, path: str) -> str:
    """A file's name if it lies in this very folder, else nothing."""
    place = PurePosixPath(path)
    return place.name if place.parent == PurePosixPath(folder) else ""


def _wanted_in_folder(names: list[str], dtype: str) -> list[str]:
    weights = _best_weights(names, dtype)
    others = [n for n in names if n.endswith(_TEXT_SUFFIXES) and not _INDEX.fullmatch(n)]
    return [*others, *weights]


def _best_weights(names: list[str], dtype: str) -> list[str]:
    sets: dict[_WeightSet, list[str]] = {}
    indexes: dict[tuple[str, str], str] = {}
    for name in names:
        if found := _WEIGHTS.fullmatch(name):
            variant = found["variant"] or found["variant2"] or ""
            key = _WeightSet(found["stem"], variant, int(found["count"] or 0))
            sets.setdefault(key, []).append(name)
        elif found := _INDEX.fullmatch(name):
            indexes[found["stem"], found["variant"] or found["variant2"] or ""] = name
    complete = [key for key, files in sets.items() if len(files) == max(1, key.count)]
    if not complete:
        return []
    best = min(complete, key=lambda key: _rank(key, dtype))
    index = indexes.get((best.stem, best.variant)) if best.count else None
    return [*sets[best], *([index] if index else [])]


def _rank(weights: _WeightSet, dtype: str) -> tuple[int, int, int, str]:
    """Smaller is better: the right precision, then the usual name, then the fewest files."""
    order = _VARIANTS.get(dtype, _VARIANTS["fp16"])
    variant = order.index(weights.variant) if weights.variant in order else len(order)
    stem = _STEMS.index(weights.stem) if weights.stem in _STEMS else len(_STEMS)
    return variant, stem, weights.count, weights.variant


def _check_folder(part: Part, folder: str, files: list[str]) -> None:
    where = f"{folder}/" if folder else "the top folder"
    needs_weights = "tokenizer" not in folder and folder != "scheduler"
    if not files:
        missing = f"nothing in {where} is"
    elif needs_weights and not any(name.endswith(".safetensors") for name in files):
        missing = f"no complete .safetensors weights in {where} are"
    elif needs_weights and "config.json" not in files:
        missing = f"no config.json in {where} is"
    else:
        return
    raise ModelError(
        f"{part.repo}: {missing} there, so it is not laid out as {part.name} should be",
        hint="try another --revision, or --from FOLDER with a copy that has it",
    )
