"""The table of the paper's training pairs: every probability and every range, and nothing else.

They are the settings that the paper takes from SeeSR. SeeSR's public script holds Real-ESRGAN's
own, harsher ranges (resize from .15, noise to 30, JPEG from 30), so the paper's table counts here,
and not that script. Where the table says nothing, Real-ESRGAN's code decides:

- A kernel of "21 px" has an odd side drawn from 7 to 21. The script's 11 px for the second pass has
  no effect there, as sides are drawn from the same list, and so it has none here.
- Half of the generalized and plateau exponents lie below 1 and half above. Plateaus, whose range
  begins at 1, are therefore of exponent 1 half of the time.
- The sinc of the final filter has a cutoff from pi/3; in the passes from pi/5, once it has 13 px.
- Real-ESRGAN sharpens the photograph first, and SeeSR's script gives 1 % of the pairs no
  degradation. The table has neither, so it is not done.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, TypeAlias

VERSION = 1
"""To be raised with every change after which a seed gives another picture."""
SCALE = 4

Range: TypeAlias = "tuple[float, float]"
Mode: TypeAlias = Literal["area", "bilinear", "bicubic"]
Shape: TypeAlias = Literal["gaussian", "generalized", "plateau"]

MODES: tuple[Mode, ...] = ("area", "bilinear", "bicubic")
"""Interpolations, equally likely in each of the three resizings."""


@dataclass(frozen=True, slots=True)
class Bells:
    """A row of the table's kernels: how often, and which."""

    probability: float
    shape: Shape
    is_round: bool


BELLS = (
    Bells(0.45, "gaussian", True),
    Bells(0.25, "gaussian", False),
    Bells(0.12, "generalized", True),
    Bells(0.03, "generalized", False),
    Bells(0.12, "plateau", True),
    Bells(0.03, "plateau", False),
)
EXPONENTS: dict[Shape, Range] = {"generalized": (0.5, 4.0), "plateau": (1.0, 2.0)}
KERNEL_SIZES = tuple(range(7, 22, 2))

SINC_PROBABILITY = 0.1
"""Of a sinc in place of a bell, in both passes."""
SINC_CUTOFF: Range = (math.pi / 3, math.pi)
LARGE_SINC_CUTOFF: Range = (math.pi / 5, math.pi)
LARGE_SINC = 13
"""Side from which a sinc of the passes may cut off more."""
FINAL_SINC_PROBABILITY = 0.8
JPEG_LAST_PROBABILITY = 0.5
"""Of the final filter before the last JPEG and not after it."""

GAUSSIAN_PROBABILITY = 0.5
"""Of Gaussian noise; otherwise it is Poisson's."""
GREY_PROBABILITY = 0.4


@dataclass(frozen=True, slots=True)
class Pass:
    """What the two passes do not have in common.

    Args:
        blur_probability: of any kernel at all.
        sigma: of bells, in pixels, along each axis.
        resize_weights: up, down, keep.
        resize_range: of the factor; up is from 1 on, down is up to 1.
        noise_sigma: of Gaussian noise, in levels of 255.
        poisson_scale: of Poisson's.
        jpeg_quality: both ends included.
    """

    blur_probability: float
    sigma: Range
    resize_weights: tuple[float, float, float]
    resize_range: Range
    noise_sigma: Range
    poisson_scale: Range
    jpeg_quality: tuple[int, int]


FIRST = Pass(1.0, (0.2, 3.0), (0.2, 0.7, 0.1), (0.3, 1.5), (1, 15), (0.05, 2.0), (60, 95))
SECOND = Pass(0.5, (0.2, 1.5), (0.3, 0.4, 0.3), (0.6, 1.2), (1, 12), (0.05, 1.0), (60, 100))

LIGHT_QUALITY = (70, 98)
"""JPEG of a picture that a program reduced; not the paper's, for the embedded model."""


@dataclass(frozen=True, slots=True)
class Once:
    """What a camera and the web do; not the paper's, for the embedded model.

    Args:
        blur_probability, sigma, noise_sigma, poisson_scale, jpeg_quality: as a pass has them.
        aliased_probability: of pixels that see their middle alone.
        sharpened_probability: of the camera's sharpening, before the JPEG.
        sharpened_sigma: of its bell, in pixels of the LR.
        sharpened_amount: of what the bell takes away.
        jpeg_probability: of a JPEG at all.
    """

    blur_probability: float
    sigma: Range
    aliased_probability: float
    noise_sigma: Range
    poisson_scale: Range
    sharpened_probability: float
    sharpened_sigma: Range
    sharpened_amount: Range
    jpeg_probability: float
    jpeg_quality: tuple[int, int]


ONCE = Once(
    blur_probability=0.7,
    sigma=(0.2, 3.5),
    aliased_probability=0.3,
    noise_sigma=(0, 8),
    poisson_scale=(0.0, 0.8),
    sharpened_probability=0.4,
    sharpened_sigma=(0.5, 1.0),
    sharpened_amount=(0.2, 1.5),
    jpeg_probability=0.85,
    jpeg_quality=(50, 98),
)
