"""Restores one enlarged LR picture: encode, sample over tiles, decode, match colours.

Shapes: H W pixels, multiples of 8.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from dit4sr_cli.core.events import Observer, PhaseStarted, ignore
from dit4sr_cli.core.types import Box, ColorFix, StartPoint
from dit4sr_cli.pipeline import color, latents
from dit4sr_cli.pipeline.components import Components
from dit4sr_cli.pipeline.denoise import denoise
from dit4sr_cli.pipeline.noise import position_noise
from dit4sr_cli.tiles.grid import Tiling

TILE_TOKENS = 16384
"""Tokens that go through the transformer at once on the CPU: enough to keep it busy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """Every choice of a run, none left open."""

    steps: int
    guidance: float
    seed: int
    prompt: str
    negative_prompt: str
    start: StartPoint
    color_fix: ColorFix
    tiling: Tiling


@torch.inference_mode()
def restore(
    components: Components, enlarged: Tensor, sampling: Sampling, *, observe: Observer = ignore
) -> Tensor:
    """The restored picture [3, H, W] in 0..1, of the enlarged LR picture [3, H, W] in 0..1."""
    observe(PhaseStarted("encoding text"))
    positive, negative = components.encode_text(sampling.prompt, sampling.negative_prompt)
    observe(PhaseStarted("encoding"))
    lr = latents.encode(components.codec, enlarged * 2 - 1, device=components.device)
    height, width = lr.shape[-2:]
    noise = position_noise(sampling.seed, lr.shape[1], Box(0, 0, width, height))
    restored = denoise(
        components.transformer,
        lr,
        noise,
        positive=positive,
        negative=negative,
        steps=sampling.steps,
        guidance=sampling.guidance,
        start=sampling.start,
        shift=components.spec.shift,
        tiling=sampling.tiling,
        batch=_batch(components, sampling.tiling),
        observe=observe,
    )
    del lr, noise
    observe(PhaseStarted("decoding"))
    image = latents.decode(components.codec, restored)
    image = image.add_(1).div_(2)
    return color.matched(image, enlarged, sampling.color_fix).clamp_(0, 1)


def _batch(components: Components, tiling: Tiling) -> int:
    """Tiles at once: small models need several to be worth a call, large ones fill the device."""
    tokens = 2 * (tiling.size // components.transformer.config.patch_size) ** 2
    width = components.transformer.config.width
    return max(1, TILE_TOKENS * 128 // (tokens * width * 4))
