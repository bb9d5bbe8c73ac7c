"""Weights of a tile's cells when tiles are blended."""

from __future__ import annotations

import math
from functools import lru_cache

import torch
from torch import Tensor

from dit4sr_cli.core.types import Grid

_VARIANCE = 0.01


def window(height: int, width: int, grid: Grid | str) -> Tensor:
    """Weights [height, width], float64, for a tiling's grid kind."""
    reference = Grid(grid) is Grid.REFERENCE
    return gaussian_reference(height, width) if reference else gaussian(height, width)


@lru_cache(maxsize=32)
def gaussian(height: int, width: int) -> Tensor:
    """Symmetric Gaussian weights [height, width]."""
    return _outer(height, (height - 1) / 2, width, (width - 1) / 2)


@lru_cache(maxsize=32)
def gaussian_reference(height: int, width: int) -> Tensor:
    """The released code's weights [height, width]: centred half a cell low along y."""
    return _outer(height, height / 2, width, (width - 1) / 2)


def _outer(height: int, mid_y: float, width: int, mid_x: float) -> Tensor:
    return _profile(height, mid_y)[:, None] * _profile(width, mid_x)[None, :]


def _profile(length: int, middle: float) -> Tensor:
    offset = torch.arange(length, dtype=torch.float64) - middle
    density = torch.exp(-(offset**2) / (length**2 * 2 * _VARIANCE))
    return density / math.sqrt(2 * math.pi * _VARIANCE)
