"""Pictures inside a page: in 8 bits, opaque, as data URIs that carry nothing but pixels."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np

from dit4sr_cli.imaging import vips
from dit4sr_cli.imaging.picture import Pixels

LOSSLESS_PIXELS = 6_000_000
"""Up to so many, every pixel is kept as it is: beyond, that takes seconds and tens of megabytes."""
QUALITY = 95
"""Of the JPEG for more: with colour at full resolution it is within a level or two."""
_LONGEST_WEBP = 16_383
_EFFORT = 2
"""Of the WebP encoder: more takes several times as long for a few per cent."""


def opaque(pixels: Pixels, alpha: Pixels | None) -> Pixels:
    """[H, W, 1 or 3] in 8 bits, transparency laid on white."""
    pixels = _in_8_bits(pixels)
    if alpha is None:
        return pixels
    share = _in_8_bits(alpha)[..., None].astype(np.float32) / 255
    return np.rint(pixels * share + 255 * (1 - share)).astype(np.uint8)


def is_lossless(pixels: Pixels) -> bool:
    """Whether `as_uri` keeps them as they are."""
    height, width = pixels.shape[:2]
    return height * width <= LOSSLESS_PIXELS and max(height, width) <= _LONGEST_WEBP


def as_uri(pixels: Pixels) -> str:
    """The smallest that is as good as the eye can ask for at any zoom."""
    if is_lossless(pixels):
        return lossless(pixels)
    image: Any = vips.from_array(pixels)
    data: bytes = image.jpegsave_buffer(Q=QUALITY, subsample_mode="off", keep="none")
    return _uri("jpeg", data)


def lossless(pixels: Pixels) -> str:
    """Every pixel as it is, and nothing else: what a file says of itself names its model."""
    image: Any = vips.from_array(pixels)
    return _uri("webp", image.webpsave_buffer(lossless=True, effort=_EFFORT, keep="none"))


def _uri(kind: str, data: bytes) -> str:
    return f"data:image/{kind};base64," + base64.b64encode(data).decode("ascii")


def _in_8_bits(pixels: Pixels) -> Pixels:
    if pixels.dtype != np.uint16:
        return pixels
    return ((pixels.astype(np.uint32) + 128) // 257).astype(np.uint8)
