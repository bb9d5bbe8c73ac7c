"""Which parts of a photograph become HR pictures, and how large ones are reduced for that.

A crop lies anywhere, on no grid. A photograph that is far larger than the crop is often soft at
100 %, and holds large things that a small window never shows: a crop of it is cut larger and
reduced, by a factor that is drawn anew for each crop (log-uniform, from 1 to what leaves the window
half of the photograph's shorter side, but no more than `max_reduction`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from torch import Generator

from dit4sr_cli.core.types import Size
from dit4sr_cli.training.degrade import draws

_MOST = 16
_AREA = 4
"""By default a photograph has a crop for so many times a crop's area, and no more than `_MOST`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CropSettings:
    """How crops are taken.

    Args:
        size: side of a crop in pixels.
        max_reduction: the largest factor by which a crop is reduced; 1: none is.
        mirror: half of the crops are mirrored, left to right.
    """

    size: int = 512
    max_reduction: float = 4.0
    mirror: bool = False


def usual_count(photograph: Size, size: int) -> int:
    """How many crops of this side a photograph has if nothing else is said."""
    return max(1, min(_MOST, photograph.pixels // (_AREA * size**2)))


def share_out(total: int, sizes: Sequence[Size | None]) -> list[int]:
    """So many crops for photographs of these sizes, by the roots of their areas.

    By the root, so that large photographs, which are often sky, do not count for everything. What
    has no size (None) cannot be read, and gets nothing.
    """
    weights = [math.sqrt(size.pixels) if size else 0.0 for size in sizes]
    if not any(weights):
        return [0] * len(sizes)
    shares = [total * weight / sum(weights) for weight in weights]
    counts = [int(share) for share in shares]
    by_rest = sorted(range(len(shares)), key=lambda i: counts[i] - shares[i])
    for i in by_rest[: total - sum(counts)]:
        counts[i] += 1
    return counts


def cut(
    photograph: NDArray[np.uint8], settings: CropSettings, generator: Generator
) -> NDArray[np.uint8]:
    """A crop [size, size, 3] of a photograph [H, W, 3] that is at least as large."""
    size = settings.size
    height, width = photograph.shape[:2]
    largest = max(1.0, min(settings.max_reduction, min(height, width) / (2 * size)))
    side = round(size * math.exp(draws.uniform((0.0, math.log(largest)), generator)))
    top = draws.integer((0, height - side), generator)
    left = draws.integer((0, width - side), generator)
    is_mirrored = draws.chance(0.5, generator)
    window = photograph[top : top + side, left : left + side]
    if side != size:
        reduced = Image.fromarray(window).resize((size, size), Image.Resampling.LANCZOS)
        window = np.asarray(reduced)
    if settings.mirror and is_mirrored:
        window = window[:, ::-1]
    return np.ascontiguousarray(window)
