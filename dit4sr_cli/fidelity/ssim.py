"""Structural similarity at every pixel, in single precision, for a strip of a picture."""

from __future__ import annotations

import numpy as np

from dit4sr_cli.fidelity.colour import Floats

MARGIN = 5
"""Rows above and below that a pixel depends on."""
_RANGE = 100.0
_C1, _C2 = (0.01 * _RANGE) ** 2, (0.03 * _RANGE) ** 2
_OFFSETS = np.arange(-MARGIN, MARGIN + 1)
_WEIGHTS = np.exp(-(_OFFSETS**2) / (2 * 1.5**2))
_WEIGHTS = (_WEIGHTS / _WEIGHTS.sum()).astype(np.float32)


def ssim_map(first: Floats, second: Floats) -> Floats:
    """SSIM of two [H, W] planes in 0..100; what lies outside is mirrored."""
    middle = np.float32(_RANGE / 2)
    # Around zero, so that the variance is not a small difference of large numbers.
    x, y = first - middle, second - middle
    x_mean, y_mean, xx, yy, xy = _smooth(np.stack([x, y, x * x, y * y, x * y]))
    variances = np.maximum(xx - x_mean**2, 0) + np.maximum(yy - y_mean**2, 0)
    covariance = xy - x_mean * y_mean
    x_mean, y_mean = x_mean + middle, y_mean + middle
    means = (2 * x_mean * y_mean + _C1) / (x_mean**2 + y_mean**2 + _C1)
    likeness: Floats = means * (2 * covariance + _C2) / (variances + _C2)
    return likeness


def _smooth(planes: Floats) -> Floats:
    """Gaussian mean of [N, H, W] over 11 x 11 pixels."""
    for axis in (1, 2):
        length = planes.shape[axis]
        widths = [(MARGIN, MARGIN) if i == axis else (0, 0) for i in range(3)]
        padded = np.moveaxis(np.pad(planes, widths, mode="symmetric"), axis, 0)
        total = padded[:length] * _WEIGHTS[0]
        for i in range(1, len(_WEIGHTS)):
            total += padded[i : i + length] * _WEIGHTS[i]
        planes = np.moveaxis(total, 0, axis)
    return planes
