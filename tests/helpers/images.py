"""Small pictures made on the spot, and the figures that compare them."""

from __future__ import annotations

import io
import math
from pathlib import Path

import numpy as np
from PIL import Image


def scene(width: int, height: int, mode: str = "RGB") -> Image.Image:
    """A picture with gradients, edges and some texture; the same every time."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float64)
    red = 255 * x / max(width - 1, 1)
    green = 255 * y / max(height - 1, 1)
    blue = 127.5 + 127.5 * np.sin(x / 3.0) * np.cos(y / 5.0)
    pixels = np.stack([red, green, blue], axis=-1)
    pixels[((x // 8 + y // 8) % 7) == 0] = (250, 240, 30)
    return Image.fromarray(pixels.round().astype(np.uint8), "RGB").convert(mode)


def save(path: Path, width: int = 24, height: int = 16, mode: str = "RGB", **options) -> Path:
    """A scene in a file, in the format of its name."""
    scene(width, height, mode).save(path, **options)
    return path


def jpeg_bytes(width: int = 24, height: int = 16) -> bytes:
    """A small JPEG."""
    buffer = io.BytesIO()
    scene(width, height).save(buffer, "JPEG", quality=95)
    return buffer.getvalue()


def size_of(source: Path | bytes) -> tuple[int, int]:
    """Width and height of a picture that decodes to its last row."""
    stream = io.BytesIO(source) if isinstance(source, bytes) else source
    with Image.open(stream) as picture:
        picture.load()
        return picture.size


def psnr(first: Image.Image, second: Image.Image) -> float:
    """Peak signal-to-noise ratio in dB."""
    a, b = (np.asarray(p.convert("RGB"), np.float64) for p in (first, second))
    error = float(((a - b) ** 2).mean())
    return math.inf if error == 0 else 10 * math.log10(255**2 / error)
