"""What the head of a file says of the picture in it: of the pixels nothing is read."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path

from dit4sr_cli.core.types import Size
from dit4sr_cli.imaging import decoders, vips
from dit4sr_cli.imaging.decoders import Admit
from dit4sr_cli.imaging.ifd import Block
from dit4sr_cli.imaging.source import Guard, contents, kind_of, undecodable

_TRANSPOSED = (5, 6, 7, 8)  # orientations of EXIF


@dataclass(frozen=True, slots=True)
class Header:
    """What the head of a file says; `size` is upright and the first page's, `pixels` are of all."""

    size: Size
    pages: int = 1
    pixels: int = 0
    bits: int = 8
    channels: int = 3


def read_header(path: Path, *, max_megapixels: float) -> Header:
    """Size, pages and depth of a picture; of its pixels nothing is read.

    Raises:
        InputError: it cannot be read, as the reader would say it, or it is too large.
    """
    label = str(path)
    data = contents(path, label)
    kind = kind_of(data, path, label)
    admit = Guard(label, max_megapixels).admit
    try:
        if decoders.is_for_vips(kind):
            return _opened(kind, data, admit)
        return _told(kind, data, admit)
    except (vips.Error, OSError, ValueError, SyntaxError) as error:
        raise undecodable(kind, label, error) from error


def _opened(kind: str, data: memoryview, admit: Admit) -> Header:
    """The formats that libvips reads: it opens a file without reading its pixels."""
    images = _pages(data) if kind == "tiff" else [decoders.open_vips(kind, data)]
    for image in images:
        admit(image.width, image.height)
    first = images[0]
    turned = first.get_typeof("orientation") and first.get("orientation") in _TRANSPOSED
    return Header(
        size=Size(first.height, first.width) if turned else Size(first.width, first.height),
        pages=len(images),
        pixels=sum(image.width * image.height for image in images),
        bits=8 if first.format == "uchar" else 16,
        channels=1 if first.bands < 3 else 3,
    )


def _pages(data: memoryview) -> list[vips.Image]:
    block = Block.open(data)
    shown = decoders.shown_pages(list(block.chain()), block.layout)
    return [decoders.open_vips("tiff", data, page=number) for number in shown]


class _Told(Exception):
    """Ends a decoder that has told a size."""


def _told(kind: str, data: memoryview, admit: Admit) -> Header:
    """The formats that Pillow reads: it tells the size, and is stopped there."""
    sizes = []

    def take(width: int, height: int) -> None:
        admit(width, height)
        sizes.append(Size(width, height))
        raise _Told

    with contextlib.suppress(_Told):
        decoders.decode(kind, data, take)
    return Header(sizes[0], pixels=sizes[0].pixels)
