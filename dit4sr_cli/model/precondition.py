"""Residual preconditioning: lets a small network predict what LR latents lack, at unit variance.

With x0 = L + r, r of standard deviation `residual_std` per channel, and x_t = (1-s) x0 + s n, the
best linear guess of r from x_t is the Wiener filter; the network F adds the rest, scaled by what
that filter leaves uncertain. At s = 1 the filter's input is zero: the first step is a deterministic
regression from L. The velocity (x_t - x0) / s is what any flow-matching sampler expects.

Shapes: B batch, C latent channels, H W latent grid.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class ResidualPreconditioner(nn.Module):
    """Scales of the wrapped network, measured on the training data and saved with the weights."""

    residual_std: Tensor
    lr_mean: Tensor
    lr_std: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("residual_std", torch.ones(channels))
        self.register_buffer("lr_mean", torch.zeros(channels))
        self.register_buffer("lr_std", torch.ones(channels))

    def inputs(self, noisy: Tensor, lr: Tensor, timestep: Tensor) -> tuple[Tensor, Tensor]:
        """What the network sees for X and L, both [B, C, H, W], at timesteps [B] in 0..1000."""
        return self.filtered(noisy, lr, timestep), self.normalized(lr)

    def filtered(self, noisy: Tensor, lr: Tensor, timestep: Tensor) -> Tensor:
        """What the network sees for X."""
        s, std, variance = self._levels(timestep)
        residual_t = noisy - (1 - s) * lr
        return (1 - s) * std * residual_t / variance

    def normalized(self, lr: Tensor) -> Tensor:
        """What the network sees for L, at any timestep."""
        return (lr - _channels(self.lr_mean)) / _channels(self.lr_std)

    def clean_latents(self, output: Tensor, noisy: Tensor, lr: Tensor, timestep: Tensor) -> Tensor:
        """The network's estimate of x0 from its raw output, [B, C, H, W]."""
        s, std, variance = self._levels(timestep)
        residual_t = noisy - (1 - s) * lr
        filtered = (1 - s) * std**2 * residual_t / variance
        return lr + filtered + s * std * output / variance.sqrt()

    def velocity(self, output: Tensor, noisy: Tensor, lr: Tensor, timestep: Tensor) -> Tensor:
        """The flow-matching velocity that belongs to `output`."""
        s = _levels_of(timestep).clamp_min(1e-4)
        return (noisy - self.clean_latents(output, noisy, lr, timestep)) / s

    def _levels(self, timestep: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        s, std = _levels_of(timestep), _channels(self.residual_std)
        return s, std, ((1 - s) * std) ** 2 + s**2 + 1e-12


def _levels_of(timestep: Tensor) -> Tensor:
    return (timestep.float() / 1000)[:, None, None, None]


def _channels(x: Tensor) -> Tensor:
    return x.float()[None, :, None, None]
