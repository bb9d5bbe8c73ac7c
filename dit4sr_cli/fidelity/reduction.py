"""The model's own reduction, a strip at a time: Pillow's antialiased bicubic on sRGB values.

That is how the small pictures of training were made. A strip is the same rows of the whole to the
bit at whole factors, and within one level at others, where Pillow rounds where a strip begins;
`imaging.resize.bicubic_part` is exact there, and takes three to five times as long.
"""

from __future__ import annotations

import math

from dit4sr_cli.imaging.picture import Pixels
from dit4sr_cli.imaging.resize import bicubic

_REACH = 2
"""Of the kernel, in pixels of the smaller picture."""


def reduced(pixels: Pixels, size: tuple[int, int], rows: tuple[int, int]) -> Pixels:
    """Rows `rows[0]` to `rows[1]` of `imaging.resize.bicubic(pixels, size)`.

    Args:
        pixels: uint8 or uint16 [H, W, C].
        size: (width, height) of the whole reduced picture.
        rows: of the reduced picture.
    """
    factor = len(pixels) / size[1]
    margin = math.ceil(_REACH * max(factor, 1)) + 1
    first = max(0, math.floor(rows[0] * factor) - margin)
    strip = pixels[first : math.ceil(rows[1] * factor) + margin]
    bottom = min(rows[1] * factor - first, len(strip))
    region = (0.0, rows[0] * factor - first, float(pixels.shape[1]), bottom)
    return bicubic(strip, (size[0], rows[1] - rows[0]), region)
