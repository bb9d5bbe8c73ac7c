"""Losses of pictures beside their distance in pixels: how much detail there is, and no grid in it.

Shapes: B batch, H W pixels.
"""

from __future__ import annotations

import torch
from torch import Tensor

from dit4sr_cli.model.codec import BLOCK


def texture_loss(restored: Tensor, target: Tensor) -> Tensor:
    """Distance of local contrast in three octaves: how much detail there is, wherever it lies.

    Log of the local standard deviation of each octave's luma detail over 8 x 8 windows. It asks for
    as much grain as the original has, and gives nothing for a pattern in place of none.
    """
    total = restored.new_zeros(())
    a, b = restored.mean(1, keepdim=True), target.mean(1, keepdim=True)
    for _ in range(3):
        (a, detail_a), (b, detail_b) = _octave(a), _octave(b)
        total = total + (_contrast(detail_a) - _contrast(detail_b)).abs().mean()
    return total / 3


def grid_loss(restored: Tensor, target: Tensor) -> Tensor:
    """Distance of the share that each phase of the codec's 8-pixel grid has in a picture's edges.

    Log of the mean absolute step between neighbours, by phase, over bands of 32 pixels, less its
    mean: a grid of blocks shows as a phase that is stronger than the others.
    """
    a, b = restored.mean(1), target.mean(1)
    along_x = (_phase_steps(a) - _phase_steps(b)).abs().mean()
    along_y = (_phase_steps(a.mT) - _phase_steps(b.mT)).abs().mean()
    return (along_x + along_y) / 2


def _phase_steps(plane: Tensor) -> Tensor:
    """[B, H, W] to relative log mean steps [B, bands, 8] along the last axis."""
    steps = plane.diff(dim=2).abs()
    blocks = steps[:, :, : steps.shape[2] // BLOCK * BLOCK].unflatten(2, (-1, BLOCK)).mean(2)
    bands = blocks.unflatten(1, (-1, min(32, blocks.shape[1]))).mean(2)
    strength = torch.log(bands + 1e-3)
    return strength - strength.mean(dim=2, keepdim=True)


def _octave(x: Tensor) -> tuple[Tensor, Tensor]:
    low = torch.nn.functional.avg_pool2d(x, 2)
    return low, x - torch.nn.functional.interpolate(low, scale_factor=2, mode="bilinear")


def _contrast(detail: Tensor) -> Tensor:
    energy = torch.nn.functional.avg_pool2d(detail**2, 8, stride=4)
    return 0.5 * torch.log(energy + 1e-4)
