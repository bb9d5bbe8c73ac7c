"""Makes a result agree with its source: reduced again, it becomes the source.

Back-projection: what the reduced result lacks is enlarged and added, a few times. Only low
frequencies change, for an enlarged difference has no others; the detail that was made up stays.

Both ways go through Pillow's bicubic, as the model's inputs did, as matrices: rows and columns of
any window are cut out of them, so that windows give what the whole picture would.
Shapes: C channels; h w source pixels; H W result pixels.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dit4sr_cli.core.types import Box, Size

Array: TypeAlias = NDArray[Any]

ITERATIONS = 4
WINDOW = 128
"""Side of a window in source pixels, without its margin."""
_REACH = 2
"""Of the kernel, in pixels of the smaller picture; there and back is twice that."""


def project(output: Array, source: Array, *, strength: float, iterations: int = ITERATIONS) -> None:
    """Pull a result towards its source, in place.

    Args:
        output: uint8 or uint16 [H, W, C].
        source: [h, w, C] of the same type, not larger.
        strength: 0 leaves everything as it is, 1 goes all the way.
        iterations: the more, the finer the structure that agrees.
    """
    if strength <= 0:
        return
    # A window reads what its neighbours have not changed yet: results wait for one row of them.
    waiting: list[tuple[Box, Array]] = []
    for boxes in _rows(source.shape[1], source.shape[0]):
        done = [
            window(output, source, box, strength=strength, iterations=iterations) for box in boxes
        ]
        _put(output, waiting)
        waiting = done
    _put(output, waiting)


@torch.inference_mode()
def window(
    output: Array,
    source: Array,
    box: Box,
    *,
    strength: float,
    iterations: int = ITERATIONS,
    whole: Size | None = None,
) -> tuple[Box, Array]:
    """The projected pixels of one box of the source, and where in the output they belong.

    Args:
        output: [H, W, C]; or, with `whole`, its pixels in the box of `needed_for` alone.
        source: [h, w, C], the whole.
        box: of the source.
        strength: 0 to 1.
        iterations: the more, the finer the structure that agrees.
        whole: size of the output if only a part of it is there.
    """
    size = whole or Size(output.shape[1], output.shape[0])
    rows = _Axis.over(box.y, box.height, source.shape[0], size.height, iterations)
    columns = _Axis.over(box.x, box.width, source.shape[1], size.width, iterations)
    target = _planes(source[rows.small, columns.small])
    needed = output if whole else output[rows.large, columns.large]
    start = image = _planes(needed)
    for _ in range(iterations):
        lacking = target - rows.down @ image @ columns.down.T
        image = (image + rows.up @ lacking @ columns.up.T).clamp_(0, 1)
    image = torch.lerp(start, image, min(strength, 1.0))[:, rows.inner, columns.inner]
    height, width = image.shape[1:]
    x, y = columns.large.start + columns.inner.start, rows.large.start + rows.inner.start
    top = float(np.iinfo(output.dtype).max)
    pixels = (image * top).round_().permute(1, 2, 0).numpy().astype(output.dtype)
    return Box(x, y, width, height), pixels


def needed_for(box: Box, source: Size, output: Size, *, iterations: int = ITERATIONS) -> Box:
    """Which pixels of the output `window` reads for a box of the source."""
    rows = _Axis.over(box.y, box.height, source.height, output.height, iterations).large
    columns = _Axis.over(box.x, box.width, source.width, output.width, iterations).large
    return Box(columns.start, rows.start, columns.stop - columns.start, rows.stop - rows.start)


@dataclass(frozen=True, slots=True)
class _Axis:
    """Rows, or columns, of a window with its margin.

    Args:
        small, large: where it lies in the source and in the output.
        inner: the part of `large` that is not margin.
        down, up: the matrices from one to the other.
    """

    small: slice
    large: slice
    inner: slice
    down: Tensor
    up: Tensor

    @classmethod
    def over(cls, start: int, count: int, length: int, new_length: int, iterations: int) -> _Axis:
        # What the cut edges do not know spreads by this much, and is then left out.
        margin = 2 * _REACH * iterations + _REACH + 1
        small = max(0, start - margin), min(length, start + count + margin)
        large = small[0] * new_length // length, small[1] * new_length // length
        inner = start * new_length // length, (start + count) * new_length // length
        return cls(
            small=slice(*small),
            large=slice(*large),
            inner=slice(inner[0] - large[0], inner[1] - large[0]),
            down=bicubic_matrix(new_length, length, small, large),
            up=bicubic_matrix(length, new_length, large, small),
        )


def bicubic_matrix(
    length: int, new_length: int, rows: tuple[int, int], columns: tuple[int, int]
) -> Tensor:
    """Rows and columns of the matrix that resizes a line as Pillow does, antialiased if it shrinks.

    Args:
        length: of the line.
        new_length: of the resized line.
        rows: which pixels of the resized line.
        columns: which pixels of the line; the others count as nothing.
    """
    factor = length / new_length
    stretch = max(factor, 1.0)
    center = (torch.arange(*rows, dtype=torch.float64)[:, None] + 0.5) * factor
    # Over all that the kernel reaches, so that rows are normed before they are cut.
    first = max(0, math.floor((rows[0] + 0.5) * factor - _REACH * stretch))
    last = min(length, math.ceil((rows[1] - 0.5) * factor + _REACH * stretch))
    pixel = torch.arange(min(first, columns[0]), max(last, columns[1]), dtype=torch.float64) + 0.5
    weights = _kernel((pixel - center) / stretch)
    weights /= weights.sum(dim=1, keepdim=True)
    offset = min(first, columns[0])
    return weights[:, columns[0] - offset : columns[1] - offset].float()


def _kernel(x: Tensor) -> Tensor:
    """Keys' cubic with a = -0.5."""
    x = x.abs()
    near = (1.5 * x - 2.5) * x * x + 1
    far = ((-0.5 * x + 2.5) * x - 4) * x + 2
    return torch.where(x < 1, near, torch.where(x < 2, far, torch.zeros_like(x)))


def _rows(width: int, height: int) -> Iterator[list[Box]]:
    """Windows of a source, row by row."""
    for y in range(0, height, WINDOW):
        rows = min(WINDOW, height - y)
        yield [Box(x, y, min(WINDOW, width - x), rows) for x in range(0, width, WINDOW)]


def _put(output: Array, windows: list[tuple[Box, Array]]) -> None:
    for box, pixels in windows:
        output[box.y : box.y + box.height, box.x : box.x + box.width] = pixels


def _planes(pixels: Array) -> Tensor:
    """[C, H, W] in 0..1."""
    planes = torch.from_numpy(pixels.astype(np.float32)).permute(2, 0, 1)
    return planes / float(np.iinfo(pixels.dtype).max)
