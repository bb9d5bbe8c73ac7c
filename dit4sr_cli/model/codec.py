"""nano's codec: images to latents and back, the interface that the SD3 VAE is adapted to.

Shapes: B batch, H W pixels, h w = H/8 W/8 latent cells, C = 192 channels (8 x 8 RGB pixels).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu, pixel_shuffle, pixel_unshuffle

BLOCK = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class CodecConfig:
    """Shape of a BlockCodec.

    Args:
        scaling_factor: latents are transform coefficients times this.
        refine_width: channels of the decoder's convolution; 0: the decoder is the exact inverse.
    """

    scaling_factor: float = 10.0
    refine_width: int = 192


class BlockCodec(nn.Module):
    """8 x 8 block cosine transform of opponent colours, and a two convolutions before its inverse.

    Encoding loses nothing. The decoder's convolutions look over each block's border, so that a
    picture made block by block shows no grid.
    """

    downscale = BLOCK
    channels = 3 * BLOCK * BLOCK
    margin = 2
    """Cells around a window that its decoding depends on: two 3 x 3 convolutions."""
    feather = 0
    """Windows with that margin agree exactly."""
    basis: Tensor
    refine_std: Tensor

    def __init__(self, config: CodecConfig) -> None:
        super().__init__()
        self.config = config
        self.register_buffer("basis", _basis(), persistent=False)
        if config.refine_width:
            self.register_buffer("refine_std", torch.ones(self.channels))
            self.refine_in = nn.Conv2d(self.channels, config.refine_width, 3, padding=1)
            self.refine_mid = nn.Conv2d(config.refine_width, config.refine_width, 3, padding=1)
            self.refine_out = nn.Conv2d(config.refine_width, self.channels, 1)
            for parameter in self.refine_out.parameters():
                nn.init.zeros_(parameter)

    def encode(self, images: Tensor) -> Tensor:
        """Map images [B, 3, H, W] in -1..1, H and W multiples of 8, to latents [B, C, h, w]."""
        blocks = pixel_unshuffle(images, BLOCK)
        return torch.einsum("oi,bihw->bohw", self.basis, blocks) * self.config.scaling_factor

    def decode(self, latents: Tensor) -> Tensor:
        """Map latents [B, C, h, w] to images [B, 3, H, W], about -1..1, not clamped."""
        if self.config.refine_width:
            std = self.refine_std[None, :, None, None]
            hidden = gelu(self.refine_in(latents / std), approximate="tanh")
            hidden = gelu(self.refine_mid(hidden), approximate="tanh")
            latents = latents + std * self.refine_out(hidden)
        blocks = torch.einsum("oi,bohw->bihw", self.basis, latents / self.config.scaling_factor)
        return pixel_shuffle(blocks, BLOCK)


def _basis() -> Tensor:
    """Orthonormal [C, C] matrix: opponent colours (x) vertical (x) horizontal cosine transform."""
    n = torch.arange(BLOCK, dtype=torch.float64)
    cosine = torch.cos(math.pi * (2 * n[None, :] + 1) * n[:, None] / (2 * BLOCK))
    cosine = cosine * math.sqrt(2 / BLOCK)
    cosine[0] /= math.sqrt(2)
    colors = torch.tensor(
        [[1.0, 1.0, 1.0], [1.0, 0.0, -1.0], [1.0, -2.0, 1.0]], dtype=torch.float64
    )
    colors = colors / colors.norm(dim=1, keepdim=True)
    return torch.kron(colors, torch.kron(cosine, cosine)).float()
