"""What travels with a picture: EXIF and XMP blocks checked, renewed and made to fit."""

from __future__ import annotations

import io
import re
from dataclasses import replace
from typing import TypeAlias
from xml.sax.saxutils import escape

import numpy as np
from PIL import Image

from dit4sr_cli.imaging import ifd
from dit4sr_cli.imaging.ifd import Block, Directory, Entry, Layout
from dit4sr_cli.imaging.picture import Metadata, Pixels
from dit4sr_cli.imaging.resize import bicubic

_THUMBNAIL_SIDE = 160

# Tags of EXIF 2.32 and TIFF 6.0, by their names there.
_WIDTH, _HEIGHT, _COMPRESSION, _ORIENTATION = 0x0100, 0x0101, 0x0103, 0x0112
_X_RESOLUTION, _Y_RESOLUTION, _RESOLUTION_UNIT, _SOFTWARE = 0x011A, 0x011B, 0x0128, 0x0131
_JPEG_OFFSET, _JPEG_LENGTH = 0x0201, 0x0202
_EXIF, _GPS, _INTEROP = 0x8769, 0x8825, 0xA005
_MAKER_NOTE, _EXIF_VERSION, _PIXEL_X, _PIXEL_Y = 0x927C, 0x9000, 0xA002, 0xA003
XMP_TAG, IPTC_TAG, PHOTOSHOP_TAG, ICC_TAG = 0x02BC, 0x83BB, 0x8649, 0x8773

_OF_THE_PIXELS = frozenset(
    {*range(0x00FE, 0x0108), 0x010A, 0x0111, 0x0115, 0x0116, 0x0117, 0x0118, 0x0119, 0x011C}
    | {*range(0x0120, 0x0126), 0x0129, 0x012D, 0x013D, 0x0140, 0x0141, *range(0x0142, 0x014B)}
    | {0x014C, 0x014D, 0x014E, 0x0150, *range(0x0151, 0x015C), *range(0x0200, 0x020A)}
    | {0x0211, 0x0212, 0x0213, 0x0214, XMP_TAG, IPTC_TAG, PHOTOSHOP_TAG, ICC_TAG, 0x935C}
    | {0x830E, 0x8480, 0x8482, 0x85D8, 0x87AF, 0x87B0, 0x87B1}  # GeoTIFF: true of the old grid
)
"""TIFF tags that tell how pixels are stored, or hold a block that has its own field here."""

Tree: TypeAlias = "dict[tuple[int, ...], Directory]"
"""Directories by the path of pointer tags that leads to them."""

_SUBDIRECTORIES = ((_EXIF,), (_GPS,), (_EXIF, _INTEROP))


def checked_exif(raw: bytes | None) -> bytes | None:
    """The block without JPEG's prefix, or None if not even its first directory can be read."""
    if not raw:
        return None
    block = raw.removeprefix(b"Exif\0\0")
    try:
        next(Block.open(block).chain())
    except (ValueError, StopIteration):
        return None
    return block


def exif_in_tiff(block: Block, page: Directory) -> bytes | None:
    """The EXIF of a TIFF page as a block of its own; None if it says nothing about the picture."""
    tree = describing_tags(block, page)
    known = {_ORIENTATION, _X_RESOLUTION, _Y_RESOLUTION, _RESOLUTION_UNIT}
    if len(tree) == 1 and tree[()].keys() <= known:
        return None
    return _fresh(detached(tree), block.layout)


def describing_tags(block: Block, root: Directory) -> Tree:
    """All that describes the picture and not its storage, by path of pointer tags."""
    found: Tree = {(): root}
    for path in _SUBDIRECTORIES:
        if path[:-1] in found and (entries := block.below(found[path[:-1]], path[-1])):
            found[path] = entries
    pointers = {tag for path in _SUBDIRECTORIES for tag in path}
    dropped = _OF_THE_PIXELS | pointers
    kept = {tag: entry for tag, entry in root.items() if tag not in dropped}
    return found | {(): kept}


def renew(
    metadata: Metadata, *, width: int, height: int, software: str, thumbnail: bytes | None
) -> Metadata:
    """The metadata of the upright result: orientation 1, its size, thumbnail and software.

    A picture without EXIF gets a small block that says these things, but no thumbnail.
    """
    exif = checked_exif(metadata.exif)
    if exif is None:
        exif, thumbnail = _fresh({(): {}}, Layout()), None
    return replace(
        metadata,
        exif=_renew_exif(exif, (width, height), software, thumbnail, metadata.dpi),
        xmp=metadata.xmp and _renew_xmp(metadata.xmp, width, height, software),
    )


def fit_exif(exif: bytes, limit: int) -> bytes | None:
    """The block within `limit` bytes: without dead space and thumbnail, then without maker note."""
    if len(exif) <= limit:
        return exif
    block = Block.open(exif)
    tree = describing_tags(block, next(block.chain()))
    tree = detached(tree)
    if len(smaller := _fresh(tree, block.layout)) <= limit:
        return smaller
    tree.get((_EXIF,), {}).pop(_MAKER_NOTE, None)
    return smaller if len(smaller := _fresh(tree, block.layout)) <= limit else None


def without_orientation(exif: bytes) -> bytes:
    """The block without its orientation tag, nothing else changed or moved."""
    block = Block.open(exif)
    main, following = block.directory(block.first)
    main.pop(_ORIENTATION, None)
    out = bytearray(exif)
    first = _append(out, ifd.pack(main, _even(out), block.layout, following=following))
    out[:8] = block.layout.header(first)
    return bytes(out)


def exif_dpi(exif: bytes | None) -> tuple[float, float] | None:
    """The resolution that an EXIF block names."""
    if exif is None:
        return None
    block = Block.open(exif)
    main = next(block.chain())
    per_inch = {2: 1.0, 3: 2.54}.get(block.layout.number(main.get(_RESOLUTION_UNIT), 2))
    x, y = (block.layout.ratio(main.get(tag)) for tag in (_X_RESOLUTION, _Y_RESOLUTION))
    return (x * per_inch, y * per_inch) if per_inch and x and y else None


def maker_note(tree: Tree) -> Entry | None:
    """The maker note among `describing_tags`."""
    return tree.get((_EXIF,), {}).get(_MAKER_NOTE)


def detached(tree: Tree, *, keep: Entry | None = None) -> Tree:
    """The tree's values bound to no place, but for one."""
    return {
        path: {tag: e if e is keep else replace(e, at=None) for tag, e in entries.items()}
        for path, entries in tree.items()
    }


def make_thumbnail(pixels: Pixels) -> bytes:
    """A JPEG of at most 160 pixels a side, as EXIF wants it."""
    height, width = pixels.shape[:2]
    factor = min(1.0, _THUMBNAIL_SIDE / max(width, height))
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    small = bicubic(pixels, size)
    if small.dtype == np.uint16:
        small = (small >> 8).astype(np.uint8)
    out = io.BytesIO()
    Image.fromarray(small[..., 0] if small.shape[2] == 1 else small).save(out, "JPEG", quality=80)
    return out.getvalue()


def without_extension(xmp: bytes) -> bytes:
    """The main packet without the pointer to extended XMP, which is not kept."""
    xmp = re.sub(rb"\s+xmpNote:HasExtendedXMP\s*=\s*([\"'])[^\"']*\1", b"", xmp)
    return re.sub(rb"<xmpNote:HasExtendedXMP>[^<]*</xmpNote:HasExtendedXMP>", b"", xmp)


def _fresh(tree: Tree, layout: Layout) -> bytes:
    layout = Layout(layout.order)  # EXIF is never BigTIFF
    packed = ifd.build(tree, layout, 8)
    return layout.header(packed.root) + packed.body


def _renew_exif(
    exif: bytes,
    size: tuple[int, int],
    software: str,
    thumbnail: bytes | None,
    dpi: tuple[float, float] | None,
) -> bytes:
    """Append changed directories and leave every other byte where it is.

    Maker notes hold offsets from the start of the block: what does not move stays readable.
    """
    block = Block.open(exif)
    main, following = block.directory(block.first)
    details = block.below(main, _EXIF) or {_EXIF_VERSION: Entry(ifd.UNDEFINED, 4, b"0232")}
    for directory, tag in ((main, _GPS), (details, _INTEROP)):
        if not block.below(directory, tag):
            directory.pop(tag, None)  # it may point at damage, which stops other readers
    kept = exif[: _end_of_content(block, main, following)]
    _set_tags(main, details, block.layout, size, software, dpi)
    return _extended(kept, main, details, block.layout, thumbnail)


def _set_tags(
    main: Directory,
    details: Directory,
    layout: Layout,
    size: tuple[int, int],
    software: str,
    dpi: tuple[float, float] | None,
) -> None:
    sides = [layout.entry(ifd.LONG, side) for side in size]
    details[_PIXEL_X], details[_PIXEL_Y] = sides
    if _WIDTH in main:
        main[_WIDTH], main[_HEIGHT] = sides
    text = software.encode("ascii", "replace") + b"\0"
    main[_SOFTWARE] = Entry(ifd.ASCII, len(text), text)
    main[_ORIENTATION] = layout.entry(ifd.SHORT, 1)
    if dpi and _X_RESOLUTION not in main:  # WebP and AVIF have no other place for it
        main[_X_RESOLUTION], main[_Y_RESOLUTION] = (layout.rational(value) for value in dpi)
        main[_RESOLUTION_UNIT] = layout.entry(ifd.SHORT, 2)  # inch


def _extended(
    kept: bytes, main: Directory, details: Directory, layout: Layout, thumbnail: bytes | None
) -> bytes:
    out = bytearray(kept)
    main[_EXIF] = layout.entry(ifd.LONG, _append(out, ifd.pack(details, _even(out), layout)))
    first = _append(out, ifd.pack(main, _even(out), layout))
    if thumbnail:
        # Last, so that the next renewal can cut it off.
        second = _even(out)
        out[first:] = ifd.pack(main, first, layout, following=second)
        _append(out, _thumbnail_directory(thumbnail, second, layout))
    out[:8] = layout.header(first)
    return bytes(out)


def _thumbnail_directory(thumbnail: bytes, at: int, layout: Layout) -> bytes:
    entries = {
        _COMPRESSION: layout.entry(ifd.SHORT, 6),  # JPEG
        _JPEG_OFFSET: layout.entry(ifd.LONG, at + layout.table_size(3)),
        _JPEG_LENGTH: layout.entry(ifd.LONG, len(thumbnail)),
    }
    return ifd.pack(entries, at, layout) + thumbnail


def _append(out: bytearray, piece: bytes) -> int:
    offset = _even(out)
    out += b"\0" * (offset - len(out)) + piece
    return offset


def _even(out: bytearray) -> int:
    return len(out) + len(out) % 2


def _end_of_content(block: Block, main: Directory, following: int) -> int:
    """Where the old thumbnail begins, if it is the last thing in the block; else its end."""
    try:
        old, _ = block.directory(following) if following else ({}, 0)
    except ValueError:
        old = {}
    starts = [block.layout.number(old.get(_JPEG_OFFSET)), following if old else 0]
    cut = min((start for start in starts if start), default=len(block.data))
    details = block.below(main, _EXIF)
    ends = [8]
    for offset, entries in (
        (block.first, main),
        (block.layout.number(main.get(_EXIF)), details),
        (block.layout.number(main.get(_GPS)), block.below(main, _GPS)),
        (block.layout.number(details.get(_INTEROP)), block.below(details, _INTEROP)),
    ):
        ends.append(offset + block.layout.table_size(len(entries)))
        ends += [entry.at + len(entry.value) for entry in entries.values() if entry.at]
    return cut if max(ends) <= cut else len(block.data)


def _renew_xmp(xmp: bytes, width: int, height: int, software: str) -> bytes:
    """Rewrite the properties that mirror EXIF, where they are present."""
    values = {
        b"tiff:Orientation": b"1",
        b"tiff:ImageWidth": b"%d" % width,
        b"tiff:ImageLength": b"%d" % height,
        b"exif:PixelXDimension": b"%d" % width,
        b"exif:PixelYDimension": b"%d" % height,
        b"tiff:Software": escape(software, {'"': "&quot;", "'": "&apos;"}).encode(),
    }
    for name, value in values.items():
        attribute = rb"(\s" + name + rb"\s*=\s*)([\"'])[^\"']*\2"
        element = rb"(<" + name + rb"(?:\s[^>]*)?>)[^<]*(?=</)"
        xmp = re.sub(attribute, lambda m, v=value: m[1] + m[2] + v + m[2], xmp)  # type: ignore[misc]
        xmp = re.sub(element, lambda m, v=value: m[1] + v, xmp)  # type: ignore[misc]
    return xmp
