"""The last stage of nano's decoder: draws on the decoded picture what its blocks leave soft.

What is to be drawn is found on cells of 4 x 4 pixels, enlarged smoothly and drawn at full
resolution. Behind the first layer no weight belongs to a place within a cell, so that no pattern
can follow the grid of the cells.
Shapes: B batch, H W pixels, multiples of 8.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, leaky_relu, pixel_unshuffle

CELL = 4
"""Side in pixels of the cells; divides the codec's blocks."""
STRIP = 64
"""Rows that are drawn at once where no gradients are needed: they stay in the cache."""
LEAK = 0.1
_FINE_REACH = 14
"""Pixels that drawing looks beyond a cell: two enlargements and six convolutions."""
_HALO = 16
"""Rows around a strip that it depends on: that, in whole cells."""


class Draw(nn.Module):
    """Adds to a picture; it starts as the identity of what lies in -1..1.

    Args:
        width: channels on the cells.
        blocks: residual pairs of convolutions there.
        fine: channels at half and at full resolution.
    """

    def __init__(self, width: int, blocks: int, fine: int) -> None:
        super().__init__()
        self.reach = CELL * (2 * blocks + 1) + _FINE_REACH
        """Pixels around one that it depends on."""
        self.head = _conv(3 * CELL * CELL, width)
        self.blocks = nn.Sequential(*(_Block(width) for _ in range(blocks)))
        self.half_in = _conv(width, fine)
        self.half_mid = _conv(fine, fine)
        self.full_in = _conv(fine + 3, fine)
        self.full_mid = nn.ModuleList(_conv(fine, fine) for _ in range(2))
        self.tail = _conv(fine, 3)
        nn.init.zeros_(self.tail.weight)
        nn.init.zeros_(self.tail.bias)  # type: ignore[arg-type]

    def forward(self, images: Tensor) -> Tensor:
        """Map images [B, 3, H, W], about -1..1, to images; what lies beyond is cut off first."""
        # Its weights see 0..1.
        images = ((images + 1) / 2).clamp(0, 1).contiguous(memory_format=torch.channels_last)
        hidden = self.blocks(self.head(pixel_unshuffle(images, CELL)))
        if torch.is_grad_enabled():
            drawn = self._finish(hidden, images)
        else:
            drawn = self._finish_strips(hidden, images)
        return drawn * 2 - 1

    def _finish(self, hidden: Tensor, images: Tensor) -> Tensor:
        """Draw what the cells say [B, C, H/4, W/4] on the images they were found in."""
        hidden = _leaky(self.half_in(_twice(hidden)))
        hidden = hidden + _leaky(self.half_mid(hidden))
        hidden = torch.cat([_twice(hidden), images.to(hidden.dtype)], dim=1)
        hidden = _leaky(self.full_in(hidden))
        for convolution in self.full_mid:
            hidden = _leaky(convolution(hidden))
        return images + self.tail(hidden)

    def _finish_strips(self, hidden: Tensor, images: Tensor) -> Tensor:
        drawn, height = torch.empty_like(images), images.shape[2]
        for top in range(0, height, STRIP):
            bottom = min(top + STRIP, height)
            first, last = max(0, top - _HALO), min(height, bottom + _HALO)
            strip = self._finish(
                hidden[:, :, first // CELL : last // CELL], images[:, :, first:last]
            )
            drawn[:, :, top:bottom] = strip[:, :, top - first : bottom - first]
        return drawn


class _Block(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1, self.conv2 = _conv(width, width), _conv(width, width)

    def forward(self, hidden: Tensor) -> Tensor:
        change: Tensor = self.conv2(_leaky(self.conv1(hidden)))
        return hidden + change


def _conv(inputs: int, outputs: int) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 3, padding=1)


def _leaky(hidden: Tensor) -> Tensor:
    return leaky_relu(hidden, LEAK)


def _twice(hidden: Tensor) -> Tensor:
    return interpolate(hidden, scale_factor=2, mode="bilinear")
