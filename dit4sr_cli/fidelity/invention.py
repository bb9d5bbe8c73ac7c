"""What a sampler made up: where pictures from different seeds disagree, nothing decided for them.

The other way does not hold: samples may agree on what is wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from dit4sr_cli.fidelity import colour
from dit4sr_cli.fidelity.colour import Floats
from dit4sr_cli.imaging.picture import Pixels

Sampler: TypeAlias = Callable[[int], Pixels]

THRESHOLD = 4.6
"""Standard deviation in CIELAB units from which a pixel counts: twice what can just be noticed."""
FULL = 15.0
"""Where the map's colours end."""
_ALIKE = 1.0
"""Below this everywhere: a level up or down, which is how the last bit of a sum is rounded."""
_RADIUS = 4
"""Variances are means over 9 x 9 pixels: those of single ones say little after a few samples."""
_ROWS = 256
_COLOURS = np.array([(255, 221, 64), (240, 110, 30), (190, 15, 60), (110, 0, 110)], np.float32)
"""From the threshold to `FULL`, evenly spaced: yellow, orange, red, purple."""


@dataclass(frozen=True, slots=True)
class Invention:
    """Where samples disagree.

    Args:
        map: uint8 [H, W, 3]: their mean in grey, coloured where they disagree.
        percent: of the pixels that are above the threshold.
        num_samples: that were compared.
        largest: standard deviation in CIELAB units where they disagree most.
    """

    map: Pixels
    percent: float
    num_samples: int
    largest: float

    def summary(self) -> str:
        """`invented: 3.1 % of the picture, by 4 samples (deviation up to 19.7)`."""
        of = f"{self.percent:.1f} % of the picture, by {self.num_samples} samples"
        if self.largest < _ALIKE:
            return f"invented: {of}, all alike: chance has no part in these settings"
        return f"invented: {of} (deviation up to {self.largest:.1f})"

    def as_json(self) -> dict[str, Any]:
        """Plain data, without the map."""
        return {
            "invented_percent": round(self.percent, 2),
            "samples": self.num_samples,
            "largest_deviation": round(self.largest, 2),
        }


def invention(upscale: Sampler, seeds: Iterable[int]) -> Invention:
    """Compare the pictures of several seeds, of which only one is in memory at a time.

    Args:
        upscale: the picture of a seed, uint8 or uint16 [H, W, C].
        seeds: two or more.

    Raises:
        ValueError: there are fewer than two seeds.
    """
    spread = Spread()
    for seed in seeds:
        spread.add(upscale(seed))
    return spread.result()


class Spread:
    """Mean and variance of pictures that come one by one (Welford), in CIELAB."""

    def __init__(self) -> None:
        self.count = 0
        self._mean: Floats = np.empty(0, np.float32)
        self._squares: Floats = np.empty(0, np.float32)
        """Squared distances from the mean, over the three channels together."""

    def add(self, pixels: Pixels) -> None:
        """One more picture, of the size of the others."""
        height, width = pixels.shape[:2]
        if not self.count:
            self._mean = np.zeros((height, width, 3), np.float32)
            self._squares = np.zeros((height, width), np.float32)
        self.count += 1
        for top in range(0, height, _ROWS):
            rows = slice(top, top + _ROWS)
            light = colour.linear(pixels[rows])
            lab = colour.lab(np.broadcast_to(light, (*light.shape[:2], 3)))
            before = lab - self._mean[rows]
            self._mean[rows] += before / self.count
            self._squares[rows] += (before * (lab - self._mean[rows])).sum(axis=-1)

    def result(self) -> Invention:
        """The map and the percentage.

        Raises:
            ValueError: there are fewer than two pictures.
        """
        if self.count < 2:
            raise ValueError("disagreement takes two samples or more")
        painted = np.empty(self._mean.shape, np.uint8)
        invented, largest = 0, 0.0
        for top in range(0, len(painted), _ROWS):
            rows = slice(top, top + _ROWS)
            first = max(0, top - _RADIUS)
            variance = _smooth(self._squares[first : top + _ROWS + _RADIUS] / (self.count - 1))
            deviation = np.sqrt(variance[top - first :][: len(painted[rows])])
            invented += int((deviation > THRESHOLD).sum())
            largest = max(largest, float(deviation.max()))
            painted[rows] = _painted(self._mean[rows, :, 0], deviation)
        percent = 100 * invented / self._squares.size
        return Invention(painted, percent, self.count, largest)


def _smooth(plane: Floats) -> Floats:
    """Means over squares of 9 x 9, mirrored at the edges."""
    side = 2 * _RADIUS + 1
    for axis in (0, 1):
        widths = [(_RADIUS, _RADIUS) if i == axis else (0, 0) for i in (0, 1)]
        padded = np.moveaxis(np.pad(plane, widths, mode="symmetric"), axis, 0)
        total = padded[: -_RADIUS * 2].copy()
        for i in range(1, side):
            total += padded[i : len(padded) - 2 * _RADIUS + i]
        plane = np.moveaxis(total / side, 0, axis)
    return plane


def _painted(lightness: Floats, deviation: Floats) -> Pixels:
    """Grey, under a colour where the deviation is above the threshold."""
    # Lightness is nearly the sRGB curve already; compressed, so that colours stand out.
    grey = 30 + lightness[..., None] * 1.7
    place = np.clip((deviation - THRESHOLD) / (FULL - THRESHOLD), 0, 1) * (len(_COLOURS) - 1)
    lower = np.minimum(place.astype(np.intp), len(_COLOURS) - 2)
    share = (place - lower)[..., None]
    heat = _COLOURS[lower] * (1 - share) + _COLOURS[lower + 1] * share
    mixed = np.where((deviation > THRESHOLD)[..., None], 0.35 * grey + 0.65 * heat, grey)
    painted: Pixels = np.clip(np.rint(mixed), 0, 255).astype(np.uint8)
    return painted
