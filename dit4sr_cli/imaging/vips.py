"""libvips, quiet and without a cache, with arrays going in."""

from __future__ import annotations

import logging
from typing import Any, TypeAlias

import numpy as np
import pyvips

from dit4sr_cli.imaging.picture import Pixels

Image: TypeAlias = Any
Error = pyvips.Error

# pyvips hands libvips' warnings to logging, which prints them when nobody has set it up.
logging.getLogger("pyvips").setLevel(logging.CRITICAL)
pyvips.cache_set_max(0)  # every picture is seen once; a cache would only keep it in memory

_FORMATS = {np.dtype(np.uint8): "uchar", np.dtype(np.uint16): "ushort"}
_SPACES = {
    (np.dtype(np.uint8), 1): "b-w",
    (np.dtype(np.uint8), 3): "srgb",
    (np.dtype(np.uint8), 4): "cmyk",
    (np.dtype(np.uint16), 1): "grey16",
    (np.dtype(np.uint16), 3): "rgb16",
    (np.dtype(np.uint16), 4): "cmyk",
}


def from_array(pixels: Pixels) -> Image:
    """A libvips image over [H, W] or [H, W, C] memory, which it keeps alive and does not copy."""
    pixels = np.ascontiguousarray(pixels)
    height, width = pixels.shape[:2]
    bands = pixels.shape[2] if pixels.ndim == 3 else 1
    image = pyvips.Image.new_from_memory(pixels.data, width, height, bands, _FORMATS[pixels.dtype])
    return image.copy(interpretation=_SPACES[pixels.dtype, bands])


def to_array(image: Image) -> Pixels:
    """[H, W, C], computed now."""
    array: Pixels = image.numpy()
    return array if array.ndim == 3 else array[..., None]


def with_depth(image: Image, depth: int) -> Image:
    """8 or 16 bits a channel, lazily, rounded exactly."""
    if image.format == ("ushort" if depth == 16 else "uchar"):
        return image
    if depth == 16:
        return (
            (image * 257)
            .cast("ushort")
            .copy(interpretation="grey16" if image.bands < 3 else "rgb16")
        )
    return (
        (image / 257).rint().cast("uchar").copy(interpretation="b-w" if image.bands < 3 else "srgb")
    )


def load(loader: str, data: object, **options: object) -> Image:
    """Open a file in memory: its header is read, its pixels when asked for."""
    return pyvips.Operation.call(
        f"{loader}load_buffer", data, fail_on="error", access="sequential", **options
    )


def blob(image: Image, name: str, value: bytes) -> Image:
    """The image with one metadata block more."""
    image = image.copy()
    image.set_type(pyvips.GValue.blob_type, name, value)
    return image


def reason(error: Exception) -> str:
    """The last thing libvips says about a failure, on one line."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else "unknown reason"
