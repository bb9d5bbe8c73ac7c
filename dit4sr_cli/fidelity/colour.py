"""Light and perceived colour of sRGB pixels, and how far apart two colours look.

Arrays are [..., 3]; what comes out has the floating type of what goes in.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from dit4sr_cli.imaging.picture import Pixels

Floats: TypeAlias = NDArray[Any]

_TO_XYZ = (
    (0.4124564, 0.3575761, 0.1804375),
    (0.2126729, 0.7151522, 0.0721750),
    (0.0193339, 0.1191920, 0.9503041),
)
"""Linear sRGB to CIE XYZ."""
_D65 = tuple(sum(row) for row in _TO_XYZ)
"""White is what equal channels make, so that grey has no colour."""
_KNEE, _SLOPE = 216 / 24389, 24389 / 27
_25_TO_7 = 25.0**7
_ROUND = 2 * math.pi
_ROUNDING = 1e-9


def linear(pixels: Pixels) -> Floats:
    """uint8 or uint16 with the sRGB curve to linear light in 0..1, float32."""
    table: Floats = _linear_table(int(np.iinfo(pixels.dtype).max))[pixels]
    return table


@lru_cache(maxsize=2)
def _linear_table(top: int) -> Floats:
    value = np.arange(top + 1) / top
    curve = np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)
    return curve.astype(np.float32)


def lab(light: Floats) -> Floats:
    """Linear sRGB in 0..1 to CIELAB under D65."""
    to_xyz = np.array(_TO_XYZ, light.dtype) / np.array(_D65, light.dtype)[:, None]
    xyz = light @ to_xyz.T
    f = np.where(xyz > _KNEE, np.cbrt(xyz), (_SLOPE * xyz + 16) / 116)
    x, y, z = f[..., 0], f[..., 1], f[..., 2]
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1)


def ciede2000(first: Floats, second: Floats) -> Floats:
    """The colour difference of CIE 142-2001 between CIELAB colours; about 1 can just be seen.

    Names are those of Sharma, Wu and Dalal, "The CIEDE2000 Color-Difference Formula" (2005).
    """
    l1, a1, b1 = (first[..., i] for i in range(3))
    l2, a2, b2 = (second[..., i] for i in range(3))
    stretch = 1 + _g((np.hypot(a1, b1) + np.hypot(a2, b2)) / 2)
    a1, a2 = a1 * stretch, a2 * stretch
    c1, c2 = np.hypot(a1, b1), np.hypot(a2, b2)
    h1, h2 = _hue(a1, b1), _hue(a2, b2)
    # The other way round is shorter; exact opposites are left as they are.
    other = (np.abs(h2 - h1) > math.pi + _ROUNDING).astype(h1.dtype)
    mean_h = np.where(c1 * c2 == 0, h1 + h2, (h1 + h2) / 2 + math.pi * other)
    mean_c = (c1 + c2) / 2
    delta_h = 2 * np.sqrt(c1 * c2) * np.sin((h2 - h1) / 2) * (1 - 2 * other)
    lightness = ((l1 + l2) / 2 - 50) ** 2
    in_l = (l2 - l1) / (1 + 0.015 * lightness / np.sqrt(20 + lightness))
    in_c = (c2 - c1) / (1 + 0.045 * mean_c)
    in_h = delta_h / (1 + 0.015 * mean_c * _t(mean_h))
    blue = np.exp(-(((np.mod(mean_h, _ROUND) - math.radians(275)) / math.radians(25)) ** 2))
    rotation = -2 * np.sqrt(_share(mean_c)) * np.sin(math.radians(60) * blue)
    return np.sqrt(np.maximum(in_l**2 + in_c**2 + in_h**2 + rotation * in_c * in_h, 0))


def _hue(a: Floats, b: Floats) -> Floats:
    """In radians, 0 to 2 pi."""
    angle = np.arctan2(b, a)
    return angle + np.where(angle < 0, angle.dtype.type(_ROUND), 0)


def _g(chroma: Floats) -> Floats:
    return 0.5 * (1 - np.sqrt(_share(chroma)))


def _share(chroma: Floats) -> Floats:
    power = chroma * chroma * chroma
    power = power * power * chroma  # a power of 7 by hand is several times as fast
    return power / (power + _25_TO_7)


def _t(hue: Floats) -> Floats:
    return (
        1
        - 0.17 * np.cos(hue - math.radians(30))
        + 0.24 * np.cos(2 * hue)
        + 0.32 * np.cos(3 * hue + math.radians(6))
        - 0.20 * np.cos(4 * hue - math.radians(63))
    )
