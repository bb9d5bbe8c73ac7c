"""Weights of a tile's cells when tiles are blended."""

from __future__ import annotations

import math
from functools import lru_cache

import torch
from torch import Tensor

from dit4sr_cli.core.types import Grid
from dit4sr_cli.tiles.grid import Tiling

_VARIANCE = 0.01


def window(height: int, width: int, tiling: Tiling) -> Tensor:
    """Weights [height, width], float64, of tiles of this size."""
    if Grid(tiling.grid) is Grid.REFERENCE:
        return gaussian_reference(height, width)
    return ramp(height, width, tiling.overlap)


@lru_cache(maxsize=32)
def ramp(height: int, width: int, overlap: int) -> Tensor:
    """Weights [height, width] that fade out over the overlap, those of neighbours adding up."""
    return _slope(height, overlap)[:, None] * _slope(width, overlap)[None, :]


@lru_cache(maxsize=32)
def gaussian_reference(height: int, width: int) -> Tensor:
    """The released code's weights [height, width]: centred half a cell low along y."""
    return _profile(height, height / 2)[:, None] * _profile(width, (width - 1) / 2)[None, :]


def _slope(length: int, overlap: int) -> Tensor:
    place = torch.arange(length, dtype=torch.float64)
    to_edge = torch.minimum(place, length - 1 - place) + 0.5
    return (to_edge / max(1, overlap)).clamp(max=1.0)


def _profile(length: int, middle: float) -> Tensor:
    offset = torch.arange(length, dtype=torch.float64) - middle
    density = torch.exp(-(offset**2) / (length**2 * 2 * _VARIANCE))
    return density / math.sqrt(2 * math.pi * _VARIANCE)
