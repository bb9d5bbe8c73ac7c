"""Starting noise as a function of seed and absolute position alone.

A counter-based generator fills fixed cells of the plane, so any window of it can be made apart:
tiles, batches, windows and resumed runs all see the same noise.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from dit4sr_cli.core.types import Box

CELL = 32
"""Side of the squares that are drawn at once, in latent cells."""


def position_noise(seed: int, channels: int, box: Box) -> Tensor:
    """Standard normal noise [1, channels, box.height, box.width] on the CPU, float32."""
    out = np.empty((channels, box.height, box.width), dtype=np.float32)
    for row in range(box.y // CELL, -(-(box.y + box.height) // CELL)):
        for column in range(box.x // CELL, -(-(box.x + box.width) // CELL)):
            _fill(out, box, row, column, _cell(seed, row, column, channels))
    return torch.from_numpy(out)[None]


def _cell(seed: int, row: int, column: int, channels: int) -> np.ndarray:
    # The counter is 256 bits wide: row and column take its upper half, the draws the lower one.
    generator = np.random.Philox(key=seed, counter=[0, 0, row, column])
    shape = (channels, CELL, CELL)
    return np.random.Generator(generator).standard_normal(shape, dtype=np.float32)


def _fill(out: np.ndarray, box: Box, row: int, column: int, cell: np.ndarray) -> None:
    """Copy the part of a cell that lies in the box."""
    top, left = row * CELL - box.y, column * CELL - box.x
    y0, x0 = max(0, top), max(0, left)
    y1, x1 = min(box.height, top + CELL), min(box.width, left + CELL)
    out[:, y0:y1, x0:x1] = cell[:, y0 - top : y1 - top, x0 - left : x1 - left]
