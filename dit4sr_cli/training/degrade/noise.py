"""Noise of a camera: Gaussian or Poisson's, the same in all channels (grey) or not."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Generator, Tensor

from dit4sr_cli.training.degrade import draws, table

_LUMA = (0.299, 0.587, 0.114)


@dataclass(frozen=True, slots=True)
class Noise:
    """Which noise.

    Args:
        kind: its distribution.
        strength: Gaussian: the standard deviation in 0..1. Poisson: a factor on photon noise.
        is_grey: whether all channels have the same.
    """

    kind: Literal["gaussian", "poisson"]
    strength: float
    is_grey: bool


def draw_noise(settings: table.Pass | table.Once, generator: Generator) -> Noise:
    """The noise of a pass."""
    is_gaussian = draws.chance(table.GAUSSIAN_PROBABILITY, generator)
    is_grey = draws.chance(table.GREY_PROBABILITY, generator)
    if is_gaussian:
        strength = draws.uniform(settings.noise_sigma, generator) / 255
        return Noise("gaussian", strength, is_grey)
    return Noise("poisson", draws.uniform(settings.poisson_scale, generator), is_grey)


def noisy(image: Tensor, noise: Noise, generator: Generator) -> Tensor:
    """An image [3, H, W] in 0..1 with noise added; not clamped."""
    if noise.kind == "gaussian":
        shape = (1 if noise.is_grey else 3, *image.shape[1:])
        return image + noise.strength * torch.randn(shape, generator=generator)
    return image + noise.strength * _poisson(image, noise.is_grey, generator)


def _poisson(image: Tensor, is_grey: bool, generator: Generator) -> Tensor:
    """Photon noise of mean 0 and variance v / levels where the picture is v.

    The levels are the power of two that reaches the number of distinct values of 8 bits, a picture
    of few colours being as noisy as one with few photons: Real-ESRGAN's way to guess them.
    """
    if is_grey:
        image = (image.clamp(0, 1) * torch.tensor(_LUMA)[:, None, None]).sum(0, keepdim=True)
    rounded = (image.clamp(0, 1) * 255).round()
    levels = 2.0 ** math.ceil(math.log2(rounded.unique().numel()))
    rounded = rounded / 255
    return torch.poisson(rounded * levels, generator=generator) / levels - rounded
