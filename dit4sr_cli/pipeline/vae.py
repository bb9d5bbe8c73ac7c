"""Stable Diffusion 3's VAE as a Codec: latents are the posterior's mode, shifted and scaled."""

from __future__ import annotations

from pathlib import Path
from textwrap import shorten

import torch
from diffusers import AutoencoderKL
from torch import Tensor

from dit4sr_cli.core.errors import ModelError
from dit4sr_cli.core.sizes import MULTIPLE
from dit4sr_cli.weights.reader import read_json, read_state_dict

MARGIN = 18
"""Cells that SD3's decoder sees to each side by its convolutions (17.25; the encoder's: 13.5).

Group norm and the middle attention see the whole window: windows agree closely, not exactly.
"""
_LONGEST_MESSAGE = 300


class VaeCodec:
    """Adapts an AutoencoderKL to the Codec protocol."""

    downscale = MULTIPLE
    margin = MARGIN

    def __init__(self, vae: AutoencoderKL) -> None:
        self.vae = vae
        self.channels: int = vae.config.latent_channels
        self.scale: float = vae.config.scaling_factor
        self.shift: float = vae.config.shift_factor or 0.0

    @torch.no_grad()
    def encode(self, images: Tensor) -> Tensor:
        """Map images [B, 3, H, W] in -1..1, H and W multiples of 8, to latents [B, C, h, w]."""
        # Its mode, not a sample: the same picture always has the same latents.
        mode: Tensor = self.vae.encode(images.to(self.vae.dtype)).latent_dist.mode()
        return (mode - self.shift) * self.scale

    @torch.no_grad()
    def decode(self, latents: Tensor) -> Tensor:
        """Map latents [B, C, h, w] to images [B, 3, H, W], about -1..1, not clamped."""
        z = latents.to(self.vae.dtype) / self.scale + self.shift
        images: Tensor = self.vae.decode(z).sample
        return images


def load_vae(folder: Path, *, device: torch.device, dtype: torch.dtype) -> VaeCodec:
    """Load a `vae` folder in the diffusers layout.

    Args:
        folder: with `config.json` and safetensors.
        device: where it computes.
        dtype: of the transformer; the VAE computes in float32 whatever it is.

    Raises:
        ModelError: files are missing or damaged, or are not of such a VAE.
    """
    if not folder.is_dir():
        raise ModelError(
            f"{folder}: the VAE is not there",
            hint=f"put the folder vae of Stable Diffusion 3.5 medium into {folder.parent}",
        )
    vae = _build(folder)
    # float16 overflows in the decoder, and bfloat16 has fewer steps than a picture has grey
    # levels: float32, so that what is written is what the latents say.
    return VaeCodec(vae.requires_grad_(False).to(device=device, dtype=torch.float32).eval())


def _build(folder: Path) -> AutoencoderKL:
    path = folder / "config.json"
    config = {key: value for key, value in read_json(path).items() if not key.startswith("_")}
    if 2 ** (len(config.get("block_out_channels", ())) - 1) != MULTIPLE:
        raise ModelError(f"{path}: this VAE does not shrink pictures by {MULTIPLE}")
    try:
        with torch.device("meta"):
            vae = AutoencoderKL(**config)
    except (TypeError, ValueError, LookupError) as error:
        raise ModelError(f"{path}: {_one_line(error)}") from error
    state = read_state_dict(folder)
    try:
        vae.load_state_dict(state, strict=True, assign=True)
    except RuntimeError as error:
        raise ModelError(
            f"{folder}: {_one_line(error)}",
            hint="these weights are not of this VAE, or the copy is incomplete",
        ) from error
    return vae


def _one_line(error: Exception) -> str:
    return shorten(str(error), _LONGEST_MESSAGE, placeholder=" ...")
