"""Photographs to training pairs: crops, their LR pictures, and those enlarged back.

A pair is a function of the bytes of the photograph's file, the number of the crop, the seed and the
settings (size, largest reduction, mirroring, version of the degradation). Other photographs, their
order, the number of processes and shards, and what was there before, have no part in it.
"""

from __future__ import annotations

import hashlib
import os
import re
import zlib
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field
from itertools import groupby
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from torch import Generator

from dit4sr_cli.core import events
from dit4sr_cli.core.errors import Dit4srError, InputError, UsageError
from dit4sr_cli.core.settings import DEFAULT_MAX_MEGAPIXELS
from dit4sr_cli.core.types import Size
from dit4sr_cli.imaging.header import read_header
from dit4sr_cli.training.data import files
from dit4sr_cli.training.data.crops import CropSettings, cut, share_out, usual_count
from dit4sr_cli.training.data.index import index_of
from dit4sr_cli.training.data.layout import GT, LR, PAIR, SR_BICUBIC, Kind, shard_name
from dit4sr_cli.training.data.outcome import Outcome
from dit4sr_cli.training.data.photographs import Photograph, load, look_at
from dit4sr_cli.training.data.record import at_work, make_folder
from dit4sr_cli.training.data.shards import Part, part_of, put_together
from dit4sr_cli.training.data.workers import in_processes
from dit4sr_cli.training.degrade import SCALE, degrade, from_pil, to_pil
from dit4sr_cli.training.degrade.table import VERSION

MULTIPLE = 16
"""Of the sides of HR pictures: the LR picture, its latents and their patches have whole sides."""
_LONGEST_NAME = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class PairSettings:
    """What pairs are made of.

    Args:
        crops: how the HR pictures are cut.
        seed: of all draws.
        per_photo: crops of each photograph; 0: by its size, see `crops.usual_count`.
        total: crops of all together, in place of that; 0: as many as there are.
        shards: into how many shards; 0: into folders.
    """

    crops: CropSettings = field(default_factory=CropSettings)
    seed: int = 0
    per_photo: int = 0
    total: int = 0
    shards: int = 0

    def __post_init__(self) -> None:
        size = self.crops.size
        if size % MULTIPLE or size < 4 * MULTIPLE:
            raise UsageError(
                f"a size of {size} pixels", hint=f"it has to be a multiple of {MULTIPLE}, from 64"
            )
        if self.per_photo and self.total:
            raise UsageError("crops of each photograph and of all together: give one of the two")


def make_pairs(
    photographs: Sequence[Path],
    data: Path,
    settings: PairSettings | None = None,
    *,
    workers: int = 1,
    observe: events.Observer = events.ignore,
) -> Iterator[Outcome]:
    """Make the pairs that are not there yet; one bad photograph does not stop the others.

    Args:
        photographs: files.
        data: the folder; made if missing.
        settings: None: those of the paper.
        workers: processes; what comes out does not depend on them.
        observe: hears how many photographs are done.

    Raises:
        UsageError: the settings make no sense.
        OutputError: the folder was made with other settings, or cannot be written to.
    """
    settings = settings or PairSettings()
    make_folder(data)
    with at_work(data, "pairs", _noted(settings)):
        shards = [data / shard_name(number) for number in range(settings.shards)]
        work = _work(photographs, data, shards, settings)
        observe(events.PhaseStarted("pairs", total=len(work), unit="photographs"))
        with closing(in_processes(_make, work, workers)) as outcomes:
            done = enumerate(zip(work, outcomes, strict=True), start=1)
            for number, group in groupby(done, key=lambda one: one[1][0].part):
                for count, (_, outcome) in group:
                    observe(events.Advanced(count))
                    if outcome.error is not None and not isinstance(outcome.error, InputError):
                        raise outcome.error  # a full disk is nothing that the others escape
                    yield outcome
                if shards:
                    put_together(shards[number])


def name_of(photograph: Photograph, crop: int) -> str:
    """A sample's name: from the file's name and its contents, so that no two fall together."""
    stem = re.sub(r"\W+", "_", photograph.path.stem)[:_LONGEST_NAME].strip("_") or "photo"
    return f"{stem}-{photograph.sha256[:8]}-{crop:03}"


def pair_generator(photograph: Photograph, crop: int, seed: int) -> Generator:
    """What all draws of one pair come from."""
    words = f"dit4sr-pair {VERSION} {seed} {photograph.sha256} {crop}"
    digest = hashlib.sha256(words.encode()).digest()
    return Generator().manual_seed(int.from_bytes(digest[:7], "big"))


def make_pair(
    pixels: NDArray[np.uint8], settings: CropSettings, generator: Generator
) -> dict[Kind, NDArray[np.uint8]]:
    """One crop of a photograph [H, W, 3], its LR picture, and that enlarged back.

    Enlarged by Pillow's bicubic, as pictures are when the model is used; the released scripts take
    torch's here, which is a little sharper.
    """
    gt = cut(pixels, settings, generator)
    small = to_pil(degrade(from_pil(Image.fromarray(gt)), generator))
    enlarged = small.resize((settings.size, settings.size), Image.Resampling.BICUBIC)
    return {GT: gt, LR: np.asarray(small), SR_BICUBIC: np.asarray(enlarged)}


@dataclass(frozen=True, slots=True)
class _Work:
    """A photograph, and what is to be made of it.

    Args:
        crops: how many; None: as its size says.
        part: number of the shard that it goes to; 0 where there are none.
        folder: where its pairs are written.
        there: the pairs that are there already.
    """

    path: Path
    crops: int | None
    part: int
    folder: Path
    there: frozenset[str]
    settings: PairSettings


def _noted(settings: PairSettings) -> dict[str, object]:
    """What is the same for all pairs of a folder. More crops may come later."""
    return {
        "seed": settings.seed,
        **asdict(settings.crops),
        "scale": SCALE,
        "degradation": VERSION,
        "shards": settings.shards,
    }


def _work(
    photographs: Sequence[Path], data: Path, shards: Sequence[Path], settings: PairSettings
) -> list[_Work]:
    """All photographs, those of one shard after the other: their names say which is theirs."""
    parts = [part_of(shard) for shard in shards] or [Part(index_of(data), data)]
    there = [part.whole(PAIR) for part in parts]
    counts: list[int | None] = [settings.per_photo or None] * len(photographs)
    if settings.total:
        counts = [*share_out(settings.total, [_size_of(path, settings) for path in photographs])]
    work = []
    for path, count in zip(photographs, counts, strict=True):
        number = zlib.crc32(os.fsencode(path.name)) % len(parts)
        work.append(_Work(path, count, number, parts[number].folder, there[number], settings))
    return sorted(work, key=lambda one: one.part)


def _size_of(path: Path, settings: PairSettings) -> Size | None:
    """The size of a photograph that will have crops; others are reported when it is their turn."""
    try:
        size = read_header(path, max_megapixels=DEFAULT_MAX_MEGAPIXELS).size
    except InputError:
        return None
    return size if min(size.width, size.height) >= settings.crops.size else None


def _make(work: _Work) -> Outcome:
    """All crops of one photograph that are not there yet."""
    file, settings = str(work.path), work.settings
    size = settings.crops.size
    try:
        photograph = look_at(work.path)
        if min(photograph.size.width, photograph.size.height) < size:
            raise InputError(f"{file}: {photograph.size}, smaller than a crop of {size} pixels")
        count = usual_count(photograph.size, size) if work.crops is None else work.crops
        names = [name_of(photograph, crop) for crop in range(count)]
        missing = [crop for crop, name in enumerate(names) if name not in work.there]
        pixels = load(photograph) if missing else None
        for crop in missing:
            assert pixels is not None
            generator = pair_generator(photograph, crop, settings.seed)
            for kind, picture in make_pair(pixels, settings.crops, generator).items():
                path = work.folder / kind.folder / f"{names[crop]}{kind.suffix}"
                files.write(path, files.png_bytes(picture))
    except Dit4srError as error:
        return Outcome(file, error=error)
    return Outcome(file, made=len(missing), kept=len(names) - len(missing))
