"""The bicubic kernel of Pillow, which the model was trained with, for 8 and 16 bits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from PIL import Image

from dit4sr_cli.core.types import Box, Size
from dit4sr_cli.imaging.picture import Pixels

Region: TypeAlias = "tuple[float, float, float, float]"
"""Left, top, right and bottom, between pixels or at them."""


def bicubic(pixels: Pixels, size: tuple[int, int], region: Region | None = None) -> Pixels:
    """Resize [H, W] or [H, W, C], or a region of it, to (width, height); antialiased.

    uint8 is exactly Pillow's result; uint16 goes through the same kernel in float, rounded.
    Channels go one by one: Pillow treats them alike, and so no RGBX copy is made.
    """
    if pixels.ndim == 2:
        return _plane(pixels, size, region)
    width, height = size
    out = np.empty((height, width, pixels.shape[2]), pixels.dtype)
    for channel in range(pixels.shape[2]):
        out[..., channel] = _plane(pixels[..., channel], size, region)
    return out


def _plane(plane: Pixels, size: tuple[int, int], region: Region | None) -> Pixels:
    if plane.dtype == np.uint8:
        image = Image.fromarray(np.ascontiguousarray(plane))
        return np.asarray(image.resize(size, Image.Resampling.BICUBIC, region))
    assert plane.dtype == np.uint16, plane.dtype
    image = Image.fromarray(plane.astype(np.float32))
    result = np.array(image.resize(size, Image.Resampling.BICUBIC, region))
    np.rint(result, out=result)
    np.clip(result, 0, 65535, out=result)  # the kernel overshoots at edges
    return result.astype(np.uint16)


# ------------------------------------------------------------------- a part of it
#
# Pillow's arithmetic, step by step: a part of a picture is to be the same to the bit as that part
# of the whole, and Pillow's own `box` has only 32 bits for where the part is.

_RADIUS = 2.0  # of the cubic kernel
_BITS = 22  # of Pillow's fixed-point weights for 8 bits
_CACHED = 1 << 16  # pixels worked on at once


def bicubic_part(pixels: Pixels, size: tuple[int, int], part: Box) -> Pixels:
    """What `bicubic(pixels, size)` has in a box, from the pixels around it alone."""
    whole = Size(pixels.shape[1], pixels.shape[0])
    box = needed_for(whole, size, part)
    needed = pixels[box.y : box.y + box.height, box.x : box.x + box.width]
    return bicubic_of_part(needed, whole, size, part)


def needed_for(whole: Size, size: tuple[int, int], part: Box) -> Box:
    """Which pixels of a picture a box of the resized one is made of."""
    columns = _taps(whole.width, size[0], part.x, part.x + part.width)
    rows = _taps(whole.height, size[1], part.y, part.y + part.height)
    return Box(columns.first, rows.first, columns.last - columns.first, rows.last - rows.first)


def bicubic_of_part(needed: Pixels, whole: Size, size: tuple[int, int], part: Box) -> Pixels:
    """`bicubic_part` of a picture of which only the pixels of `needed_for` are there."""
    columns = _taps(whole.width, size[0], part.x, part.x + part.width)
    rows = _taps(whole.height, size[1], part.y, part.y + part.height)
    return np.stack(
        [_part(needed[..., channel], columns, rows) for channel in range(needed.shape[2])], axis=-1
    )


@dataclass(frozen=True, slots=True)
class _Taps:
    """Where each result comes from along one axis.

    Args:
        first, last: of the input, all that is needed.
        starts: first input of each result, counted from `first`.
        weights: [results, taps], float64; no taps: the axis keeps its length.
    """

    first: int
    last: int
    starts: Pixels
    weights: Pixels


def _taps(length: int, new: int, start: int, stop: int) -> _Taps:
    """Pillow's `precompute_coeffs`, for the results from start to stop."""
    if length == new:
        return _Taps(start, stop, np.arange(stop - start), np.empty((stop - start, 0)))
    scale = length / new
    filterscale = max(scale, 1.0)
    support = _RADIUS * filterscale
    centers = (np.arange(start, stop) + 0.5) * scale
    lows = np.maximum((centers - support + 0.5).astype(np.int64), 0)
    highs = np.minimum((centers + support + 0.5).astype(np.int64), length)
    taps = np.arange(int((highs - lows).max()))
    at = (taps + lows[:, None] - centers[:, None] + 0.5) * (1.0 / filterscale)
    weights = np.where(taps < (highs - lows)[:, None], _cubic(at), 0.0)
    total = np.zeros(len(centers))
    for tap in taps:  # one after the other, as Pillow adds them
        total += weights[:, tap]
    weights /= total[:, None]
    first, last = int(lows.min()), int(highs.max())
    return _Taps(first, last, lows - first, weights)


def _cubic(at: Pixels) -> Pixels:
    x = np.abs(at)
    near = ((-0.5 + 2.0) * x - (-0.5 + 3.0)) * x * x + 1
    far = (((x - 5) * x + 8) * x - 4) * -0.5
    return np.where(x < 1, near, np.where(x < 2, far, 0.0))


def _part(plane: Pixels, columns: _Taps, rows: _Taps) -> Pixels:
    """Columns first, then rows, as Pillow does; rounded after each for 8 bits."""
    down = _along(_along(plane, columns, 1), rows, 0)
    if plane.dtype == np.uint8:
        return down
    np.rint(down, out=down)
    return np.clip(down, 0, 65535, out=down).astype(np.uint16)


def _along(plane: Pixels, taps: _Taps, axis: int) -> Pixels:
    """One pass: uint8 in Pillow's fixed point, anything else in double precision to float32."""
    eight = plane.dtype == np.uint8
    if not taps.weights.size:
        return plane if eight else plane.astype(np.float32)
    weights = taps.weights
    if eight:
        weights = np.trunc(weights * (1 << _BITS) + np.copysign(0.5, weights)).astype(np.int32)
    values = plane.astype(np.int32 if eight else np.float64)
    shape = list(plane.shape)
    shape[axis] = len(weights)
    out = np.empty(shape, np.uint8 if eight else np.float32)
    step = max(1, _CACHED * shape[axis] // out.size)
    for start in range(0, shape[axis], step):
        some = slice(start, start + step)
        total = _weighted(values, taps.starts[some], weights[some], axis)
        if eight:
            total = np.clip(total >> _BITS, 0, 255, out=total)
        out[(slice(None), some) if axis else some] = total
    return out


def _weighted(values: Pixels, starts: Pixels, weights: Pixels, axis: int) -> Pixels:
    """Sums over the taps, in their order."""
    shape = (-1, 1) if axis == 0 else (1, -1)
    total: Pixels | None = None
    for tap in range(weights.shape[1]):  # beyond the last one the weights are 0
        taken = values.take(starts + tap, axis, mode="clip")
        taken *= weights[:, tap].reshape(shape)
        total = taken if total is None else np.add(total, taken, out=total)
    assert total is not None
    if total.dtype == np.int32:
        total += 1 << (_BITS - 1)
    return total
