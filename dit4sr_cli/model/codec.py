"""nano's codec: images to latents and back, the interface that the SD3 VAE is adapted to.

Shapes: B batch, H W pixels, h w = H/8 W/8 latent cells, C = 192 channels (8 x 8 RGB pixels).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu, pixel_shuffle, pixel_unshuffle

from dit4sr_cli.model.draw import Draw

BLOCK = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class CodecConfig:
    """Shape of a BlockCodec.

    Args:
        scaling_factor: latents are transform coefficients times this.
        refine_width: channels of the convolutions before the inverse; 0: it is the exact inverse.
        draw_width: channels of the drawing stage after it, `model.draw`; 0: there is none.
        draw_blocks: its depth.
        draw_fine: its channels at full resolution.
    """

    scaling_factor: float = 10.0
    refine_width: int = 192
    draw_width: int = 0
    draw_blocks: int = 8
    draw_fine: int = 48


class BlockCodec(nn.Module):
    """8 x 8 block cosine transform of opponent colours, with convolutions around its inverse.

    Encoding loses nothing. The decoder's convolutions look over each block's border, so that a
    picture made block by block shows no grid; those after the inverse draw.
    """

    downscale = BLOCK
    channels = 3 * BLOCK * BLOCK
    feather = 0
    """Windows with that margin agree exactly."""
    basis: Tensor
    refine_std: Tensor

    def __init__(self, config: CodecConfig) -> None:
        super().__init__()
        self.config = config
        self.margin = 2 if config.refine_width else 0
        """Cells around a window that its decoding depends on: the reach of all convolutions."""
        self.register_buffer("basis", _basis(), persistent=False)
        if config.refine_width:
            self.register_buffer("refine_std", torch.ones(self.channels))
            self.refine_in = nn.Conv2d(self.channels, config.refine_width, 3, padding=1)
            self.refine_mid = nn.Conv2d(config.refine_width, config.refine_width, 3, padding=1)
            self.refine_out = nn.Conv2d(config.refine_width, self.channels, 1)
            for parameter in self.refine_out.parameters():
                nn.init.zeros_(parameter)
        if config.draw_width:
            self.draw = Draw(config.draw_width, config.draw_blocks, config.draw_fine)
            self.margin += math.ceil(self.draw.reach / BLOCK)

    def encode(self, images: Tensor) -> Tensor:
        """Map images [B, 3, H, W] in -1..1, H and W multiples of 8, to latents [B, C, h, w]."""
        blocks = pixel_unshuffle(images, BLOCK)
        return torch.einsum("oi,bihw->bohw", self.basis, blocks) * self.config.scaling_factor

    def decode(self, latents: Tensor) -> Tensor:
        """Map latents [B, C, h, w] to images [B, 3, H, W], about -1..1, not clamped."""
        images = self.decode_undrawn(latents)
        return self.draw(images) if self.config.draw_width else images

    def decode_undrawn(self, latents: Tensor) -> Tensor:
        """`decode` up to the inverse transform: what the drawing stage starts from."""
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
