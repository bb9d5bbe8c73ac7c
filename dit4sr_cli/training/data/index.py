"""Where each file of each sample is, whether the data lie in folders or in shards."""

from __future__ import annotations

import tarfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from dit4sr_cli.core.errors import InputError
from dit4sr_cli.training.data.layout import (
    KINDS,
    RELEASED_NULL,
    SHARDS,
    Kind,
)


@dataclass(frozen=True, slots=True)
class Place:
    """A file of its own, or `size` bytes from `offset` on in a shard.

    Args:
        path: of the file or the shard.
        name: for messages.
    """

    path: Path
    name: str
    offset: int = 0
    size: int = -1

    @property
    def suffix(self) -> str:
        """What kind of file it is."""
        return Path(self.name).suffix

    @property
    def length(self) -> int:
        """Of what is in it, in bytes."""
        return self.path.stat().st_size if self.size < 0 else self.size

    def read(self, most: int | None = None) -> bytes:
        """What is in it, or the first bytes of that.

        Raises:
            InputError: it cannot be read.
        """
        try:
            with self.path.open("rb") as stream:
                stream.seek(self.offset)
                return stream.read(self.size if most is None else most)
        except OSError as error:
            raise InputError(f"{self.name}: {error.strerror}") from error


Index: TypeAlias = "dict[Kind, dict[str, Place]]"
"""By kind, then by the sample's name."""


def index_of(folder: Path) -> Index:
    """All files of all samples, in shards if there are any, and else in folders.

    Raises:
        InputError: there is no such folder, or a shard is damaged.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder", hint=HOW_TO_BEGIN)
    shards = shards_in(folder)
    return merged(map(index_of_shard, shards)) if shards else index_of_folder(folder)


def shards_in(folder: Path) -> list[Path]:
    """The shards of a folder, in their order."""
    return sorted(folder.glob(SHARDS))


def index_of_folder(folder: Path) -> Index:
    """All files in the folders of a folder; nothing where there is none."""
    return {kind: dict(_in_folder(folder, kind)) for kind in KINDS}


def index_of_shard(shard: Path) -> Index:
    """All files of one shard; only its headers are read.

    Raises:
        InputError: it is damaged, or no shard.
    """
    index: Index = {kind: {} for kind in KINDS}
    kinds = {kind.key_with(suffix): kind for kind in KINDS for suffix in kind.suffixes}
    try:
        with tarfile.open(shard, "r:") as tar:
            for member in tar:
                name, _, key = member.name.partition(".")
                if key in kinds:
                    label = f"{shard}: {member.name}"
                    place = Place(shard, label, member.offset_data, member.size)
                    index[kinds[key]][name] = place
    except (OSError, tarfile.TarError) as error:
        raise InputError(f"{shard}: damaged, or no shard ({error})") from error
    return index


def merged(indexes: Iterable[Index]) -> Index:
    """Several as one; the later one's files count."""
    whole: Index = {kind: {} for kind in KINDS}
    for index in indexes:
        for kind, places in index.items():
            whole[kind].update(places)
    return whole


def _in_folder(folder: Path, kind: Kind) -> Iterator[tuple[str, Place]]:
    """The files of a kind; ours count, where the released code's are there, too."""
    for suffix in reversed(kind.suffixes):
        for path in sorted((folder / kind.folder).glob(f"*{suffix}")):
            if not path.name.startswith((".", RELEASED_NULL)):
                yield path.stem, Place(path, str(path))


def require(folder: Path, kind: Kind, words: str, hint: str) -> None:
    """Refuse a folder that has none of a kind.

    Raises:
        InputError: it has not, or there is no such folder.
    """
    if not index_of(folder)[kind]:
        raise InputError(f"{folder}: no {words} in it", hint=hint)


HOW_TO_BEGIN = "make pairs first: dit4sr data pairs PHOTOGRAPHS -o FOLDER"
