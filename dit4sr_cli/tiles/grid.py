"""Pure integers: cover a latent grid with equal overlapping tiles."""

from __future__ import annotations

from dataclasses import dataclass

from dit4sr_cli.core.types import Box, Grid


@dataclass(frozen=True, slots=True)
class Tiling:
    """How latents are cut for the sampler, in latent cells.

    Args:
        size: longest side of a tile (`even`), or its side (`reference`).
        overlap: cells that neighbours share at least (`even`) or exactly (`reference`).
        grid: `even` takes the fewest tiles, no larger than they need be for their overlap, spread
            evenly, and blends over the overlap; `reference` steps by size - overlap and snaps the
            last tile to the edge, with the released weights.
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

    A grid of at most size^2 cells is one tile, as in the released code. All tiles are of one size;
    those of the `reference` grid are squares of min(size, width, height).
    """
    if width * height <= tiling.size**2:
        return [Box(0, 0, width, height)]
    if Grid(tiling.grid) is Grid.EVEN:
        (xs, wide), (ys, high) = (_even(length, tiling) for length in (width, height))
    else:
        wide = high = min(tiling.size, width, height)
        # A tile that shrank to the short side may be no larger than the overlap: keep half of it.
        overlap = min(tiling.overlap, wide // 2)
        xs, ys = (_snapped(length, wide, overlap) for length in (width, height))
    return [Box(x, y, wide, high) for y in ys for x in xs]


def _even(length: int, tiling: Tiling) -> tuple[list[int], int]:
    """The fewest starts along a side, and how long tiles have to be for their overlap."""
    size, overlap = tiling.size, tiling.overlap
    if length <= size:
        return [0], length
    count = -(-(length - overlap) // (size - overlap))
    need = -(-(length + (count - 1) * overlap) // count)
    # Tokens may be two cells wide: an even number holds whole ones.
    side = min(size, need + need % 2)
    return [round(i * (length - side) / (count - 1)) for i in range(count)], side


def _snapped(length: int, side: int, overlap: int) -> list[int]:
    """Starts every side - overlap, the last one moved to end at the edge."""
    starts, step = [0], side - overlap
    while starts[-1] + side < length:
        starts.append(min(starts[-1] + step, length - side))
    return starts
