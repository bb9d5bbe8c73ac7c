"""Blur kernels: bells (Gaussian, generalized, plateau; round or not) and sincs; and filtering.

They are those of Real-ESRGAN (sections 3.1 and 3.3 there).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Generator, Tensor
from torch.nn.functional import conv2d, pad

from dit4sr_cli.training.degrade import draws, table
from dit4sr_cli.training.degrade.table import Range, Shape


@dataclass(frozen=True, slots=True)
class Bell:
    """exp(-q^beta / 2), or 1 / (1 + q^beta) for a plateau; q the squared Mahalanobis distance.

    Args:
        size: its side in pixels, odd.
        sigma_x, sigma_y: widths along its own axes.
        angle: by which its x axis is turned from right to down, in radians.
        shape: a plain Gaussian has beta 1.
        beta: exponent.
    """

    size: int
    sigma_x: float
    sigma_y: float
    angle: float = 0.0
    shape: Shape = "gaussian"
    beta: float = 1.0

    def weights(self) -> Tensor:
        """The kernel [size, size]; its sum is 1."""
        axis = torch.arange(self.size, dtype=torch.float64) - self.size // 2
        y, x = torch.meshgrid(axis, axis, indexing="ij")
        cos, sin = math.cos(self.angle), math.sin(self.angle)
        along, across = (cos * x + sin * y) / self.sigma_x, (cos * y - sin * x) / self.sigma_y
        q = (along**2 + across**2) ** self.beta
        return _normalised(1 / (1 + q) if self.shape == "plateau" else torch.exp(-q / 2))


@dataclass(frozen=True, slots=True)
class Sinc:
    """Circular ideal low-pass of `cutoff` radians per pixel, cut to size: it rings."""

    size: int
    cutoff: float

    def weights(self) -> Tensor:
        """The kernel [size, size]; its sum is 1."""
        axis = torch.arange(self.size, dtype=torch.float64) - self.size // 2
        radius = torch.hypot(axis[:, None], axis[None, :])
        radius[self.size // 2, self.size // 2] = 1.0
        kernel = self.cutoff * torch.special.bessel_j1(self.cutoff * radius) / (math.tau * radius)
        kernel[self.size // 2, self.size // 2] = self.cutoff**2 / (2 * math.tau)  # the limit
        return _normalised(kernel)


Kernel: TypeAlias = Bell | Sinc


def draw_kernel(sigma: Range, generator: Generator) -> Kernel:
    """A kernel of the table."""
    size = draws.choice(table.KERNEL_SIZES, generator)
    if draws.chance(table.SINC_PROBABILITY, generator):
        is_large = size >= table.LARGE_SINC
        cutoff = table.LARGE_SINC_CUTOFF if is_large else table.SINC_CUTOFF
        return Sinc(size, draws.uniform(cutoff, generator))
    row = draws.weighted(table.BELLS, [row.probability for row in table.BELLS], generator)
    sigma_x = draws.uniform(sigma, generator)
    sigma_y, angle = sigma_x, 0.0
    if not row.is_round:
        sigma_y = draws.uniform(sigma, generator)
        angle = draws.uniform((-math.pi, math.pi), generator)
    return Bell(size, sigma_x, sigma_y, angle, row.shape, _exponent(row.shape, generator))


def draw_final_sinc(generator: Generator) -> Sinc | None:
    """The last filter, or none."""
    if not draws.chance(table.FINAL_SINC_PROBABILITY, generator):
        return None
    size = draws.choice(table.KERNEL_SIZES, generator)
    return Sinc(size, draws.uniform(table.SINC_CUTOFF, generator))


def filtered(image: Tensor, kernel: Kernel | None) -> Tensor:
    """Convolve [3, H, W] with a kernel, borders reflected."""
    if kernel is None:
        return image
    margin = kernel.size // 2
    mode = "reflect" if min(image.shape[1:]) > margin else "replicate"
    padded = pad(image[None], (margin,) * 4, mode=mode)
    # A group for each channel: half the time that three pictures of one channel take.
    weights = kernel.weights().to(image.dtype).expand(3, 1, -1, -1)
    return conv2d(padded, weights, groups=3)[0]


def _exponent(shape: Shape, generator: Generator) -> float:
    """Half of the draws below one, half above."""
    if shape == "gaussian":
        return 1.0
    low, high = table.EXPONENTS[shape]
    is_low = draws.chance(0.5, generator)
    return draws.uniform((low, 1.0) if is_low else (1.0, high), generator)


def _normalised(kernel: Tensor) -> Tensor:
    return kernel / kernel.sum()
