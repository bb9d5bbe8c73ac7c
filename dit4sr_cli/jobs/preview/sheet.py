"""The contact sheet: a row for each place, or several; plain enlargement first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from dit4sr_cli.core.types import Box, Size
from dit4sr_cli.core.words import as_time
from dit4sr_cli.imaging import sheet
from dit4sr_cli.imaging.picture import Pixels
from dit4sr_cli.jobs.preview.records import Cell

MOST_COLUMNS = 6
_NARROWEST = 168
"""Pixels that a label needs."""


def draw(
    name: str, inputs: Mapping[Box, Pixels], cells: Sequence[Cell], columns: int
) -> tuple[Pixels, list[Cell], list[Box]]:
    """The sheet, its cells with their places on it, and the places of the inputs.

    Args:
        name: of the picture.
        inputs: plain enlargement of each box.
        cells: by box, then as settings vary.
        columns: how many cells belong into a row; wide sheets have fewer.
    """
    columns = min(columns, MOST_COLUMNS)
    rows, order = [], []
    for box, plain in inputs.items():
        mine = [cell for cell in cells if cell.box == box]
        for start in range(0, len(mine), columns):
            some = mine[start : start + columns]
            rows.append([_input(name, box, plain), *(_made(cell) for cell in some)])
            order.append(some)
    image, places = sheet.draw(rows, narrowest=_NARROWEST)
    placed, of_inputs = [], []
    left = iter(places)
    for some in order:
        of_inputs.append(next(left))
        placed += [replace(cell, place=next(left)) for cell in some]
    return np.asarray(image), placed, of_inputs


def _input(name: str, box: Box, plain: Pixels) -> sheet.Cell:
    where = f"at {box.x},{box.y}, {Size(box.width, box.height)}"
    return _labelled(plain, f"{name}, bicubic", where)


def _made(cell: Cell) -> sheet.Cell:
    record = cell.record
    steps = f"{record.steps} step{'' if record.steps == 1 else 's'}"
    label = cell.label or f"{record.model}, {steps}"
    return _labelled(cell.pixels, label, _times(cell))


def _times(cell: Cell) -> str:
    taken = as_time(cell.record.seconds)
    if cell.tiles >= cell.whole_tiles:
        return taken
    return f"{taken}; the whole about {as_time(cell.whole_seconds)}"


def _labelled(pixels: Pixels, *texts: str) -> sheet.Cell:
    width = max(_NARROWEST, pixels.shape[1])
    lines = [line for text in texts for line in sheet.wrapped(text, width)]
    return sheet.Cell(sheet.as_shown(pixels), tuple(lines))
