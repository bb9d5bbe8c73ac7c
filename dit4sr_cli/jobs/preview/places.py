"""Where in a picture to look: a place that is given, or the one with most detail."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from dit4sr_cli.core.errors import UsageError
from dit4sr_cli.core.types import Box, Size
from dit4sr_cli.imaging.picture import Pixels

DEFAULT_SIZE = Size(128, 128)
MIN_SIDE = 8
_LUMA_SIDE = 1024
"""Longest side of what is searched for detail, at most twice that."""
_PER_WINDOW = 8
"""Places that are tried along the side of a window."""


def size_of(text: str) -> Size:
    """`128` or `160x90`, in pixels of the input.

    Raises:
        UsageError: it is not a size, or too small to see anything.
    """
    found = re.fullmatch(r"(\d{1,6})(?:[xX](\d{1,6}))?", text.strip())
    if not found:
        raise UsageError(f"--size {text}: not a size", hint="write 128, or 160x90")
    size = Size(int(found[1]), int(found[2] or found[1]))
    if min(size.width, size.height) < MIN_SIDE:
        raise UsageError(f"--size {text}: at least {MIN_SIDE} pixels a side are needed")
    return size


def point_of(text: str) -> tuple[float, float]:
    """`0.3,0.6` or `1200,800`.

    Raises:
        UsageError: it is not two numbers.
    """
    parts = text.split(",")
    try:
        x, y = (float(part) for part in parts)
    except ValueError:
        hint = "write X,Y as parts of the sides, 0.3,0.6, or in pixels, 1200,800"
        raise UsageError(f"--at {text}: not a place", hint=hint) from None
    return x, y


def box_at(point: tuple[float, float], size: Size, picture: Size) -> Box:
    """A box of a size around a point, moved as far as it has to be to lie in the picture.

    Args:
        point: in parts of the sides if neither number is above 1, else in pixels.
        size: of the box; where the picture is smaller, as large as that.
        picture: its size.

    Raises:
        UsageError: the point is not in the picture.
    """
    x, y = point
    if max(point) <= 1:
        x, y = x * picture.width, y * picture.height
    if not (0 <= x <= picture.width and 0 <= y <= picture.height):
        raise UsageError(
            f"--at {point[0]:g},{point[1]:g}: outside the picture, which is {picture} pixels",
            hint="count from the left and from the top",
        )
    width, height = min(size.width, picture.width), min(size.height, picture.height)
    left = min(max(0, round(x - width / 2)), picture.width - width)
    top = min(max(0, round(y - height / 2)), picture.height - height)
    return Box(left, top, width, height)


def boxes_at(points: Sequence[tuple[float, float]], size: Size, pixels: Pixels) -> list[Box]:
    """A box for each point; without a point, one where most detail is.

    Raises:
        UsageError: a point is not in the picture.
    """
    picture = Size(pixels.shape[1], pixels.shape[0])
    if not points:
        return [most_detail(pixels, size)]
    return list(dict.fromkeys(box_at(point, size, picture) for point in points))


def most_detail(pixels: Pixels, size: Size) -> Box:
    """The box in which brightness changes most from pixel to pixel; the middle, if none does."""
    step = max(1, min(pixels.shape[:2]) // _LUMA_SIDE, max(pixels.shape[:2]) // (2 * _LUMA_SIDE))
    luma = _reduced(pixels, step)
    picture = Size(pixels.shape[1], pixels.shape[0])
    width = min(luma.shape[1], max(1, size.width // step))
    height = min(luma.shape[0], max(1, size.height // step))
    sums = _window_sums(_change(luma), width, height)
    tops = _tried(sums.shape[0], height)
    lefts = _tried(sums.shape[1], width)
    found = sums[np.ix_(tops, lefts)]
    # Of equal ones the nearest to the middle: a plain picture is looked at there.
    off_x = np.abs(lefts + width / 2 - luma.shape[1] / 2)
    off_y = np.abs(tops + height / 2 - luma.shape[0] / 2)
    far = off_y[:, None] + off_x[None, :]
    best = np.lexsort((far.ravel(), -found.ravel().round(6)))[0]
    row, column = divmod(int(best), len(lefts))
    middle = (lefts[column] + width / 2) * step, (tops[row] + height / 2) * step
    return box_at(_in_pixels(middle, picture), size, picture)


def _in_pixels(point: tuple[float, float], picture: Size) -> tuple[float, float]:
    """A point that is not taken for parts of the sides."""
    if max(point) <= 1:
        return point[0] / picture.width, point[1] / picture.height
    return min(point[0], picture.width), min(point[1], picture.height)


def _reduced(pixels: Pixels, step: int) -> Pixels:
    """Brightness in 0..1, means of step x step pixels."""
    height, width = (side // step * step for side in pixels.shape[:2])
    top = float(np.iinfo(pixels.dtype).max)
    rows = [
        pixels[y : y + step, :width].mean(axis=(0, 2)).reshape(-1, step).mean(axis=1)
        for y in range(0, height, step)
    ]
    return np.stack(rows) / top


def _change(luma: Pixels) -> Pixels:
    change = np.zeros_like(luma)
    change[:, 1:] += np.abs(np.diff(luma, axis=1))
    change[1:] += np.abs(np.diff(luma, axis=0))
    return change


def _window_sums(values: Pixels, width: int, height: int) -> Pixels:
    """The sum in every window, [H - height + 1, W - width + 1]."""
    total = np.pad(values.cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    down = total[height:] - total[:-height]
    return down[:, width:] - down[:, :-width]


def _tried(count: int, length: int) -> Pixels:
    """Some of the first `count` numbers, the last and the middle one among them."""
    some = np.arange(0, count, max(1, length // _PER_WINDOW))
    return np.unique(np.append(some, [(count - 1) // 2, count - 1]))
