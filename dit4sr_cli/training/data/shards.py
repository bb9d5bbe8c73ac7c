"""Shards: tar files of whole samples, as webdataset has them; written whole, read by offset.

Samples lie in the order of their names' digests, so that neighbours are of different photographs
and a reader need not shuffle from one end to the other. The same samples make the same bytes.
"""

from __future__ import annotations

import hashlib
import io
import math
import shutil
import tarfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from dit4sr_cli.core.errors import InputError, UsageError
from dit4sr_cli.imaging.placing import explained, whole_file
from dit4sr_cli.training.data import files
from dit4sr_cli.training.data.index import (
    Index,
    index_of,
    index_of_folder,
    index_of_shard,
    merged,
    shards_in,
)
from dit4sr_cli.training.data.layout import GT, KINDS, LATENT_HR, NULL, Kind, shard_name
from dit4sr_cli.training.data.outcome import Outcome
from dit4sr_cli.training.data.record import at_work, make_folder, read_settings, write_settings

SAMPLES = 1000
"""In a shard, where nobody says how many shards there should be."""


@dataclass(frozen=True, slots=True)
class Part:
    """What is worked through as one: a data folder, or one of its shards.

    Args:
        index: what is there.
        folder: where new files go, each in the folder of its kind.
    """

    index: Index
    folder: Path

    def whole(self, kinds: Sequence[Kind]) -> frozenset[str]:
        """The samples that have all of these kinds."""
        return frozenset.intersection(*(frozenset(self.index[kind]) for kind in kinds))

    def lacking(self, of: Kind, made: Sequence[Kind]) -> list[str]:
        """The samples that have one kind, but not all of some others."""
        return sorted(self.index[of].keys() - self.whole(made))


def parts(folder: Path) -> Iterator[Part]:
    """The parts of a data folder, one after the other; each is put together when it is left.

    Raises:
        InputError: there is no such folder, or a shard is damaged.
        OutputError: a shard cannot be written.
    """
    shards = shards_in(folder)
    if not shards:
        yield Part(index_of(folder), folder)
    for shard in shards:
        yield part_of(shard)
        put_together(shard)


def part_of(shard: Path) -> Part:
    """A shard, or one that is to be. What is new is kept beside it until it is put together.

    A run that was ended leaves the new files there, and the next one goes on with them.
    """
    beside = _beside(shard)
    before = [index_of_shard(shard)] if shard.exists() else []
    return Part(merged([*before, index_of_folder(beside)]), beside)


def put_together(shard: Path) -> None:
    """Make a shard of what is in it and what is beside it.

    Raises:
        OutputError: it cannot be written.
    """
    beside = _beside(shard)
    if not beside.is_dir():
        return
    if any(index_of_folder(beside).values()):
        write_shard(shard, part_of(shard).index)
    with explained(beside):
        shutil.rmtree(beside)


def write_shard(shard: Path, index: Index) -> None:
    """Write all samples of an index into a tar file, which appears whole or not at all.

    Raises:
        InputError: one of the files cannot be read.
        OutputError: the shard cannot be written.
    """
    with explained(shard):
        shard.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(shard, overwrite=True) as stream, _tar(stream) as tar:
            for name in shuffled(_names(index)):
                for kind in KINDS:
                    if place := index[kind].get(name):
                        data = place.read()
                        info = tarfile.TarInfo(f"{name}.{kind.key_with(place.suffix)}")
                        info.size = len(data)
                        tar.addfile(info, io.BytesIO(data))


def pack(data: Path, output: Path, *, shards: int = 0) -> Iterator[Outcome]:
    """Put the samples of a data folder into shards elsewhere, shard by shard.

    Args:
        data: a folder of folders.
        output: made if missing; what stands in it is made anew only where it differs.
        shards: how many; 0: one for a thousand samples.

    Raises:
        InputError: there are no samples, they are in shards already, or a name has a dot in it.
        OutputError: the shards cannot be written, or are of another number.
    """
    if data.resolve() == output.resolve():
        raise UsageError(f"{output}: the shards need a folder of their own")
    if shards_in(data):
        raise InputError(f"{data}: is in shards already")
    index = index_of(data)
    names = shuffled(_names(index))
    if not names:
        raise InputError(f"{data}: no samples in it")
    for name in names:
        if "." in name:
            raise InputError(f"{data}: a dot in the name {name}", hint="shards cannot hold it")
    count = shards or math.ceil(len(names) / SAMPLES)
    make_folder(output)
    with at_work(output, "pack", {"shards": count}):
        sections = {**read_settings(output), **read_settings(data), "pack": {"shards": count}}
        write_settings(output, sections)
        if (data / NULL).is_file():
            files.write(output / NULL, (data / NULL).read_bytes())
        for number in range(count):
            own = set(names[number::count])
            yield _packed(output / shard_name(number), _only(index, own), len(own))


def shuffled(names: Iterable[str]) -> list[str]:
    """Names in the order of their digests: mixed, and always alike."""
    return sorted(names, key=lambda name: hashlib.sha256(name.encode()).digest())


def _packed(shard: Path, index: Index, samples: int) -> Outcome:
    if samples and not (shard.exists() and _same(index_of_shard(shard), index)):
        write_shard(shard, index)
        return Outcome(shard.name, made=samples)
    return Outcome(shard.name, kept=samples)


def _same(first: Index, second: Index) -> bool:
    """Whether both have the same files, by their sizes."""
    return all(
        first[kind].keys() == second[kind].keys()
        and all(first[kind][name].length == second[kind][name].length for name in first[kind])
        for kind in KINDS
    )


def _only(index: Index, names: set[str]) -> Index:
    return {
        kind: {name: place for name, place in places.items() if name in names}
        for kind, places in index.items()
    }


def _names(index: Index) -> set[str]:
    return index[GT].keys() | index[LATENT_HR].keys()


def _beside(shard: Path) -> Path:
    return shard.with_name(f".{shard.stem}")


def _tar(stream: object) -> tarfile.TarFile:
    return tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT)  # type: ignore[call-overload]
