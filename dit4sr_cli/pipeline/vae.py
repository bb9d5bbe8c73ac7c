"""Stable Diffusion 3's VAE as a Codec: latents are the posterior's mode, shifted and scaled."""

from __future__ import annotations

from pathlib import Path

import torch
from diffusers import AutoencoderKL
from torch import Tensor
from typing_extensions import Self

from dit4sr_cli.core.errors import ModelError
from dit4sr_cli.core.sizes import MULTIPLE
from dit4sr_cli.core.words import as_reason
from dit4sr_cli.weights.files import read_json
from dit4sr_cli.weights.reader import check_fit, read_shapes, read_state_dict

FEATHER = 16
"""Cells over which windows fade into each other.

Group norm and the middle attention see the whole window, so neighbours agree closely, not exactly:
a hard border would show on a plain sky.
"""
MARGIN = 18 + FEATHER // 2
"""Cells that SD3's decoder sees to each side by its convolutions (17.25; the encoder's: 13.5)."""


class VaeCodec:
    """Adapts an AutoencoderKL to the Codec protocol."""

    downscale = MULTIPLE
    margin = MARGIN
    feather = FEATHER

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

    def to(self, device: torch.device) -> Self:
        """Move it."""
        self.vae.to(device)
        return self


def load_vae(folder: Path, *, device: torch.device) -> VaeCodec:
    """Load a `vae` folder in the diffusers layout; it computes in float32 whatever the rest does.

    Args:
        folder: with `config.json` and safetensors.
        device: where it computes.

    Raises:
        ModelError: files are missing or damaged, or are not of such a VAE.
    """
    vae = check_vae(folder)
    # float16 overflows in the decoder, and bfloat16 has fewer steps than a picture has grey
    # levels: float32, so that what is written is what the latents say.
    state = read_state_dict(folder, device=device, dtype=torch.float32)
    vae.load_state_dict(state, strict=True, assign=True)
    return VaeCodec(vae.requires_grad_(False).eval())


def check_vae(folder: Path) -> AutoencoderKL:
    """The VAE on `meta`, once its files are known to fit it; reads headers only.

    Raises:
        ModelError: files are missing or damaged, or are not of such a VAE.
    """
    if not folder.is_dir():
        raise ModelError(
            f"{folder}: the VAE is not there",
            hint=f"put the folder vae of Stable Diffusion 3.5 medium into {folder.parent}",
        )
    vae = _build(folder / "config.json")
    check_fit(vae, read_shapes(folder), folder)
    return vae


def _build(path: Path) -> AutoencoderKL:
    config = {key: value for key, value in read_json(path).items() if not key.startswith("_")}
    if 2 ** (len(config.get("block_out_channels", ())) - 1) != MULTIPLE:
        raise ModelError(f"{path}: this VAE does not shrink pictures by {MULTIPLE}")
    try:
        with torch.device("meta"):
            return AutoencoderKL(**config)
    except (TypeError, ValueError, LookupError) as error:
        raise ModelError(f"{path}: {as_reason(error)}") from error
