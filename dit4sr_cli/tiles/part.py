"""Pure integers: the tiles of a grid that a part of it needs, and other sums of boxes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from dit4sr_cli.core.types import Box, Size
from dit4sr_cli.tiles.grid import Tiling, cover

_REACH = 2
"""Of the bicubic kernel between the two resolutions, in cells of the lower one."""


@dataclass(frozen=True, slots=True)
class Part:
    """Some tiles of a larger grid, and the box around them.

    Args:
        box: in the whole grid.
        tiles: at full resolution, counted from the corner of the box.
        coarse: at half the resolution, counted from there, too; none: all is done at full.
        whole: how many tiles the whole grid has at either resolution.
    """

    box: Box
    tiles: tuple[Box, ...]
    coarse: tuple[Box, ...]
    whole: tuple[int, int]

    @property
    def covered(self) -> Box:
        """What the tiles at full resolution cover, in the whole grid."""
        covered = bounds(self.tiles)
        return replace(covered, x=self.box.x + covered.x, y=self.box.y + covered.y)


def part_of(whole: Size, wanted: Box, tiling: Tiling, *, is_coarse: bool = False) -> Part:
    """The tiles that touch what is wanted; with `is_coarse` those of half the resolution, too.

    Where the wanted box lies, each cell then is the mean of the very tiles that it is the mean of
    when the whole grid is covered.
    """
    everything = cover(whole.width, whole.height, tiling)
    tiles = touching(everything, wanted)
    box = bounds(tiles)
    if not is_coarse:
        return Part(box, _counted_from(box, tiles), (), (len(everything), 0))
    half = Size(whole.width // 2, whole.height // 2)
    all_coarse = cover(half.width, half.height, tiling)
    coarse = touching(all_coarse, grown(divided(box, 2), _REACH, half))
    small = bounds(coarse)
    box = multiplied(small, 2)
    return Part(
        box,
        _counted_from(box, tiles),
        _counted_from(small, coarse),
        (len(everything), len(all_coarse)),
    )


def touching(boxes: Sequence[Box], wanted: Box) -> list[Box]:
    """Those that have a cell in common with what is wanted."""
    return [
        box
        for box in boxes
        if box.x < wanted.x + wanted.width
        and wanted.x < box.x + box.width
        and box.y < wanted.y + wanted.height
        and wanted.y < box.y + box.height
    ]


def bounds(boxes: Sequence[Box]) -> Box:
    """The smallest box around some."""
    x, y = min(box.x for box in boxes), min(box.y for box in boxes)
    right = max(box.x + box.width for box in boxes)
    bottom = max(box.y + box.height for box in boxes)
    return Box(x, y, right - x, bottom - y)


def grown(box: Box, margin: int, whole: Size) -> Box:
    """The box with a margin around it, where the whole has one."""
    x, y = max(0, box.x - margin), max(0, box.y - margin)
    right = min(whole.width, box.x + box.width + margin)
    bottom = min(whole.height, box.y + box.height + margin)
    return Box(x, y, right - x, bottom - y)


def inside(outer: Box, inner: Box) -> Box:
    """The inner box, counted from the corner of the outer one."""
    return replace(inner, x=inner.x - outer.x, y=inner.y - outer.y)


def divided(box: Box, factor: int) -> Box:
    """The smallest box of cells, each of so many pixels a side, around a box of pixels."""
    x, y = box.x // factor, box.y // factor
    right, bottom = -(-(box.x + box.width) // factor), -(-(box.y + box.height) // factor)
    return Box(x, y, right - x, bottom - y)


def multiplied(box: Box, factor: int) -> Box:
    """A box of cells in pixels."""
    return Box(box.x * factor, box.y * factor, box.width * factor, box.height * factor)


def _counted_from(corner: Box, boxes: Sequence[Box]) -> tuple[Box, ...]:
    return tuple(inside(corner, box) for box in boxes)
