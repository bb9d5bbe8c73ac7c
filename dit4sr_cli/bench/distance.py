"""How far two results are apart: pictures, or latents of random weights."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dit4sr_cli.core.errors import UsageError
from dit4sr_cli.imaging.picture import Pixels


@dataclass(frozen=True, slots=True)
class Distance:
    """PSNR in dB, infinite for equal ones, and the largest difference, as a share of the range.

    The range of a picture is that of its type; of latents, the largest value of the second ones.
    """

    psnr: float
    max_difference: float


def distance(first: Path, second: Path) -> Distance:
    """Between two files.

    Raises:
        UsageError: they are of different sizes.
    """
    a, b = _read(first), _read(second)
    if a.shape != b.shape:
        raise UsageError("results of different sizes cannot be compared", hint="use one scale")
    peak = np.iinfo(b.dtype).max if b.dtype.kind == "u" else float(np.abs(b).max()) or 1.0
    return between(a / peak, b / peak)


def between(a: Pixels, b: Pixels) -> Distance:
    """Between two arrays in a range of 1."""
    apart = np.abs(a.astype(np.float64) - b)
    error = float((apart**2).mean())
    return Distance(math.inf if error == 0 else -10 * math.log10(error), float(apart.max()))


def _read(path: Path) -> Pixels:
    if path.suffix == ".npy":
        latents: Pixels = np.load(path)
        return latents.astype(np.float64)
    from dit4sr_cli.imaging import reader

    return reader.read(path)[0].pixels
