"""Real-ESRGAN's second-order degradation with SeeSR's settings: a sharp photograph to an LR one.

Every random choice comes from one generator, so a picture is a function of its seed.
Images are [3, H, W] float in 0..1. The settings are those of the paper's training pairs.
"""

from __future__ import annotations

import io
import math
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from torch import Generator, Tensor
from torch.nn.functional import conv2d, interpolate, pad

SCALE = 4
KERNEL_SIZE = 21
_KINDS = ("iso", "aniso", "generalized_iso", "generalized_aniso", "plateau_iso", "plateau_aniso")
_KIND_WEIGHTS = (0.45, 0.25, 0.12, 0.03, 0.12, 0.03)
_MODES = ("area", "bilinear", "bicubic")


@dataclass(frozen=True, slots=True)
class Pass:
    """Ranges of one of the two passes."""

    blur_probability: float
    sigma: tuple[float, float]
    resize_weights: tuple[float, float, float]  # up, down, keep
    resize_range: tuple[float, float]
    noise_sigma: tuple[float, float]
    poisson_scale: tuple[float, float]
    jpeg_quality: tuple[int, int]


FIRST = Pass(1.0, (0.2, 3.0), (0.2, 0.7, 0.1), (0.3, 1.5), (1, 15), (0.05, 2.0), (60, 95))
SECOND = Pass(0.5, (0.2, 1.5), (0.3, 0.4, 0.3), (0.6, 1.2), (1, 12), (0.05, 1.0), (60, 100))
SINC_PROBABILITY = 0.1
FINAL_SINC_PROBABILITY = 0.8
GAUSSIAN_PROBABILITY = 0.5
GREY_PROBABILITY = 0.4


def degrade(image: Tensor, generator: Generator) -> Tensor:
    """Reduce [3, H, W] to [3, H/4, W/4] as an old or badly kept photograph would be."""
    height, width = image.shape[-2:]
    small = (height // SCALE, width // SCALE)
    image = _one_pass(image, FIRST, _first_size(image, generator), generator)
    image = jpeg(image, _uniform_int(FIRST.jpeg_quality, generator))
    factor = _resize_factor(SECOND, generator)
    size = (max(1, round(small[0] * factor)), max(1, round(small[1] * factor)))
    image = _one_pass(image, SECOND, size, generator)
    quality = _uniform_int(SECOND.jpeg_quality, generator)
    if _chance(0.5, generator):
        return jpeg(_final(image, small, generator), quality)
    return _final(jpeg(image, quality), small, generator).clamp(0, 1)


def degrade_lightly(image: Tensor, generator: Generator) -> Tensor:
    """Reduce [3, H, W] by bicubic alone; half of them are saved as a JPEG afterwards."""
    height, width = image.shape[-2:]
    pil = to_pil(image).resize((width // SCALE, height // SCALE), Image.Resampling.BICUBIC)
    small = from_pil(pil)
    return jpeg(small, _uniform_int((70, 98), generator)) if _chance(0.5, generator) else small


def jpeg(image: Tensor, quality: int) -> Tensor:
    """Save as JPEG and load again."""
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


def _one_pass(image: Tensor, settings: Pass, size: tuple[int, int], generator: Generator) -> Tensor:
    if _chance(settings.blur_probability, generator):
        image = filtered(image, random_kernel(settings.sigma, generator))
    image = _resized(image, size, generator)
    return _noisy(image, settings, generator).clamp(0, 1)


def _first_size(image: Tensor, generator: Generator) -> tuple[int, int]:
    factor = _resize_factor(FIRST, generator)
    return max(1, round(image.shape[1] * factor)), max(1, round(image.shape[2] * factor))


def _final(image: Tensor, size: tuple[int, int], generator: Generator) -> Tensor:
    image = _resized(image, size, generator)
    if _chance(FINAL_SINC_PROBABILITY, generator):
        kernel = sinc_kernel(_odd_size(generator), _uniform(math.pi / 3, math.pi, generator))
        image = filtered(image, kernel)
    return image


def _resize_factor(settings: Pass, generator: Generator) -> float:
    low, high = settings.resize_range
    kind = _choose(settings.resize_weights, generator)
    if kind == 0:
        return _uniform(1.0, high, generator)
    return _uniform(low, 1.0, generator) if kind == 1 else 1.0


def _resized(image: Tensor, size: tuple[int, int], generator: Generator) -> Tensor:
    mode = _MODES[_choose((1, 1, 1), generator)]
    if mode == "area":
        return interpolate(image[None], size=size, mode=mode)[0]
    return interpolate(image[None], size=size, mode=mode, align_corners=False)[0]


def _noisy(image: Tensor, settings: Pass, generator: Generator) -> Tensor:
    gaussian = _chance(GAUSSIAN_PROBABILITY, generator)
    grey = _chance(GREY_PROBABILITY, generator)
    if gaussian:
        sigma = _uniform(*settings.noise_sigma, generator) / 255
        channels = 1 if grey else 3
        noise = torch.randn((channels, *image.shape[1:]), generator=generator)
        return image + sigma * noise
    return image + _uniform(*settings.poisson_scale, generator) * _poisson(image, grey, generator)


def _poisson(image: Tensor, grey: bool, generator: Generator) -> Tensor:
    """Photon noise; the level count is the power of two above the picture's distinct values."""
    image = image.clamp(0, 1)
    if grey:
        weights = torch.tensor([0.299, 0.587, 0.114])
        image = (image * weights[:, None, None]).sum(0, keepdim=True)
    distinct = (image * 255).round().unique().numel()
    levels = 2.0 ** math.ceil(math.log2(max(2, distinct)))
    return torch.poisson(image * levels, generator=generator) / levels - image


def filtered(image: Tensor, kernel: Tensor) -> Tensor:
    """Convolve [3, H, W] with a square odd kernel, borders reflected."""
    margin = kernel.shape[-1] // 2
    mode = "reflect" if min(image.shape[1:]) > margin else "replicate"
    padded = pad(image[None], (margin,) * 4, mode=mode)
    weight = kernel.to(image.dtype).expand(3, 1, -1, -1)
    return conv2d(padded, weight, groups=3)[0]


def random_kernel(sigma: tuple[float, float], generator: Generator) -> Tensor:
    """A kernel of the table: sinc, or one of six Gaussian kinds."""
    size = _odd_size(generator)
    if _chance(SINC_PROBABILITY, generator):
        low = math.pi / 3 if size < 13 else math.pi / 5
        return sinc_kernel(size, _uniform(low, math.pi, generator))
    kind = _KINDS[_choose(_KIND_WEIGHTS, generator)]
    sigma_x = _uniform(*sigma, generator)
    sigma_y, angle = sigma_x, 0.0
    if kind.endswith("aniso"):
        sigma_y = _uniform(*sigma, generator)
        angle = _uniform(-math.pi, math.pi, generator)
    shape = kind.split("_")[0]
    beta = 1.0
    if shape in ("generalized", "plateau"):
        low, high = (0.5, 4.0) if shape == "generalized" else (1.0, 2.0)
        # Half of the draws below one, half above, as the released settings do.
        low_half = _chance(0.5, generator)
        beta = _uniform(low, 1.0, generator) if low_half else _uniform(1.0, high, generator)
    return gaussian_kernel(size, sigma_x, sigma_y, angle, beta, plateau=shape == "plateau")


def gaussian_kernel(
    size: int, sigma_x: float, sigma_y: float, angle: float, beta: float, *, plateau: bool
) -> Tensor:
    """exp(-q^beta / 2), or 1 / (1 + q^beta) for a plateau; q the squared Mahalanobis distance."""
    axis = torch.arange(size, dtype=torch.float64) - size // 2
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    cos, sin = math.cos(angle), math.sin(angle)
    along, across = (cos * x + sin * y) / sigma_x, (-sin * x + cos * y) / sigma_y
    q = (along**2 + across**2) ** beta
    kernel = 1 / (1 + q) if plateau else torch.exp(-q / 2)
    return (kernel / kernel.sum()).float()


def sinc_kernel(size: int, cutoff: float) -> Tensor:
    """Circular ideal low-pass of `cutoff` radians per pixel, cut to size: it rings."""
    axis = torch.arange(size, dtype=torch.float64) - size // 2
    radius = torch.hypot(axis[:, None], axis[None, :])
    safe = radius.clamp_min(1e-9)
    kernel = cutoff * torch.special.bessel_j1(cutoff * safe) / (2 * math.pi * safe)
    kernel[size // 2, size // 2] = cutoff**2 / (4 * math.pi)
    return (kernel / kernel.sum()).float()


def _odd_size(generator: Generator) -> int:
    return 2 * _uniform_int((3, KERNEL_SIZE // 2), generator) + 1


def _uniform(low: float, high: float, generator: Generator) -> float:
    return low + (high - low) * float(torch.rand((), generator=generator, dtype=torch.float64))


def _uniform_int(bounds: tuple[int, int], generator: Generator) -> int:
    return int(torch.randint(bounds[0], bounds[1] + 1, (), generator=generator))


def _chance(probability: float, generator: Generator) -> bool:
    return _uniform(0, 1, generator) < probability


def _choose(weights: tuple[float, ...], generator: Generator) -> int:
    odds = torch.tensor(weights, dtype=torch.float64)
    return int(torch.multinomial(odds, 1, generator=generator))
