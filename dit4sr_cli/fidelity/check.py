"""What an enlargement kept: the result, reduced as the model's inputs were, against its source.

Everything is summed over cells of about 8 source pixels, a strip of tiles at a time: what is in
memory is a strip and nine numbers a cell, however large the picture.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from enum import Enum
from itertools import pairwise
from typing import Any

import numpy as np

from dit4sr_cli.fidelity import colour
from dit4sr_cli.fidelity.colour import Floats
from dit4sr_cli.fidelity.reduction import reduced
from dit4sr_cli.fidelity.ssim import MARGIN, ssim_map
from dit4sr_cli.imaging import scratch
from dit4sr_cli.imaging.picture import Pixels

CELL, TILE = 8, 8
"""Side of a cell in source pixels, and of a tile in cells; about, for they share a side evenly."""
NUM_WORST = 5
_BINS, _PER_UNIT = 20_000, 100
"""The histogram that the 95th percentile is read from: differences up to 200 in hundredths."""
_ERROR, _SSIM, _DIFFERENCE, _LIGHT, _MEANT = 0, 1, 2, slice(3, 6), slice(6, 9)
"""What is summed for a cell; the last two are the linear colours of result and source."""


class Verdict(str, Enum):
    """How much a picture was changed, from least to most."""

    FAITHFUL = "faithful"
    CLOSE = "close"
    CHANGED = "changed"
    DIFFERENT = "different"

    @property
    def holds(self) -> bool:
        """Whether the result may stand for its source."""
        return self in (Verdict.FAITHFUL, Verdict.CLOSE)


@dataclass(frozen=True, slots=True)
class Limits:
    """The most that a verdict allows, in CIEDE2000; see docs/fidelity.md for where they are from.

    Args:
        mean: over all pixels.
        p95: 95th percentile of the pixels.
        drift: between the mean colours of cells, which noise and sharpness do not move.
        place: in the worst cell.
    """

    mean: float
    p95: float
    drift: float
    place: float


LIMITS = {
    Verdict.FAITHFUL: Limits(mean=2.0, p95=5.0, drift=0.75, place=5.0),
    Verdict.CLOSE: Limits(mean=4.0, p95=10.0, drift=2.0, place=10.0),
}
DIFFERENT_MEAN, DIFFERENT_LIKENESS = 8.0, 0.75
"""Another picture: farther than this, and its light and dark lie elsewhere."""


@dataclass(frozen=True, slots=True)
class Place:
    """A rectangle of the result, in its pixels, and the mean CIEDE2000 within it."""

    x: int
    y: int
    width: int
    height: int
    value: float


@dataclass(frozen=True, slots=True)
class Tile:
    """The figures of one rectangle of the result, in its pixels."""

    x: int
    y: int
    width: int
    height: int
    psnr: float
    ssim: float
    mean: float
    p95: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """What was found.

    Args:
        psnr: in dB, in linear light; infinite if nothing differs.
        ssim: of CIELAB lightness.
        mean, p95: CIEDE2000 of the pixels.
        drift: mean CIEDE2000 between the mean colours of cells.
        likeness: correlation of the cells' lightness; 1 for a picture without any contrast.
        worst: the cells that differ most, at most one of a tile, the worst first.
        tiles: row by row.
    """

    psnr: float
    ssim: float
    mean: float
    p95: float
    drift: float
    likeness: float
    worst: tuple[Place, ...]
    tiles: tuple[Tile, ...]

    @property
    def verdict(self) -> Verdict:
        """The best one whose limits hold."""
        if self.mean > DIFFERENT_MEAN and self.likeness < DIFFERENT_LIKENESS:
            return Verdict.DIFFERENT
        for verdict, limits in LIMITS.items():
            if not self._above(limits):
                return verdict
        return Verdict.CHANGED

    @property
    def reasons(self) -> tuple[str, ...]:
        """What keeps it from a better verdict, one line each."""
        if self.verdict is Verdict.DIFFERENT:
            return ("these are not the same picture",)
        better = Verdict.CLOSE if self.verdict is Verdict.CHANGED else Verdict.FAITHFUL
        return self._above(LIMITS[better])

    def as_json(self, *, tiles: bool = False) -> dict[str, Any]:
        """Plain data, rounded; without the tiles a few hundred bytes, for a record."""
        values = {
            "verdict": self.verdict.value,
            "reasons": list(self.reasons),
            "psnr": _finite(self.psnr),
            "ssim": round(self.ssim, 4),
            "de2000_mean": round(self.mean, 3),
            "de2000_p95": round(self.p95, 3),
            "drift": round(self.drift, 3),
            "likeness": round(self.likeness, 3),
            "worst": [asdict(place) for place in self.worst],
        }
        if tiles:
            values["tiles"] = [asdict(tile) | {"psnr": _finite(tile.psnr)} for tile in self.tiles]
        return values

    def summary(self) -> str:
        """`close: PSNR 34.1 dB, SSIM 0.967, CIEDE2000 1.50 (95 %: 3.64)`."""
        psnr = "identical" if math.isinf(self.psnr) else f"PSNR {self.psnr:.1f} dB"
        figures = f"{psnr}, SSIM {self.ssim:.3f}"
        return f"{self.verdict.value}: {figures}, CIEDE2000 {self.mean:.2f} (95 %: {self.p95:.2f})"

    def _above(self, limits: Limits) -> tuple[str, ...]:
        found = {
            "the mean difference": (self.mean, limits.mean),
            "the 95th percentile": (self.p95, limits.p95),
            "the drift of colours": (self.drift, limits.drift),
            "the worst place": (self.worst[0].value, limits.place),
        }
        return tuple(
            f"{name} is {value:.2f}, above {limit:g}"
            for name, (value, limit) in found.items()
            if value > limit
        )


def fits(source: tuple[int, int], output: tuple[int, int]) -> bool:
    """Whether (width, height) can be an enlargement of the source: as large, of the same shape."""
    factors = [after / before for before, after in zip(source, output, strict=True)]
    # Each side may have been rounded by up to a pixel.
    slack = max(1 / side for side in source)
    return min(factors) >= 1 - slack and max(factors) / min(factors) <= 1 + 2 * slack


def check(source: Pixels, output: Pixels) -> Check:
    """Hold a result against what it was made of.

    Args:
        source: uint8 or uint16 [H, W] or [H, W, C]; of 2 or 4 channels the last is alpha, and
            left out.
        output: the enlarged picture, likewise; its depth and number of channels may differ.

    Raises:
        ValueError: the sizes say that it is no enlargement of the source; see `fits`.
    """
    source, output = _opaque(source), _opaque(output)
    if not fits(_size(source), _size(output)):
        raise ValueError(f"{_size(output)} is no enlargement of {_size(source)}")
    grid = _Grid.over(_size(source))
    histogram = np.zeros(_BINS, np.int64)
    sums, p95 = [], []
    for strip in _strips(source, output, grid):
        differences = strip[..., _DIFFERENCE]
        bins = np.minimum(differences * _PER_UNIT, _BINS - 1).astype(np.int64)
        histogram += np.bincount(bins.ravel(), minlength=_BINS)
        edges = grid.columns[grid.tile_columns]
        parts = np.split(differences, edges[1:-1], axis=1)
        p95.append([float(np.percentile(part, 95)) for part in parts])
        scratch.rest()  # of a large picture, what was read stays on the disk
        sums.append(_summed(strip, grid, len(p95) - 1))
    return _concluded(np.concatenate(sums), np.array(p95), histogram, grid, _scale(source, output))


@dataclass(frozen=True, slots=True)
class _Grid:
    """Edges: of cells in source pixels, of tiles in cells."""

    rows: Floats
    columns: Floats
    tile_rows: Floats
    tile_columns: Floats

    @classmethod
    def over(cls, size: tuple[int, int]) -> _Grid:
        columns, rows = (_edges(side, CELL) for side in size)
        return cls(rows, columns, _edges(len(rows) - 1, TILE), _edges(len(columns) - 1, TILE))

    @property
    def areas(self) -> Floats:
        """Source pixels in each cell."""
        return np.outer(np.diff(self.rows), np.diff(self.columns))


def _edges(length: int, part: int) -> Floats:
    """Cuts a length evenly into parts of about the size that is wanted."""
    count = max(1, round(length / part))
    return np.arange(count + 1) * length // count


def _strips(source: Pixels, output: Pixels, grid: _Grid) -> Iterator[Floats]:
    """For every row of tiles what is to be summed, at each pixel: [h, W, 9]."""
    size = _size(source)
    edges = grid.rows[grid.tile_rows].tolist()
    for top, bottom in pairwise(edges):
        first, last = max(0, top - MARGIN), min(size[1], bottom + MARGIN)
        inner = slice(top - first, bottom - first)
        meant = _light(source[first:last])
        found = _light(reduced(output, size, (first, last)))
        lab_meant, lab_found = colour.lab(meant), colour.lab(found)
        strip = np.empty((bottom - top, size[0], 9), np.float32)
        strip[..., _ERROR] = ((found[inner] - meant[inner]) ** 2).mean(axis=-1)
        strip[..., _SSIM] = ssim_map(lab_found[..., 0], lab_meant[..., 0])[inner]
        strip[..., _DIFFERENCE] = colour.ciede2000(lab_meant[inner], lab_found[inner])
        strip[..., _LIGHT], strip[..., _MEANT] = found[inner], meant[inner]
        yield strip


def _summed(strip: Floats, grid: _Grid, row: int) -> Floats:
    """Sums over the cells of a row of tiles, [rows, columns, 9] in float64."""
    edges = grid.rows[grid.tile_rows[row] : grid.tile_rows[row + 1]]
    rows = np.add.reduceat(strip, edges - edges[0], axis=0, dtype=np.float64)
    summed: Floats = np.add.reduceat(rows, grid.columns[:-1], axis=1)
    return summed


def _concluded(
    sums: Floats, p95: Floats, histogram: Floats, grid: _Grid, scale: tuple[float, float]
) -> Check:
    areas = grid.areas
    cells = sums / areas[..., None]
    whole = sums.sum(axis=(0, 1)) / areas.sum()
    found, meant = colour.lab(cells[..., _LIGHT]), colour.lab(cells[..., _MEANT])
    drift = float(np.average(colour.ciede2000(meant, found), weights=areas))
    tiles = _tiles(sums, p95, grid, scale)
    return Check(
        psnr=_psnr(whole[_ERROR]),
        ssim=float(whole[_SSIM]),
        mean=float(whole[_DIFFERENCE]),
        p95=_percentile(histogram, 0.95),
        drift=drift,
        likeness=_correlation(found[..., 0], meant[..., 0]),
        worst=_worst(cells[..., _DIFFERENCE], grid, scale),
        tiles=tiles,
    )


def _tiles(sums: Floats, p95: Floats, grid: _Grid, scale: tuple[float, float]) -> tuple[Tile, ...]:
    by_row = np.add.reduceat(sums[..., :3], grid.tile_rows[:-1], axis=0)
    totals = np.add.reduceat(by_row, grid.tile_columns[:-1], axis=1)
    rows, columns = grid.rows[grid.tile_rows], grid.columns[grid.tile_columns]
    means = totals / np.outer(np.diff(rows), np.diff(columns))[..., None]
    return tuple(
        Tile(
            *_box(rows, columns, (y, x), scale),
            psnr=_psnr(means[y, x, _ERROR]),
            ssim=round(float(means[y, x, _SSIM]), 4),
            mean=round(float(means[y, x, _DIFFERENCE]), 3),
            p95=round(float(p95[y, x]), 3),
        )
        for y, x in np.ndindex(*means.shape[:2])
    )


def _worst(differences: Floats, grid: _Grid, scale: tuple[float, float]) -> tuple[Place, ...]:
    """The cells with the largest mean difference, no two of one tile."""
    places, tiles = [], set()
    for flat in np.argsort(differences, axis=None)[::-1]:
        y, x = divmod(int(flat), differences.shape[1])
        tile = (
            int(np.searchsorted(grid.tile_rows, y, side="right")),
            int(np.searchsorted(grid.tile_columns, x, side="right")),
        )
        if tile in tiles:
            continue
        tiles.add(tile)
        box = _box(grid.rows, grid.columns, (y, x), scale)
        places.append(Place(*box, round(float(differences[y, x]), 3)))
        if len(places) == NUM_WORST:
            break
    return tuple(places)


def _box(
    rows: Floats, columns: Floats, at: tuple[int, int], scale: tuple[float, float]
) -> tuple[int, int, int, int]:
    """x, y, width and height in pixels of the result."""
    left, right = (round(float(columns[at[1] + i]) * scale[0]) for i in (0, 1))
    top, bottom = (round(float(rows[at[0] + i]) * scale[1]) for i in (0, 1))
    return left, top, right - left, bottom - top


def _percentile(histogram: Floats, share: float) -> float:
    """Lower edge of the bin that the percentile falls into."""
    below = np.cumsum(histogram)
    return int(np.searchsorted(below, share * below[-1])) / _PER_UNIT


def _correlation(first: Floats, second: Floats) -> float:
    first, second = first - first.mean(), second - second.mean()
    power = float(np.sqrt((first**2).sum() * (second**2).sum()))
    return 1.0 if power < 1e-9 else float((first * second).sum()) / power


def _light(pixels: Pixels) -> Floats:
    """Linear light of three channels; grey has three alike."""
    return np.broadcast_to(colour.linear(pixels), (*pixels.shape[:2], 3))


def _opaque(pixels: Pixels) -> Pixels:
    pixels = pixels[..., None] if pixels.ndim == 2 else pixels
    return pixels[..., : 1 if pixels.shape[2] < 3 else 3]


def _size(pixels: Pixels) -> tuple[int, int]:
    return pixels.shape[1], pixels.shape[0]


def _scale(source: Pixels, output: Pixels) -> tuple[float, float]:
    return output.shape[1] / source.shape[1], output.shape[0] / source.shape[0]


def _psnr(error: float) -> float:
    return math.inf if error <= 0 else -10 * math.log10(float(error))


def _finite(value: float) -> float | None:
    """JSON knows no infinity: identical pictures have no PSNR."""
    return None if math.isinf(value) else round(value, 2)
