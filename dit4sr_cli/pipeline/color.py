"""Holding the result's colours to the input's; tensors [3, H, W], float, in 0..1."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeAlias

import torch
from torch import Tensor
from torch.nn.functional import conv2d, pad

from dit4sr_cli.core.types import ColorFix

EPSILON = 1e-5
WAVELET_LEVELS = 5
WAVELET_REACH = 2**WAVELET_LEVELS - 1
"""Pixels around one that its low frequencies depend on."""
_ROWS = 64

Statistics: TypeAlias = tuple[Tensor, Tensor]
"""Mean and standard deviation of each channel, [3, 1, 1]."""


def matched(generated: Tensor, reference: Tensor, fix: ColorFix) -> Tensor:
    """`generated` with the colours of `reference` (the enlarged LR picture)."""
    if fix is ColorFix.ADAIN:
        return adain(generated, reference)
    if fix is ColorFix.WAVELET:
        return wavelet(generated, reference)
    return generated


def adain(generated: Tensor, reference: Tensor) -> Tensor:
    """Give every channel the reference's mean and standard deviation."""
    has, wanted = (statistics_of(image.split(_ROWS, dim=1)) for image in (generated, reference))
    return adjusted(generated, has, wanted)


def adjusted(image: Tensor, has: Statistics, wanted: Statistics) -> Tensor:
    """The image with other statistics than it has, or than the whole has that it is a part of."""
    return (image - has[0]) / has[1] * wanted[1] + wanted[0]


def statistics_of(parts: Iterable[Tensor]) -> Statistics:
    """Of an image on the CPU that comes in parts, summed in double precision.

    One pixel has no unbiased variance; it then counts as none.
    """
    count = 0
    sums, squares = (torch.zeros(3, dtype=torch.float64) for _ in range(2))
    for part in parts:
        flat = part.flatten(1).double()
        count += flat.shape[1]
        sums += flat.sum(1)
        squares += flat.square().sum(1)
    mean = sums / count
    variance = (squares - count * mean.square()) / max(1, count - 1)
    std = (variance.clamp(min=0) + EPSILON).sqrt()
    return mean.float()[:, None, None], std.float()[:, None, None]


def wavelet(generated: Tensor, reference: Tensor) -> Tensor:
    """The result's detail on the reference's low frequencies (a trous wavelets)."""
    return generated - _low_frequencies(generated) + _low_frequencies(reference)


def _low_frequencies(image: Tensor) -> Tensor:
    profile = torch.tensor([1.0, 2.0, 1.0], device=image.device) / 4
    kernel = (profile[:, None] * profile[None, :]).expand(3, 1, 3, 3).to(image.dtype)
    for level in range(WAVELET_LEVELS):
        radius = 2**level
        padded = pad(image[None], (radius,) * 4, mode="replicate")
        image = conv2d(padded, kernel, groups=3, dilation=radius)[0]
    return image
