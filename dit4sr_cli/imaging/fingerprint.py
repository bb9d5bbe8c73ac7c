"""Digests of pixels: of the samples that a decoder finds, not of the bytes that hold them."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING

from dit4sr_cli.imaging import vips, writer
from dit4sr_cli.imaging.picture import Metadata, Picture, Pixels

if TYPE_CHECKING:
    from hashlib import _Hash

_LOSSLESS = ("png", "tiff")
_STRIP = 256  # rows


def of_pixels(pixels: Pixels) -> str:
    """SHA-256 of samples [H, W, C], with their number and type."""
    height, width, channels = pixels.shape
    state = start(width, height, channels, pixels.dtype.name)
    feed(state, pixels)
    return state.hexdigest()


def start(width: int, height: int, channels: int, dtype: str) -> _Hash:
    """A digest to be fed with rows from top to bottom."""
    return hashlib.sha256(f"dit4sr-pixels-1 {width}x{height}x{channels} {dtype}\n".encode())


def feed(state: _Hash, rows: Pixels) -> None:
    """Add rows: samples of one pixel after the other, little-endian."""
    ordered = rows.astype(rows.dtype.newbyteorder("<"), copy=False)
    for row in ordered:  # never a copy of a whole picture
        state.update(row.tobytes())


def samples(data: bytes | memoryview, kind: str) -> list[Pixels]:
    """What a decoder finds in a file, page by page: no turning, no colour conversion.

    Raises:
        OSError, ValueError, SyntaxError, vips.Error: it cannot be decoded.
    """
    from dit4sr_cli.imaging.decoders import decode

    return [page.array for page in decode(kind, memoryview(data), lambda width, height: None)]


def as_written(picture: Picture, format: str, quality: int) -> str:
    """The digest of what a decoder will find; lossy formats are encoded to find out.

    Raises:
        OutputError: the format cannot hold the picture.
    """
    if format in _LOSSLESS:
        return _stored(picture, format)
    bare = replace(picture, metadata=Metadata(icc=picture.metadata.icc))
    [found] = samples(writer.encode([bare], format=format, quality=quality), format)
    return of_pixels(found)


def _stored(picture: Picture, format: str) -> str:
    """A strip at a time: what is done to pixels on their way into a file needs no neighbours."""
    state = None
    for top in range(0, picture.height, _STRIP):
        rows = slice(top, top + _STRIP)
        alpha = None if picture.alpha is None else picture.alpha[rows]
        strip = replace(picture, pixels=picture.pixels[rows], alpha=alpha)
        array = vips.to_array(writer.as_stored(strip, format))
        state = state or start(picture.width, picture.height, array.shape[2], array.dtype.name)
        feed(state, array)
    assert state is not None
    return state.hexdigest()
