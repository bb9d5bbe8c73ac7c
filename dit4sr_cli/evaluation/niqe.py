"""NIQE (Mittal, Soundararajan and Bovik, 2012): how far a picture is from natural ones; no weights.

The published recipe: local contrast is normalised, each block of 96 pixels is described by
generalised Gaussians at two scales, and the Gaussian of all blocks is held against the one of
undistorted photographs, whose mean and covariance (`data/niqe.npz`) are LIVE's release. Luma and
rounding are pyiqa's, so that figures can be compared.

Shapes: B blocks, S block side, 36 features: 18 at each scale.
"""

from __future__ import annotations

import math
from functools import lru_cache
from importlib import resources

import numpy as np

from dit4sr_cli.core.errors import InputError
from dit4sr_cli.evaluation.pixels import Image, Plane

BLOCK = 96
_LUMA = np.array([0.299, 0.587, 0.114])
_WINDOW, _SIGMA = 7, 7 / 6
_NEIGHBOURS = ((0, 1), (1, 0), (1, 1), (1, -1))


def niqe(image: Image) -> float:
    """Distance to natural photographs, lower is better; needs two whole blocks.

    Raises:
        InputError: the picture has fewer than two blocks of 96 pixels.
    """
    rows, columns = image.shape[0] // BLOCK, image.shape[1] // BLOCK
    if rows * columns < 2:
        size = f"{image.shape[1]}x{image.shape[0]}"
        raise InputError(
            f"NIQE needs two blocks of {BLOCK}x{BLOCK} pixels, not {size}",
            hint="name the metrics without it, as in --metrics psnr,ssim",
        )
    plane = np.rint(image.astype(np.float64) @ _LUMA)[: rows * BLOCK, : columns * BLOCK]
    features = [_features(_blocks(_normalized(plane), BLOCK))]
    features.append(_features(_blocks(_normalized(_halved(plane)), BLOCK // 2)))
    return _distance(np.concatenate(features, axis=1))


def _distance(features_b36: Plane) -> float:
    """Eq. 10 of the paper; flat blocks, which have no statistics, are left out."""
    mean, covariance = _natural()
    known = features_b36[~np.isnan(features_b36).any(axis=1)]
    if len(known) < 2:
        return math.nan
    difference = mean - np.nanmean(features_b36, axis=0)
    spread = np.linalg.pinv((covariance + np.cov(known, rowvar=False)) / 2)
    return math.sqrt(float(difference @ spread @ difference))


@lru_cache(maxsize=1)
def _natural() -> tuple[Plane, Plane]:
    place = resources.files("dit4sr_cli.evaluation") / "data" / "niqe.npz"
    with resources.as_file(place) as path, np.load(path) as values:
        return values["mean"], values["covariance"]


def _normalized(plane: Plane) -> Plane:
    """Each pixel less the local mean, over the local deviation (eq. 1)."""
    mean = _smooth(plane)
    deviation = np.sqrt(np.abs(_smooth(plane**2) - mean**2))
    return (plane - mean) / (deviation + 1)


def _smooth(plane: Plane) -> Plane:
    offsets = np.arange(_WINDOW) - _WINDOW // 2
    weights = np.exp(-(offsets**2) / (2 * _SIGMA**2))
    padded = np.pad(plane, _WINDOW // 2, mode="edge")
    for axis in (0, 1):
        windows = np.lib.stride_tricks.sliding_window_view(padded, _WINDOW, axis=axis)
        padded = windows @ (weights / weights.sum())
    return padded


def _halved(plane: Plane) -> Plane:
    """Half the size, as MATLAB's imresize does it: an antialiased cubic, mirrored at the edges."""
    at = np.abs((np.arange(8) - 3.5) / 2)
    near = 1.5 * at**3 - 2.5 * at**2 + 1
    far = -0.5 * at**3 + 2.5 * at**2 - 4 * at + 2
    weights = np.where(at <= 1, near, far)
    weights /= weights.sum()
    for axis in (0, 1):
        sides = [(3, 3) if one == axis else (0, 0) for one in (0, 1)]
        padded = np.pad(plane, sides, mode="symmetric")
        windows = np.lib.stride_tricks.sliding_window_view(padded, 8, axis=axis)
        plane = windows.take(np.arange(0, windows.shape[axis], 2), axis=axis) @ weights
    return plane


def _blocks(plane: Plane, side: int) -> Plane:
    """[H, W] to [B, S, S]."""
    rows, columns = plane.shape[0] // side, plane.shape[1] // side
    return plane.reshape(rows, side, columns, side).swapaxes(1, 2).reshape(-1, side, side)


def _features(blocks_bss: Plane) -> Plane:
    """[B, 18]: shape and scale of the pixels, then of their products with four neighbours."""
    shape, left, right = _fitted(blocks_bss)
    columns = [shape, (left + right) / 2]
    for shift in _NEIGHBOURS:
        shape, left, right = _fitted(blocks_bss * np.roll(blocks_bss, shift, axis=(1, 2)))
        mean = (right - left) * np.exp(_lgamma(2 / shape) - _lgamma(1 / shape))
        columns += [shape, mean, left, right]
    return np.stack(columns, axis=1)


def _fitted(blocks_bss: Plane) -> tuple[Plane, Plane, Plane]:
    """Shape and both scales [B] of an asymmetric generalised Gaussian, by moments (eq. 7)."""
    with np.errstate(divide="ignore", invalid="ignore"):
        left, right = (
            np.sqrt((blocks_bss**2 * side).sum((1, 2)) / side.sum((1, 2)))
            for side in (blocks_bss < 0, blocks_bss > 0)
        )
        skew = left / right
        ratio = np.abs(blocks_bss).mean((1, 2)) ** 2 / (blocks_bss**2).mean((1, 2))
        ratio *= (skew**3 + 1) * (skew + 1) / (skew**2 + 1) ** 2
    shape = _shape_of(ratio)
    scale = np.exp((_lgamma(1 / shape) - _lgamma(3 / shape)) / 2)
    return shape, left * scale, right * scale


def _shape_of(ratio: Plane) -> Plane:
    """The tabulated shape whose moments are nearest; NaN for a flat block."""
    shapes, ratios = _table()
    after = np.clip(np.searchsorted(ratios, ratio), 1, len(ratios) - 1)
    nearer = after - (ratio - ratios[after - 1] < ratios[after] - ratio)
    return np.where(np.isnan(ratio), np.nan, shapes[nearer])


@lru_cache(maxsize=1)
def _table() -> tuple[Plane, Plane]:
    shapes = np.arange(0.2, 10.001, 0.001)
    return shapes, np.exp(2 * _lgamma(2 / shapes) - _lgamma(1 / shapes) - _lgamma(3 / shapes))


def _lgamma(values: Plane) -> Plane:
    flat = [math.lgamma(value) if value == value else math.nan for value in values.ravel()]
    return np.array(flat).reshape(values.shape)
