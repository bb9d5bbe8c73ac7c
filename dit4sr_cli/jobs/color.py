"""Colour alignment of pictures: the public `match_color`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from dit4sr_cli.core.types import ColorFix

if TYPE_CHECKING:
    from PIL.Image import Image


def match_color(generated: Image, lr_upsampled: Image, method: ColorFix | str = "adain") -> Image:
    """Hold the colours of an 8-bit RGB picture to those of the enlarged input.

    Values are cut, not rounded, to 8 bits, as in the released code.

    Args:
        generated: the result.
        lr_upsampled: the enlarged input, of the same size.
        method: `adain`, `wavelet` or `none`.
    """
    import torch
    from PIL import Image as PILImage

    from dit4sr_cli.pipeline.color import matched

    fix = ColorFix(method)
    if fix is ColorFix.NONE:
        return generated
    if generated.size != lr_upsampled.size:
        raise ValueError(f"sizes differ: {generated.size} and {lr_upsampled.size}")
    a, b = (
        torch.from_numpy(np.array(image.convert("RGB"))).permute(2, 0, 1).float() / 255
        for image in (generated, lr_upsampled)
    )
    values = (matched(a, b, fix).clamp(0, 1) * 255).to(torch.uint8)
    return PILImage.fromarray(values.permute(1, 2, 0).numpy())
