"""Contact sheets for the eye: pictures in rows under their labels, pixels at their own size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from dit4sr_cli.core.types import Box
from dit4sr_cli.imaging.picture import Pixels

GAP = 4
LINE_HEIGHT = 15
_MARGIN = 5
_FONT_SIZE = 12
_PAPER, _INK = (255, 255, 255), (0, 0, 0)


@dataclass(frozen=True, slots=True)
class Cell:
    """A picture, uint8 [H, W, 3], and the lines above it."""

    pixels: Pixels
    lines: tuple[str, ...]


def draw(rows: Sequence[Sequence[Cell]], *, narrowest: int = 0) -> tuple[Image.Image, list[Box]]:
    """The sheet, and where on it each picture lies, row by row.

    Args:
        rows: of cells; they may be of different lengths.
        narrowest: no column is narrower.
    """
    step = GAP + max(narrowest, *(cell.pixels.shape[1] for row in rows for cell in row))
    labels = [_MARGIN + LINE_HEIGHT * max(len(cell.lines) for cell in row) for row in rows]
    heights = [max(cell.pixels.shape[0] for cell in row) for row in rows]
    size = (step * max(len(row) for row in rows) - GAP, sum(labels) + sum(heights))
    sheet = Image.new("RGB", size, _PAPER)
    pen = ImageDraw.Draw(sheet)
    boxes, top = [], 0
    for row, label, height in zip(rows, labels, heights, strict=True):
        for column, cell in enumerate(row):
            for number, line in enumerate(cell.lines):
                where = (column * step + 2, top + 3 + number * LINE_HEIGHT)
                pen.text(where, line, fill=_INK, font=_font())
            box = Box(column * step, top + label, cell.pixels.shape[1], cell.pixels.shape[0])
            sheet.paste(Image.fromarray(cell.pixels), (box.x, box.y))
            boxes.append(box)
        top += label + height
    return sheet, boxes


def wrapped(text: str, width: int, *, most: int = 3) -> list[str]:
    """The text in lines no wider than so many pixels of a sheet; what is left over becomes dots."""
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if not lines[-1] or _fits(longer, width):
            lines[-1] = longer
        else:
            lines.append(word)
    lines, left_over = lines[:most], lines[most:]
    return [
        _shortened(line, width, is_cut=bool(left_over) and number == most)
        for number, line in enumerate(lines, start=1)
    ]


def as_shown(pixels: Pixels) -> Pixels:
    """Any picture as uint8 [H, W, 3]."""
    if pixels.dtype == np.uint16:
        pixels = ((pixels.astype(np.uint32) + 128) // 257).astype(np.uint8)
    return np.repeat(pixels, 3, axis=2) if pixels.shape[2] == 1 else pixels


def _font() -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size=_FONT_SIZE)


def _fits(text: str, width: int) -> bool:
    return _font().getlength(text) <= width


def _shortened(line: str, width: int, *, is_cut: bool) -> str:
    if not is_cut and _fits(line, width):
        return line
    while line and not _fits(line + "...", width):
        line = line[:-1]
    return line + "..."
