"""Pure integers: cover a latent grid with equal overlapping tiles."""

from __future__ import annotations

from dataclasses import dataclass

from dit4sr_cli.core.types import Box, Grid


@dataclass(frozen=True, slots=True)
class Tiling:
    """How latents are cut for the sampler, in latent cells.

    Args:
        size: side of a tile.
        overlap: cells that neighbours share at least (`even`) or exactly (`reference`).
        grid: `even` spreads the fewest tiles evenly and blends symmetrically; `reference` steps by
            size - overlap and snaps the last tile to the edge, with the released weights.
    """

    size: int = 64
    overlap: int = 24
    grid: Grid | str = Grid.EVEN

    def __post_init__(self) -> None:
        if self.size < 1:
            raise ValueError(f"a tile of {self.size} cells is too small")
        if not 0 <= self.overlap < self.size:
            raise ValueError(f"an overlap of {self.overlap} does not fit a tile of {self.size}")
        Grid(self.grid)


def cover(width: int, height: int, tiling: Tiling) -> list[Box]:
    """Tiles over a width x height latent grid, row by row; every cell is in at least one.

    A grid of at most size^2 cells, or no larger than a tile on both sides, is one tile, as in the
    released code. Otherwise tiles are squares of min(size, width, height).
    """
    if width * height <= tiling.size**2:
        return [Box(0, 0, width, height)]
    side = min(tiling.size, width, height)
    # A tile that shrank to the short side may be no larger than the overlap: keep half of it.
    overlap = min(tiling.overlap, side // 2)
    starts = _even if Grid(tiling.grid) is Grid.EVEN else _snapped
    return [
        Box(x, y, side, side)
        for y in starts(height, side, overlap)
        for x in starts(width, side, overlap)
    ]


def _even(length: int, side: int, overlap: int) -> list[int]:
    """The fewest starts whose tiles overlap by `overlap` or more, spread evenly."""
    if length <= side:
        return [0]
    count = -(-(length - overlap) // (side - overlap))
    return [round(i * (length - side) / (count - 1)) for i in range(count)]


def _snapped(length: int, side: int, overlap: int) -> list[int]:
    """Starts every side - overlap, the last one moved to end at the edge."""
    starts, step = [0], side - overlap
    while starts[-1] + side < length:
        starts.append(min(starts[-1] + step, length - side))
    return starts
