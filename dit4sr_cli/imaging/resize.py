"""The bicubic kernel of Pillow, which the model was trained with, for 8 and 16 bits."""

from __future__ import annotations

import numpy as np
from PIL import Image

from dit4sr_cli.imaging.picture import Pixels


def bicubic(pixels: Pixels, size: tuple[int, int]) -> Pixels:
    """Resize [H, W] or [H, W, C] to (width, height), antialiased when it shrinks.

    uint8 is exactly Pillow's result; uint16 goes through the same kernel in float, rounded.
    Channels go one by one: Pillow treats them alike, and so no RGBX copy is made.
    """
    if pixels.ndim == 2:
        return _plane(pixels, size)
    width, height = size
    out = np.empty((height, width, pixels.shape[2]), pixels.dtype)
    for channel in range(pixels.shape[2]):
        out[..., channel] = _plane(pixels[..., channel], size)
    return out


def _plane(plane: Pixels, size: tuple[int, int]) -> Pixels:
    if plane.dtype == np.uint8:
        image = Image.fromarray(np.ascontiguousarray(plane))
        return np.asarray(image.resize(size, Image.Resampling.BICUBIC))
    assert plane.dtype == np.uint16, plane.dtype
    image = Image.fromarray(plane.astype(np.float32))
    result = np.array(image.resize(size, Image.Resampling.BICUBIC))
    np.rint(result, out=result)
    np.clip(result, 0, 65535, out=result)  # the kernel overshoots at edges
    return result.astype(np.uint16)
