"""Photographs as training takes them: upright 8-bit sRGB, each known by the digest of its file."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dit4sr_cli.core.errors import InputError
from dit4sr_cli.core.settings import DEFAULT_MAX_MEGAPIXELS
from dit4sr_cli.core.types import Size
from dit4sr_cli.imaging import reader
from dit4sr_cli.imaging.header import read_header
from dit4sr_cli.imaging.source import contents
from dit4sr_cli.training.photos import Photo, read_manifest


@dataclass(frozen=True, slots=True)
class Photograph:
    """A file, and what is known of it before it is decoded.

    Args:
        sha256: of its bytes.
        size: upright, after the crop and the reduction that `dit4sr data photos` knows for it.
        known: those, if it is one of its photographs.
    """

    path: Path
    sha256: str
    size: Size
    known: Photo | None


def look_at(path: Path) -> Photograph:
    """Read a photograph's bytes, and of what is in them the head.

    Raises:
        InputError: it is missing, empty, or no picture.
    """
    size = read_header(path, max_megapixels=DEFAULT_MAX_MEGAPIXELS).size
    sha256 = hashlib.sha256(contents(path, str(path))).hexdigest()
    known = _manifest().get(sha256)
    if known is not None:
        if known.crop is not None:
            left, top, right, bottom = known.crop
            size = Size(right - left, bottom - top)
        size = Size(-(-size.width // known.reduce), -(-size.height // known.reduce))
    return Photograph(path, sha256, size, known)


def load(photograph: Photograph) -> NDArray[np.uint8]:
    """Decode it, [H, W, 3]; of several pages or frames the first.

    Raises:
        InputError: it is damaged, or has transparent parts.
    """
    picture = reader.read(photograph.path, name=str(photograph.path))[0]
    if picture.alpha is not None and int(picture.alpha.min()) < np.iinfo(picture.alpha.dtype).max:
        raise InputError(f"{photograph.path}: has transparent parts", hint="photographs have none")
    pixels = picture.pixels
    if pixels.dtype == np.uint16:
        pixels = ((pixels.astype(np.uint32) + 128) // 257).astype(np.uint8)
    pixels = np.broadcast_to(pixels, (*pixels.shape[:2], 3))
    return pixels if photograph.known is None else _trimmed(pixels, photograph.known)


def _trimmed(pixels: NDArray[np.uint8], known: Photo) -> NDArray[np.uint8]:
    image = Image.fromarray(np.ascontiguousarray(pixels))
    if known.crop is not None:
        image = image.crop(known.crop)
    return np.asarray(image.reduce(known.reduce))


@lru_cache(maxsize=1)
def _manifest() -> dict[str, Photo]:
    """By digest, not by name: another file may have the same name."""
    return {photo.sha256: photo for photo in read_manifest()}
