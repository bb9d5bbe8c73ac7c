"""Photographs that were reduced once, as most are: by a program, or by a camera.

Not the paper's: the embedded model learns from them beside the paper's second order. Images are
[3, H, W] in 0..1.
"""

from __future__ import annotations

from PIL import Image
from torch import Generator, Tensor

from dit4sr_cli.training.degrade import draws, table
from dit4sr_cli.training.degrade.kernels import Bell, draw_kernel, filtered
from dit4sr_cli.training.degrade.noise import draw_noise, noisy
from dit4sr_cli.training.degrade.pictures import from_pil, jpeg, rounded, to_pil
from dit4sr_cli.training.degrade.table import SCALE

_REDUCTIONS = (
    Image.Resampling.BOX,
    Image.Resampling.BILINEAR,
    Image.Resampling.BICUBIC,
    Image.Resampling.LANCZOS,
)
_BELL = 7
"""Side of the bell that sharpening takes away: three times its widest sigma, and the middle."""


def degrade_lightly(image: Tensor, generator: Generator) -> Tensor:
    """Reduce [3, H, W] to [3, H/4, W/4] by bicubic alone; half are saved as JPEG afterwards."""
    reduced = _reduced(image, Image.Resampling.BICUBIC)
    if not draws.chance(0.5, generator):
        return reduced
    return jpeg(reduced, draws.integer(table.LIGHT_QUALITY, generator))


def degrade_once(image: Tensor, generator: Generator) -> Tensor:
    """Reduce [3, H, W] to [3, H/4, W/4] as a camera and the web do.

    Its lens blurs, its pixels average or see their middle alone, it is noisy and sharpens, and the
    file is mostly a JPEG.
    """
    once = table.ONCE
    if draws.chance(once.blur_probability, generator):
        image = filtered(image, draw_kernel(once.sigma, generator))
    if draws.chance(once.aliased_probability, generator):
        small = _sampled(image)
    else:
        small = _reduced(image, draws.choice(_REDUCTIONS, generator))
    small = noisy(small, draw_noise(once, generator), generator)
    if draws.chance(once.sharpened_probability, generator):
        sigma = draws.uniform(once.sharpened_sigma, generator)
        small = _sharpened(small, sigma, draws.uniform(once.sharpened_amount, generator))
    if draws.chance(once.jpeg_probability, generator):
        return jpeg(small, draws.integer(once.jpeg_quality, generator))
    return rounded(small)


def _reduced(image: Tensor, resampling: Image.Resampling) -> Tensor:
    """[3, H, W] to [3, H/4, W/4] as programs do it: 8 bits, averaged over all that they take."""
    height, width = image.shape[-2:]
    return from_pil(to_pil(image).resize((width // SCALE, height // SCALE), resampling))


def _sampled(image: Tensor) -> Tensor:
    """[3, H, W] to [3, H/4, W/4], each pixel the middle of its square alone: edges become steps."""
    height, width = (side // SCALE for side in image.shape[-2:])
    squares = image[:, : height * SCALE, : width * SCALE].unflatten(2, (width, SCALE))
    squares = squares.unflatten(1, (height, SCALE))  # [3, H/4, 4, W/4, 4]
    return squares[:, :, 1:-1, :, 1:-1].mean((2, 4))


def _sharpened(image: Tensor, sigma: float, amount: float) -> Tensor:
    """[3, H, W] and so much of what a Gaussian of sigma pixels takes away, not clamped."""
    return image + amount * (image - filtered(image, Bell(_BELL, sigma, sigma)))
