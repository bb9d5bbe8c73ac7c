"""Images as tensors and as 8-bit pictures; JPEG, as files have it."""

from __future__ import annotations

import io

import numpy as np
import torch
from PIL import Image
from torch import Tensor


def jpeg(image: Tensor, quality: int) -> Tensor:
    """Save [3, H, W] as JPEG, colours at half resolution, and load it again.

    Real-ESRGAN's code imitates JPEG by tensors, with qualities that are no whole numbers; this is
    libjpeg's own, which photographs go through.
    """
    buffer = io.BytesIO()
    to_pil(image).save(buffer, "JPEG", quality=quality)
    return from_pil(Image.open(buffer))


def to_pil(image: Tensor) -> Image.Image:
    """[3, H, W] in 0..1 to an 8-bit picture."""
    array = (image.clamp(0, 1) * 255).round().to(torch.uint8).permute(1, 2, 0).numpy()
    return Image.fromarray(array)


def from_pil(image: Image.Image) -> Tensor:
    """An 8-bit RGB picture to [3, H, W] in 0..1."""
    return torch.from_numpy(np.array(image)).permute(2, 0, 1).float() / 255


def rounded(image: Tensor) -> Tensor:
    """The values that an 8-bit file holds."""
    return (image.clamp(0, 1) * 255).round() / 255
