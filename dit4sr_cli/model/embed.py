"""Patches, positions, timestep and pooled text to vectors.

Shapes: B batch, C latent channels, h w token grid, N = h*w tokens, D width.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


class PatchEmbed(nn.Module):
    """Latents to tokens, plus a position table that is cropped at its centre to the token grid."""

    pos_embed: Tensor

    def __init__(
        self, channels: int, width: int, patch: int, max_size: int, base_size: int
    ) -> None:
        super().__init__()
        self.proj = nn.Conv2d(channels, width, kernel_size=patch, stride=patch)
        self.max_size = max_size
        self.register_buffer("pos_embed", position_table(max_size, base_size, width))

    def forward(self, latents: Tensor) -> Tensor:
        """Embed [B, C, H, W] latents as [B, N, D] tokens."""
        grid = self.proj(latents)
        h, w = grid.shape[-2:]
        tokens = grid.flatten(2).transpose(1, 2)
        return tokens + self.positions(h, w).to(tokens.dtype)

    def positions(self, h: int, w: int) -> Tensor:
        """The table's central h x w crop, [1, N, D]."""
        size = self.max_size
        if h > size or w > size:
            raise ValueError(f"a grid of {h} x {w} tokens exceeds the position table of {size}")
        top, left = (size - h) // 2, (size - w) // 2
        table = self.pos_embed.view(1, size, size, -1)
        return table[:, top : top + h, left : left + w].reshape(1, h * w, -1)


def position_table(size: int, base_size: int, width: int) -> Tensor:
    """Sin-cos table [1, size*size, D]: the first half of the channels for x, the second for y."""
    if torch.get_default_device().type == "meta":
        return torch.empty(1, size * size, width)
    coordinates = torch.arange(size, dtype=torch.float64) / (size / base_size)
    axis = _sincos(coordinates, width // 2)
    x = axis[None, :, :].expand(size, size, -1)
    y = axis[:, None, :].expand(size, size, -1)
    return torch.cat([x, y], dim=-1).reshape(1, size * size, width).float()


def _sincos(positions: Tensor, channels: int) -> Tensor:
    half = channels // 2
    frequencies = 10000.0 ** (-torch.arange(half, dtype=torch.float64) / half)
    angles = positions[:, None] * frequencies[None, :]
    return torch.cat([angles.sin(), angles.cos()], dim=1)


class TwoLinear(nn.Module):
    """Linear, SiLU, linear."""

    def __init__(self, inputs: int, width: int) -> None:
        super().__init__()
        self.linear_1 = nn.Linear(inputs, width)
        self.linear_2 = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """Map [B, inputs] to [B, D]."""
        hidden = nn.functional.silu(self.linear_1(x))
        return self.linear_2(hidden)


class TimeTextEmbed(nn.Module):
    """One vector from the timestep (0..1000) and the pooled text."""

    frequencies = 256

    def __init__(self, pooled: int, width: int) -> None:
        super().__init__()
        self.timestep_embedder = TwoLinear(self.frequencies, width)
        self.text_embedder = TwoLinear(pooled, width)

    def forward(self, timestep: Tensor, pooled: Tensor) -> Tensor:
        """Map timesteps [B] and pooled text [B, P] to [B, D]."""
        waves = _timestep_waves(timestep, self.frequencies).to(pooled.dtype)
        return self.timestep_embedder(waves) + self.text_embedder(pooled)


def _timestep_waves(timestep: Tensor, channels: int) -> Tensor:
    half = channels // 2
    exponents = torch.arange(half, dtype=torch.float32, device=timestep.device) / half
    angles = timestep.float()[:, None] * torch.exp(-math.log(10000.0) * exponents)[None, :]
    return torch.cat([angles.cos(), angles.sin()], dim=-1)
