"""Writes TIFF: 8 and 16 bits, pages of different sizes, all metadata for each page, BigTIFF.

libvips wants pages of one size and writes no EXIF; Pillow has no 16-bit RGB. TIFF is simple enough.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np

from dit4sr_cli.imaging import ifd, metadata, vips
from dit4sr_cli.imaging.ifd import Block, Directory, Entry, Layout
from dit4sr_cli.imaging.picture import Metadata, Pixels

_STRIP_BYTES = 1 << 20
_CLASSIC_LIMIT = 2 << 30  # offsets have 32 bits, but some readers take them as signed
_FARTHEST_NOTE = 1 << 16  # EXIF that came out of a JPEG reaches no farther

_DEFLATE, _HORIZONTAL, _INCH, _UNASSOCIATED, _BLACK_IS_ZERO, _RGB = 8, 2, 2, 2, 1, 2


@dataclass(frozen=True, slots=True)
class Raster:
    """Pixels that are asked for strip by strip, from top to bottom.

    Args:
        width, height: in pixels.
        bands: 1 or 3 of colour, perhaps one of alpha behind.
        bits: 8 or 16.
        read: the rows from one to before another, [n, W, bands].
    """

    width: int
    height: int
    bands: int
    bits: int
    read: Callable[[int, int], Pixels]

    @classmethod
    def of(cls, image: vips.Image) -> Raster:
        """The pixels of a libvips image."""

        def read(top: int, bottom: int) -> Pixels:
            return vips.to_array(image.crop(0, top, image.width, bottom - top))

        bits = 16 if image.format == "ushort" else 8
        return cls(image.width, image.height, image.bands, bits, read)

    @property
    def size(self) -> int:
        """In bytes, not compressed."""
        return self.width * self.height * self.bands * self.bits // 8


def write(stream: BinaryIO, pages: Sequence[tuple[vips.Image, Metadata]]) -> None:
    """Write pages to a seekable stream: 1 or 3 bands of colour, perhaps one of alpha behind."""
    write_rasters(stream, [(Raster.of(image), info) for image, info in pages])


def write_rasters(stream: BinaryIO, pages: Sequence[tuple[Raster, Metadata]]) -> None:
    """Write pages to a seekable stream, holding no more of them than a strip."""
    blocks = [Block.open(info.exif) if info.exif else None for _, info in pages]
    # Maker notes have the camera's byte order, and readers take it to be the file's.
    order = next((block.layout.order for block in blocks if block), "<")
    layout = Layout(order, big=sum(raster.size for raster, _ in pages) > _CLASSIC_LIMIT)

    header = layout.header(0)
    stream.write(header)
    link = len(header) - layout.field
    for (raster, info), block in zip(pages, blocks, strict=True):
        tree = _description(stream, block, order)
        strips = _write_strips(stream, raster, order)
        tree[()] |= _storage(raster, layout, strips) | _blocks(info, layout)
        packed = ifd.build(tree, layout, stream.tell())
        stream.write(packed.body)
        stream.seek(link)
        stream.write(struct.pack(layout.word, packed.root))
        stream.seek(0, 2)
        link = packed.link


def _description(stream: BinaryIO, block: Block | None, order: str) -> metadata.Tree:
    """The tags of EXIF; a maker note, whose own offsets count from the file's start, goes in place.

    Pages of one file share a byte order; a page from elsewhere with another one loses its EXIF.
    """
    if block is None or block.layout.order != order:
        return {(): {}}
    tree = metadata.describing_tags(block, next(block.chain()))
    note = metadata.maker_note(tree)
    here = stream.tell()
    if note is None or note.at is None or not here <= note.at < _FARTHEST_NOTE:
        return metadata.detached(tree)
    stream.write(b"\0" * (note.at - here) + note.value)
    return metadata.detached(tree, keep=note)


def _write_strips(stream: BinaryIO, raster: Raster, order: str) -> list[tuple[int, int]]:
    """Compressed strips, and the offset and length of each."""
    strips = []
    rows = _rows_a_strip(raster)
    for top in range(0, raster.height, rows):
        strip = raster.read(top, min(raster.height, top + rows))
        packed = zlib.compress(_differences(strip, order))
        stream.write(b"\0" * (stream.tell() % 2))
        strips.append((stream.tell(), len(packed)))
        stream.write(packed)
    stream.write(b"\0" * (stream.tell() % 2))
    return strips


def _rows_a_strip(raster: Raster) -> int:
    return max(1, min(raster.height, _STRIP_BYTES * raster.height // raster.size))


def _differences(strip: Pixels, order: str) -> bytes:
    """Each sample as its difference from the left one, modulo its range; it compresses better."""
    result = strip.copy()
    np.subtract(strip[:, 1:], strip[:, :-1], out=result[:, 1:])
    ordered: bytes = result.astype(result.dtype.newbyteorder(order), copy=False).tobytes()
    return ordered


def _storage(raster: Raster, layout: Layout, strips: list[tuple[int, int]]) -> Directory:
    """The tags that say how the pixels are stored."""
    offset_kind = ifd.LONG8 if layout.big else ifd.LONG
    offsets, lengths = zip(*strips, strict=True)
    tags = {
        0x0100: layout.entry(ifd.LONG, raster.width),
        0x0101: layout.entry(ifd.LONG, raster.height),
        0x0102: layout.entry(ifd.SHORT, *[raster.bits] * raster.bands),
        0x0103: layout.entry(ifd.SHORT, _DEFLATE),
        0x0106: layout.entry(ifd.SHORT, _RGB if raster.bands > 2 else _BLACK_IS_ZERO),
        0x0111: layout.entry(offset_kind, *offsets),
        0x0112: layout.entry(ifd.SHORT, 1),
        0x0115: layout.entry(ifd.SHORT, raster.bands),
        0x0116: layout.entry(ifd.LONG, _rows_a_strip(raster)),
        0x0117: layout.entry(ifd.LONG, *lengths),
        0x011C: layout.entry(ifd.SHORT, 1),
        0x013D: layout.entry(ifd.SHORT, _HORIZONTAL),
    }
    if raster.bands in (2, 4):
        tags[0x0152] = layout.entry(ifd.SHORT, _UNASSOCIATED)
    return tags


def _blocks(info: Metadata, layout: Layout) -> Directory:
    """The tags that hold whole blocks, and the resolution."""
    raw = (
        (metadata.XMP_TAG, ifd.BYTE, info.xmp),
        (metadata.IPTC_TAG, ifd.UNDEFINED, info.iptc),
        (metadata.ICC_TAG, ifd.UNDEFINED, info.icc),
    )
    tags = {tag: Entry(kind, len(value), value) for tag, kind, value in raw if value}
    if info.dpi:
        tags[0x011A], tags[0x011B] = (layout.rational(value) for value in info.dpi)
        tags[0x0128] = layout.entry(ifd.SHORT, _INCH)
    return tags
