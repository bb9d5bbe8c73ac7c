"""The worst places side by side as one picture, for where a page cannot go."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image

from dit4sr_cli.core.types import Box, Size
from dit4sr_cli.evaluation.sheet import SheetRow, make_sheet
from dit4sr_cli.imaging.picture import Pixels
from dit4sr_cli.report.compare.pictures import Opened, part
from dit4sr_cli.report.compare.places import Place

_LONGEST_LABEL = 30


def make_strip(
    source: Opened, results: Sequence[Opened], places: Sequence[Place], frame: Size
) -> Image.Image:
    """A row a place, at 100 %: the input by bicubic, then each result; labelled.

    Args:
        source: the input.
        results: in the order of the columns.
        places: none: the middle is shown.
        frame: the size that all are shown in.
    """
    rows = []
    for number, place in enumerate(places, start=1):
        value = f", {place.value:.1f}" if place.values else ""
        at = f"{number}. x {place.box.x}, y {place.box.y}{value}"
        cells = {"input, bicubic": _rgb(part(source, place.around, frame))}
        for index, result in enumerate(results):
            label = _shortened(result.label)
            label = f"{index + 1}: {label}" if label in cells else label
            cells[label] = _rgb(part(result, place.around, frame))
        rows.append(SheetRow(at, cells))
    return make_sheet(rows)


def middle(frame: Size, side: int) -> Place:
    """What is shown of results in which no place departs from the source."""
    width, height = min(side, frame.width), min(side, frame.height)
    box = Box((frame.width - width) // 2, (frame.height - height) // 2, width, height)
    return Place(box, box, {})


def _rgb(pixels: Pixels) -> Pixels:
    return np.repeat(pixels, 3, axis=2) if pixels.shape[2] == 1 else pixels


def _shortened(label: str) -> str:
    return label if len(label) <= _LONGEST_LABEL else f"...{label[3 - _LONGEST_LABEL :]}"
