"""Latents of the HR pictures and of the enlarged LR pictures, by a model's own codec.

They are what the pipeline computes: the posterior's mode, shifted and scaled.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import torch
from torch import Tensor

from dit4sr_cli.core import events
from dit4sr_cli.core.errors import InputError, OutOfMemoryError
from dit4sr_cli.core.sizes import MULTIPLE
from dit4sr_cli.pipeline import memory
from dit4sr_cli.pipeline.assemble import load_codec
from dit4sr_cli.pipeline.components import Codec
from dit4sr_cli.training.data import files
from dit4sr_cli.training.data.index import HOW_TO_BEGIN, require
from dit4sr_cli.training.data.layout import GT, LATENT_HR, LATENT_LR, SR_BICUBIC, Kind
from dit4sr_cli.training.data.models import codec_fingerprint
from dit4sr_cli.training.data.outcome import Outcome
from dit4sr_cli.training.data.record import at_work
from dit4sr_cli.training.data.shards import Part, parts
from dit4sr_cli.weights.resolve import Resolved

_SOURCES = ((GT, LATENT_HR), (SR_BICUBIC, LATENT_LR))


@dataclass(frozen=True, slots=True)
class _Read:
    """A picture, [3, H, W] in -1..1, and whose it is."""

    name: str
    made: Kind
    image: Tensor


def write_latents(
    data: Path,
    found: Resolved,
    *,
    device: torch.device,
    batch: int = 8,
    dtype: torch.dtype = torch.float32,
    observe: events.Observer = events.ignore,
) -> Iterator[Outcome]:
    """Encode the pictures that have no latents yet.

    Args:
        data: a folder with pairs.
        found: the model whose codec it is.
        device: where it computes, in float32.
        batch: pictures at once.
        dtype: in which latents are stored.
        observe: hears how many samples are done.

    Raises:
        InputError: there is no such folder, or nothing to work on in it.
        ModelError: the codec is damaged.
        OutputError: the latents there are another codec's, or cannot be written.
        OutOfMemoryError: so many pictures at once are too many.
    """
    require(data, GT, "training pairs", HOW_TO_BEGIN)
    settings = {"codec": codec_fingerprint(found, observe), "dtype": _name(dtype)}
    codec = load_codec(found, device)

    def encode(images: Sequence[Tensor]) -> Tensor:
        some = torch.stack(list(images)).split(batch)
        return torch.cat([_encode(codec, one.to(device)).cpu() for one in some])

    with at_work(data, "latents", settings):
        for part in parts(data):
            missing = part.lacking(GT, [LATENT_HR, LATENT_LR])
            observe(events.PhaseStarted("latents", total=len(missing), unit="pairs"))
            yield Outcome(str(part.folder), kept=len(part.index[GT]) - len(missing))
            for start in range(0, len(missing), batch):
                names = missing[start : start + batch]
                yield from _encoded(part, names, encode, dtype)
                observe(events.Advanced(start + len(names)))


def _encoded(
    part: Part,
    names: Sequence[str],
    encode: Callable[[Sequence[Tensor]], Tensor],
    dtype: torch.dtype,
) -> Iterator[Outcome]:
    """The latents of some samples, those of one size together."""
    read: list[_Read] = []
    for name in names:
        try:
            read += _pictures(part, name)
        except InputError as error:
            yield Outcome(name, error=error)
    for _, group in groupby(read, key=lambda one: one.image.shape):
        same = list(group)
        latents = encode([one.image for one in same]).to(dtype)
        for one, latent in zip(same, latents, strict=True):
            path = part.folder / one.made.folder / f"{one.name}{one.made.suffix}"
            files.write(path, files.tensor_bytes({one.made.tensor: latent}))
    for name in dict.fromkeys(one.name for one in read):
        yield Outcome(name, made=1)


def _pictures(part: Part, name: str) -> list[_Read]:
    """Both pictures of a sample, checked."""
    read = []
    for source, made in _SOURCES:
        place = part.index[source].get(name)
        if place is None:
            raise InputError(f"{name}: no picture in {source.folder}")
        pixels = torch.from_numpy(files.pixels_of(place.read(), place.name)).permute(2, 0, 1)
        if pixels.shape[1] % MULTIPLE or pixels.shape[2] % MULTIPLE:
            raise InputError(f"{place.name}: its sides are no multiples of {MULTIPLE}")
        read.append(_Read(name, made, pixels.float() / 255 * 2 - 1))
    if read[0].image.shape != read[1].image.shape:
        raise InputError(f"{name}: {GT.folder} and {SR_BICUBIC.folder} differ in size")
    return read


@torch.inference_mode()
def _encode(codec: Codec, images: Tensor) -> Tensor:
    try:
        return codec.encode(images)
    except (RuntimeError, MemoryError) as error:
        if not memory.is_out_of_memory(error):
            raise
        raise OutOfMemoryError(
            f"not enough memory for {len(images)} pictures at once", hint="use a smaller --batch"
        ) from error


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
