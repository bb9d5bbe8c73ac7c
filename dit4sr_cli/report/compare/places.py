"""Where results depart most from their source: places that all results are shown at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dit4sr_cli.core.types import Box, Size
from dit4sr_cli.fidelity.check import Check

MAX_PLACES = 10
SIDE = 256
"""Of what is shown around a place, in pixels of the frame."""
_VISIBLE = 1.0
"""CIEDE2000 that can just be noticed: below it a place is shown only if there is no other."""


@dataclass(frozen=True, slots=True)
class Place:
    """One place.

    Args:
        box: what was found, in pixels of the frame.
        around: what is shown of its surroundings.
        values: mean CIEDE2000 in it, by number of the result whose worst it is one of.
    """

    box: Box
    around: Box
    values: Mapping[int, float]

    @property
    def value(self) -> float:
        """The largest."""
        return max(self.values.values())


def worst(checks: Sequence[Check], sizes: Sequence[Size], source: Size, frame: Size) -> list[Place]:
    """The worst places of all results, the worst first; one that several share is one.

    Args:
        checks: of the results.
        sizes: of the results, which the places of their checks are in.
        source: which cells are parts of, and so tell which places are the same.
        frame: the size that all are shown in.
    """
    boxes: dict[tuple[int, int], Box] = {}
    values: dict[tuple[int, int], dict[int, float]] = {}
    for number, (check, size) in enumerate(zip(checks, sizes, strict=True)):
        for place in check.worst:
            if not place.value:
                continue
            corner = place.x * source.width / size.width, place.y * source.height / size.height
            cell = round(corner[0]), round(corner[1])
            boxes[cell] = _scaled(Box(place.x, place.y, place.width, place.height), size, frame)
            values.setdefault(cell, {})[number] = place.value
    found = [Place(boxes[cell], _around(boxes[cell], frame), values[cell]) for cell in boxes]
    visible = [place for place in found if place.value >= _VISIBLE]
    return sorted(visible or found, key=lambda place: -place.value)[:MAX_PLACES]


def _scaled(box: Box, size: Size, frame: Size) -> Box:
    if size == frame:
        return box
    x, y = frame.width / size.width, frame.height / size.height
    return Box(round(box.x * x), round(box.y * y), round(box.width * x), round(box.height * y))


def _around(box: Box, frame: Size) -> Box:
    """A square in whose middle the box is, or as near to it as the edges allow."""
    width, height = min(SIDE, frame.width), min(SIDE, frame.height)
    x, y = box.x + (box.width - width) // 2, box.y + (box.height - height) // 2
    return Box(
        min(max(x, 0), frame.width - width), min(max(y, 0), frame.height - height), width, height
    )
