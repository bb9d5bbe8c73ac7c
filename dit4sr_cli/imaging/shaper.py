"""Colour profiles made of three curves and a matrix (or one curve for grey), computed exactly.

Adobe RGB, Display P3, ProPhoto and nearly every camera's profile are such. libvips asks lcms for
16-bit Lab, and lcms then samples the curves so coarsely that the deepest shadows lose two levels.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from dit4sr_cli.imaging.picture import Pixels

_STEPS = 65536
_CHUNK = 1 << 19  # pixels converted at a time
_SCALE = np.linspace(0, 1, _STEPS)


@dataclass(frozen=True, slots=True, eq=False)
class Shaper:
    """A profile's arithmetic.

    Args:
        linear: for each channel the light of every 16-bit code, [C, 65536].
        coded: for each channel the 16-bit code of every step of the square root of light, which
            is fine enough for shadows as light itself is not.
        matrix: from light to XYZ, [3, 3]; the unit for grey.
    """

    linear: Pixels
    coded: Pixels
    matrix: Pixels


@lru_cache(maxsize=32)
def parse(icc: bytes) -> Shaper | None:
    """The arithmetic of a profile, None if it has tables instead, or damage."""
    try:
        tags = _tags(icc)
        if tags.keys() & {b"A2B0", b"A2B1"}:
            return None
        if icc[16:20] == b"GRAY":
            return _shaper([tags[b"kTRC"]], np.eye(1))
        curves = [tags[name] for name in (b"rTRC", b"gTRC", b"bTRC")]
        matrix = np.stack([_xyz(tags[name]) for name in (b"rXYZ", b"gXYZ", b"bXYZ")], axis=1)
        np.linalg.inv(matrix)
        return _shaper(curves, matrix)
    except (KeyError, ValueError, struct.error, np.linalg.LinAlgError):
        return None


def convert(pixels: Pixels, source: Shaper, target: Shaper, depth: int) -> Pixels:
    """[H, W, C] from one profile to another; what the target cannot show is clipped."""
    wide = np.uint16 if depth == 16 else np.uint8
    out = np.empty(pixels.shape, wide)
    matrix = (np.linalg.inv(target.matrix) @ source.matrix).astype(np.float32)
    rows = max(1, _CHUNK // pixels.shape[1])
    for top in range(0, pixels.shape[0], rows):
        out[top : top + rows] = _convert(pixels[top : top + rows], source, target, matrix, depth)
    return out


def _convert(pixels: Pixels, source: Shaper, target: Shaper, matrix: Pixels, depth: int) -> Pixels:
    step = 257 if pixels.itemsize == 1 else 1
    light = np.stack(
        [table[::step][pixels[..., i]] for i, table in enumerate(source.linear)], axis=-1
    )
    light = light @ matrix.T
    np.clip(light, 0, 1, out=light)
    np.sqrt(light, out=light)
    light *= _STEPS - 1
    index = np.rint(light, out=light).astype(np.uint16)
    planes = [table[index[..., i]] for i, table in enumerate(target.coded)]
    result = np.stack(planes, axis=-1)
    return np.rint(result / 257 if depth == 8 else result)


def _shaper(curves: list[bytes], matrix: Pixels) -> Shaper:
    linear = np.stack([_curve(curve) for curve in curves])
    # A curve that falls somewhere has no inverse there; keep the highest value so far.
    rising = np.maximum.accumulate(linear, axis=1)
    codes = _SCALE * (_STEPS - 1)
    coded = np.stack([np.interp(_SCALE**2, curve, codes) for curve in rising])
    return Shaper(linear.astype(np.float32), coded.astype(np.float32), matrix)


def _tags(icc: bytes) -> dict[bytes, bytes]:
    (count,) = struct.unpack(">I", icc[128:132])
    tags = {}
    for at in range(132, 132 + 12 * min(count, 100), 12):
        name, start, size = struct.unpack(">4sII", icc[at : at + 12])
        tags[name] = icc[start : start + size]
    return tags


def _xyz(tag: bytes) -> Pixels:
    return np.array(struct.unpack(">3i", tag[8:20])) / 65536


def _curve(tag: bytes) -> Pixels:
    """The light of every 16-bit code: ICC.1:2022, 10.6 curveType and 10.18 parametricCurveType."""
    if tag[:4] == b"para":
        return np.clip(_parametric(tag), 0, 1)
    if tag[:4] != b"curv":
        raise ValueError("unknown kind of curve")
    (count,) = struct.unpack(">I", tag[8:12])
    values = np.frombuffer(tag[12 : 12 + 2 * count], ">u2")
    if count <= 1:
        gamma = float(values[0]) / 256 if count else 1.0
        return np.power(_SCALE, gamma)
    return np.interp(_SCALE, np.linspace(0, 1, count), values / 65535)


def _parametric(tag: bytes) -> Pixels:
    (kind,) = struct.unpack(">H", tag[8:10])
    num = (1, 3, 4, 5, 7)[min(kind, 4)]
    given = [value / 65536 for value in struct.unpack(f">{num}i", tag[12 : 12 + 4 * num])]
    g, a, b, c, d, e, f = given + [0.0] * (7 - num) if num != 1 else [*given, 1.0, *[0.0] * 5]
    if kind in (1, 2):
        # Below -b/a the curve is flat: at 0, or for kind 2 at c, which is then an offset.
        d, e, f, c = -b / a, c, c, 0.0
    power = np.maximum(a * _SCALE + b, 0) ** g + e
    return np.where(d <= _SCALE, power, c * _SCALE + f)
