"""The pictures of a comparison: read, and made small enough for a page.

Large ones stay in files without a name beside the page; memory holds a strip of them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dit4sr_cli.core.errors import InputError
from dit4sr_cli.core.types import Box, Size
from dit4sr_cli.fidelity.reduction import reduced
from dit4sr_cli.imaging import reader, scratch, strips
from dit4sr_cli.imaging.header import read_header
from dit4sr_cli.imaging.picture import Picture, Pixels
from dit4sr_cli.imaging.resize import bicubic
from dit4sr_cli.jobs import replay
from dit4sr_cli.jobs.provenance import Provenance
from dit4sr_cli.report.embedded import opaque

LARGE = 20_000_000
"""Pixels from which on a picture is kept in a file."""
_ROWS = 256
_REACH = 3
"""Of the kernel that enlarges, in pixels, and one more."""


@dataclass(frozen=True, slots=True)
class Opened:
    """One picture.

    Args:
        path: of its file.
        label: what the page calls it.
        picture: its first page.
        pages: how many there are.
        num_bytes: of the file.
        record: of how it was made; None: it has none that can be read.
        why: what is wrong with a record that cannot be read; else empty.
    """

    path: Path
    label: str
    picture: Picture
    pages: int
    num_bytes: int
    record: Provenance | None = None
    why: str = ""

    @property
    def size(self) -> Size:
        """In pixels, upright."""
        return Size(self.picture.width, self.picture.height)


def open_source(path: Path, folder: Path, max_megapixels: float) -> Opened:
    """Read what results were made of; what memory should not hold is put into `folder`.

    Raises:
        InputError: it cannot be read, or is too large.
        OutputError: the folder has no room.
    """
    picture, pages = _read(path, folder, max_megapixels)
    return Opened(path, "Input", picture, pages, path.stat().st_size)


def open_result(path: Path, label: str, folder: Path, max_megapixels: float) -> Opened:
    """Read a result, and its record if it has one.

    Raises:
        InputError: it cannot be read, or is too large.
        OutputError: the folder has no room.
    """
    picture, pages = _read(path, folder, max_megapixels)
    record, why = None, ""
    try:
        record = replay.load(path).record
    except InputError as error:
        why = error.message.removeprefix(f"{path}: ")
    return Opened(path, label, picture, pages, path.stat().st_size, record, why)


def _read(path: Path, folder: Path, max_megapixels: float) -> tuple[Picture, int]:
    header = read_header(path, max_megapixels=max_megapixels)
    if header.pages == 1 and header.size.pixels < LARGE:
        return reader.read(path, name=str(path), max_megapixels=max_megapixels)[0], 1
    kept = strips.read(path, folder, name=str(path), max_megapixels=max_megapixels)
    return kept, header.pages


def within(size: Size, pixels: float) -> Size:
    """The size, reduced to so many pixels if it has more."""
    factor = math.sqrt(pixels / size.pixels)
    if factor >= 1:
        return size
    return Size(max(1, round(size.width * factor)), max(1, round(size.height * factor)))


def whole(picture: Picture, size: Size) -> Pixels:
    """All of a picture at this size or its own: 8 bits, opaque, [H, W, 1 or 3]."""
    out = np.empty((size.height, size.width, picture.pixels.shape[2]), np.uint8)
    for top in range(0, size.height, _ROWS):
        rows = (top, min(size.height, top + _ROWS))
        alpha = picture.alpha
        if alpha is not None:
            alpha = _rows(alpha[..., None], size, rows)[..., 0]
        out[slice(*rows)] = opaque(_rows(picture.pixels, size, rows), alpha)
        scratch.rest()
    return out


def _rows(plane: Pixels, size: Size, rows: tuple[int, int]) -> Pixels:
    """Rows of [H, W, C] at a size."""
    if (size.height, size.width) == plane.shape[:2]:
        return plane[slice(*rows)]
    return reduced(plane, (size.width, size.height), rows)


def part(opened: Opened, box: Box, frame: Size) -> Pixels:
    """A box of the frame in this picture, enlarged by bicubic if the picture is smaller.

    Args:
        opened: of the frame's proportions, and not larger.
        box: in pixels of the frame.
        frame: the size that all pictures are shown in.
    """
    scale_x, scale_y = opened.size.width / frame.width, opened.size.height / frame.height
    left, right = box.x * scale_x, (box.x + box.width) * scale_x
    top, bottom = box.y * scale_y, (box.y + box.height) * scale_y
    columns, rows = (
        _around(left, right, opened.size.width),
        _around(top, bottom, opened.size.height),
    )
    picture = opened.picture
    alpha = None if picture.alpha is None else picture.alpha[rows, columns]
    pixels = opaque(picture.pixels[rows, columns], alpha)
    scratch.rest()
    region = (left - columns.start, top - rows.start, right - columns.start, bottom - rows.start)
    return bicubic(pixels, (box.width, box.height), region)


def _around(start: float, stop: float, length: int) -> slice:
    return slice(max(0, math.floor(start) - _REACH), min(length, math.ceil(stop) + _REACH))


def refuse_inputs(paths: Sequence[Path], written: Sequence[Path]) -> None:
    """Refuse to write over what is compared.

    Raises:
        InputError: a target is one of the pictures.
    """
    for target in written:
        for path in paths:
            if target.exists() and path.exists() and target.samefile(path):
                raise InputError(f"{target}: is one of the pictures", hint="name another file")
