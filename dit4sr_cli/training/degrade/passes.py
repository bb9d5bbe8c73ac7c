"""The order of things: blur, resize, noise, JPEG; the same again; and a last filter.

What will be done is drawn first (`draw`) and then done (`apply`). Images are [3, H, W] in 0..1.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Generator, Tensor
from torch.nn.functional import interpolate

from dit4sr_cli.training.degrade import draws, table
from dit4sr_cli.training.degrade.kernels import (
    Kernel,
    Sinc,
    draw_final_sinc,
    draw_kernel,
    filtered,
)
from dit4sr_cli.training.degrade.noise import Noise, draw_noise, noisy
from dit4sr_cli.training.degrade.pictures import jpeg, rounded
from dit4sr_cli.training.degrade.table import FIRST, MODES, SCALE, SECOND, Mode


@dataclass(frozen=True, slots=True)
class OnePass:
    """What one pass does: blur, resize by a factor, noise, JPEG."""

    kernel: Kernel | None
    factor: float
    mode: Mode
    noise: Noise
    quality: int


@dataclass(frozen=True, slots=True)
class Degradation:
    """All that is done to a picture, but for the noise itself.

    Args:
        first, second: the passes; factors are of the photograph's size and of the LR's.
        last_mode: in which it is resized to the LR's size.
        last_kernel: the filter after that.
        is_jpeg_last: whether the second JPEG comes after both, or before.
    """

    first: OnePass
    second: OnePass
    last_mode: Mode
    last_kernel: Sinc | None
    is_jpeg_last: bool


def degrade(image: Tensor, generator: Generator) -> Tensor:
    """Reduce [3, H, W] to [3, H/4, W/4] as an old or badly kept photograph would be.

    The result is a function of the picture and of the generator's state; its values are those of an
    8-bit file.
    """
    return apply(image, draw(generator), generator)


def draw(generator: Generator) -> Degradation:
    """Decide everything, as the table has it."""
    return Degradation(
        first=_draw_pass(FIRST, generator),
        second=_draw_pass(SECOND, generator),
        last_mode=draws.choice(MODES, generator),
        last_kernel=draw_final_sinc(generator),
        is_jpeg_last=draws.chance(table.JPEG_LAST_PROBABILITY, generator),
    )


def apply(image: Tensor, plan: Degradation, generator: Generator) -> Tensor:
    """Do what was decided; the noise comes from the generator."""
    height, width = image.shape[-2:]
    small = (height // SCALE, width // SCALE)
    image = jpeg(_one_pass(image, plan.first, (height, width), generator), plan.first.quality)
    image = _one_pass(image, plan.second, small, generator)
    if plan.is_jpeg_last:
        return jpeg(_last(image, plan, small), plan.second.quality)
    return rounded(_last(jpeg(image, plan.second.quality), plan, small))


def _draw_pass(settings: table.Pass, generator: Generator) -> OnePass:
    is_blurred = draws.chance(settings.blur_probability, generator)
    return OnePass(
        kernel=draw_kernel(settings.sigma, generator) if is_blurred else None,
        factor=_draw_factor(settings, generator),
        mode=draws.choice(MODES, generator),
        noise=draw_noise(settings, generator),
        quality=draws.integer(settings.jpeg_quality, generator),
    )


def _draw_factor(settings: table.Pass, generator: Generator) -> float:
    low, high = settings.resize_range
    ranges = ((1.0, high), (low, 1.0), (1.0, 1.0))
    return draws.uniform(draws.weighted(ranges, settings.resize_weights, generator), generator)


def _one_pass(image: Tensor, plan: OnePass, base: tuple[int, int], generator: Generator) -> Tensor:
    """All but the JPEG; `base` is what the factor is of, (height, width)."""
    size = (max(1, int(base[0] * plan.factor)), max(1, int(base[1] * plan.factor)))
    image = _resized(filtered(image, plan.kernel), size, plan.mode)
    return noisy(image, plan.noise, generator).clamp(0, 1)


def _last(image: Tensor, plan: Degradation, size: tuple[int, int]) -> Tensor:
    return filtered(_resized(image, size, plan.last_mode), plan.last_kernel)


def _resized(image: Tensor, size: tuple[int, int], mode: Mode) -> Tensor:
    """To (height, width). Only `area` averages; the others reach no farther when they reduce."""
    align = None if mode == "area" else False
    return interpolate(image[None], size=size, mode=mode, align_corners=align)[0]
