"""A made picture, the same everywhere: gradients, edges, texture and a flat sky."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from dit4sr_cli.core.types import Size
from dit4sr_cli.imaging.picture import Pixels


def scene(size: Size) -> Pixels:
    """uint8 [H, W, 3]."""
    y, x = np.mgrid[0 : size.height, 0 : size.width].astype(np.float64)
    across, down = x / max(size.width - 1, 1), y / max(size.height - 1, 1)
    sky = np.stack([90 + 60 * down, 140 + 50 * down, 230 - 40 * down], axis=-1)
    waves = 40 * np.sin(x / 3) * np.cos(y / 5) + 25 * np.sin((x + 2 * y) / 1.7)
    ground = np.stack([120 + waves, 100 + 60 * across + waves, 70 + waves / 2], axis=-1)
    is_ground = down > 0.45 + 0.1 * np.sin(6 * across)
    picture = np.where(is_ground[..., None], ground, sky)
    picture[(x // 16 + y // 12) % 9 == 0] = (235, 225, 40)
    dice = np.random.Generator(np.random.PCG64(0))
    picture += dice.normal(0, 3, picture.shape)
    return picture.round().clip(0, 255).astype(np.uint8)


def save_scene(path: Path, size: Size) -> Path:
    """The scene as a PNG file."""
    from PIL import Image

    Image.fromarray(scene(size)).save(path)
    return path
