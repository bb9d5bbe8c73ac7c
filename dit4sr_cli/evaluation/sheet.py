"""Contact sheets of an evaluation: a row a picture, a column a method."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from dit4sr_cli.evaluation.pixels import Image as Pixels
from dit4sr_cli.imaging.sheet import Cell, draw


@dataclass(frozen=True, slots=True)
class SheetRow:
    """One picture: what is shown of it, by column name; all cells have the same size."""

    name: str
    cells: Mapping[str, Pixels]


def make_row(
    name: str,
    small: Pixels,
    results: Mapping[str, Pixels],
    reference: Pixels | None,
    *,
    crop: int | None = None,
) -> SheetRow:
    """Input (in squares), results and reference; `crop` keeps the middle of each.

    Results may have been cropped before; without a reference the input is enlarged x4.
    """
    height, width = small.shape[0] * 4, small.shape[1] * 4
    if reference is not None:
        height, width = reference.shape[:2]
    columns = {"input": nearest(small, (width, height)), **results}
    if reference is not None:
        columns["reference"] = reference
    return SheetRow(name, {key: middle(value, crop).copy() for key, value in columns.items()})


def nearest(pixels: Pixels, size: tuple[int, int]) -> Pixels:
    """Enlarge to (width, height) so that the input's pixels show as squares."""
    return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.NEAREST))


def middle(pixels: Pixels, side: int | None) -> Pixels:
    """The square in the middle, or as much of it as there is; None is everything."""
    if side is None:
        return pixels
    height, width = pixels.shape[:2]
    top, left = max(0, (height - side) // 2), max(0, (width - side) // 2)
    return pixels[top : top + side, left : left + side]


def make_sheet(rows: Sequence[SheetRow]) -> Image.Image:
    """All rows under one another, columns labelled above each row."""
    columns = list(rows[0].cells)
    return draw(
        [
            [
                Cell(row.cells[column], (f"{row.name}: {column}" if index == 0 else column,))
                for index, column in enumerate(columns)
            ]
            for row in rows
        ]
    )[0]
