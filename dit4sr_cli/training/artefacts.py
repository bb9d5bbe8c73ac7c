"""Losses against what a perceptual loss would draw and no photograph has.

Shapes: B batch, H W pixels; pictures in 0..1.
"""

from __future__ import annotations

from functools import reduce

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, max_pool2d, pad, pixel_unshuffle, relu

_LUMA = (0.299, 0.587, 0.114)
_LEAST_SHARE = 0.3
"""Share of the detail that may repeat with a grid in any picture."""
_TOLERANCE = 0.02


def phase_loss(restored: Tensor, target: Tensor, period: int = 4) -> Tensor:
    """Distance of the share that each phase of a grid has in a picture's detail.

    Log of the mean square of the detail by phase, in windows of 7 periods, less its mean.
    """

    def shares(x: Tensor) -> Tensor:
        energy = avg_pool2d(pixel_unshuffle(_detail(x).square(), period), 7)
        strength = torch.log(energy + 2e-5)
        return strength - strength.mean(dim=1, keepdim=True)

    return (shares(restored) - shares(target)).abs().mean()


def lattice_loss(restored: Tensor, target: Tensor, period: int) -> Tensor:
    """How much more of the detail repeats with a period, in windows of 4, than the original's."""
    repeats, strength = _repeating(restored, period)
    original, whole = _repeating(target, period)
    allowed = (original / whole).clamp(min=_LEAST_SHARE)
    return relu(repeats - allowed * strength.detach()).mean()


def dot_loss(restored: Tensor, target: Tensor) -> Tensor:
    """How far pixels stand out of all that lies 2 pixels around, where the original's do not."""
    found = _highest(_standing_out(_luma(target)), 3)
    return relu(_standing_out(_luma(restored)) - found).mean()


def outlier_loss(restored: Tensor, target: Tensor) -> Tensor:
    """How far pixels lie beyond all that the original has 4 pixels around: halos."""
    above = relu(restored - _highest(target, 9) - _TOLERANCE)
    below = relu(-_highest(-target, 9) - restored - _TOLERANCE)
    return (above + below).mean()


def teeth_loss(restored: Tensor, target: Tensor) -> Tensor:
    """How much more a picture varies along the original's edges than the original: stairs, hatch.

    The direction is that of the original's structure tensor, and its coherence the weight. Each
    colour counts: what is forbidden in luma comes back as magenta and green.
    """
    with torch.no_grad():
        x, y = _gradient(_luma(target))
        xx, yy, xy = _around(x * x, 7), _around(y * y, 7), _around(x * y, 7)
        angle = 0.5 * torch.atan2(2 * xy, xx - yy)  # of the gradient; the edge is across
        coherence = ((xx - yy).square() + 4 * xy.square()).sqrt() / (xx + yy + 1e-4)

    def along(picture: Tensor) -> Tensor:
        x, y = _gradient(picture)
        slope = y * angle.cos() - x * angle.sin()
        return (_around(slope.square(), 5) + 1e-6).sqrt()

    return (relu(along(restored) - along(target)) * coherence.square()).mean()


def _gradient(x: Tensor) -> tuple[Tensor, Tensor]:
    """To the right and down, per pixel."""
    padded = pad(x, (1, 1, 1, 1), mode="replicate")
    across, down = padded[..., 1:-1, :], padded[..., 1:-1]
    return (across[..., 2:] - across[..., :-2]) / 2, (down[..., 2:, :] - down[..., :-2, :]) / 2


def _around(x: Tensor, side: int) -> Tensor:
    """The mean of the square around each pixel."""
    return avg_pool2d(pad(x, (side // 2,) * 4, mode="replicate"), side, 1)


def _highest(x: Tensor, side: int) -> Tensor:
    """Of the pixels in a square around each; along one axis after the other: that is faster."""
    rows = max_pool2d(x, (side, 1), 1, (side // 2, 0))
    return max_pool2d(rows, (1, side), 1, (0, side // 2))


def _luma(x: Tensor) -> Tensor:
    return (x * x.new_tensor(_LUMA)[:, None, None]).sum(1, keepdim=True)


def _detail(x: Tensor) -> Tensor:
    luma = _luma(x)
    return luma - _around(luma, 5)


def _repeating(x: Tensor, period: int) -> tuple[Tensor, Tensor]:
    """Strength of the part of the detail that repeats, and of the whole, by window."""
    phases = pixel_unshuffle(_detail(x), period)
    repeats = avg_pool2d(phases, 4, 2).square().mean(1)
    whole = avg_pool2d(phases.square(), 4, 2).mean(1)
    return (repeats + 1e-7).sqrt(), (whole + 1e-7).sqrt()


def _standing_out(luma: Tensor) -> Tensor:
    height, width = luma.shape[-2:]
    padded = pad(luma, (2, 2, 2, 2), mode="replicate")
    ring = [
        padded[..., y : y + height, x : x + width]
        for y in range(5)
        for x in range(5)
        if y in (0, 4) or x in (0, 4)
    ]
    return relu(reduce(torch.minimum, ring) - luma) + relu(luma - reduce(torch.maximum, ring))
