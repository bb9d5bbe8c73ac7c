"""Figures from pixels alone, in numpy; pictures are [H, W, 3] uint8 sRGB.

PSNR and SSIM are BasicSR's: on the luma of BT.601, four border pixels left out.
"""

from __future__ import annotations

import math
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

BORDER = 4
"""Pixels left out on each side by PSNR and SSIM."""
COLOURS = "Y of BT.601 (16..235) for PSNR and SSIM, rounded grey (YIQ) for NIQE, else sRGB in 0..1"

Image: TypeAlias = NDArray[np.uint8]
Plane: TypeAlias = NDArray[np.float64]

_LUMA = np.array([65.481, 128.553, 24.966]) / 255
_SSIM_WINDOW, _SSIM_SIGMA = 11, 1.5
_C1, _C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2


def size(image: Image) -> str:
    """Width and height, as people write them."""
    return f"{image.shape[1]}x{image.shape[0]}"


def luma(image: Image) -> Plane:
    """Y of BT.601 in 16..235, not rounded."""
    return image.astype(np.float64) @ _LUMA + 16


def psnr(result: Image, reference: Image) -> float:
    """Peak signal-to-noise ratio of the luma in dB; infinite for identical pictures."""
    error = float(np.mean((_inner(result) - _inner(reference)) ** 2))
    return math.inf if error == 0 else 10 * math.log10(255**2 / error)


def ssim(result: Image, reference: Image) -> float:
    """Structural similarity of the luma, 1 for identical pictures."""
    x, y = _inner(result), _inner(reference)
    mean_x, mean_y = _smooth(x), _smooth(y)
    var_x = _smooth(x * x) - mean_x**2
    var_y = _smooth(y * y) - mean_y**2
    covariance = _smooth(x * y) - mean_x * mean_y
    likeness = (2 * mean_x * mean_y + _C1) * (2 * covariance + _C2)
    return float(np.mean(likeness / ((mean_x**2 + mean_y**2 + _C1) * (var_x + var_y + _C2))))


def sharpness(result: Image, reference: Image) -> float:
    """Laplacian energy as a share of the reference's: below 1 softer, above 1 sharper or noisy."""
    wanted = _laplacian_energy(reference)
    found = _laplacian_energy(result)
    if wanted == 0:
        return 1.0 if found == 0 else math.inf
    return found / wanted


def _inner(image: Image) -> Plane:
    """The luma without the border, where an enlargement has to guess what lies outside."""
    if min(image.shape[:2]) < _SSIM_WINDOW + 2 * BORDER:
        return luma(image)
    return luma(image)[BORDER:-BORDER, BORDER:-BORDER]


def _smooth(plane: Plane) -> Plane:
    """Gaussian mean over windows that lie inside; a smaller plane gets a smaller window."""
    for axis in (0, 1):
        side = min(_SSIM_WINDOW, plane.shape[axis])
        offsets = np.arange(side) - (side - 1) / 2
        weights = np.exp(-(offsets**2) / (2 * _SSIM_SIGMA**2))
        windows = np.lib.stride_tricks.sliding_window_view(plane, side, axis=axis)
        plane = windows @ (weights / weights.sum())
    return plane


def _laplacian_energy(image: Image) -> float:
    y = np.pad(luma(image), 1, mode="edge")
    sides = y[:-2, 1:-1] + y[2:, 1:-1] + y[1:-1, :-2] + y[1:-1, 2:]
    return float(np.mean((4 * y[1:-1, 1:-1] - sides) ** 2))
