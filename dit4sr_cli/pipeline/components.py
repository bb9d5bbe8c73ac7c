"""The loaded parts of a model, whatever its size: transformer, codec and conditioning."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import torch
from torch import Tensor

from dit4sr_cli.pipeline.denoise import Conditioning
from dit4sr_cli.weights.spec import ModelSpec
from dit4sr_cli.weights.transformer import Transformer

Encoder: TypeAlias = Callable[[str, str], tuple[Conditioning, Conditioning]]
"""Prompt and negative prompt to their conditionings."""


class Codec(Protocol):
    """Images [B, 3, H, W] in -1..1 to latents [B, C, H/8, W/8], shifted and scaled, and back."""

    downscale: int
    channels: int
    margin: int
    """Latent cells around a window that its decoding depends on."""

    def encode(self, images: Tensor) -> Tensor:
        """Latents of images."""

    def decode(self, latents: Tensor) -> Tensor:
        """Images of latents."""


@dataclass(frozen=True, slots=True)
class Components:
    """A model ready to run."""

    spec: ModelSpec
    transformer: Transformer
    codec: Codec
    encode_text: Encoder
    device: torch.device
    dtype: torch.dtype
