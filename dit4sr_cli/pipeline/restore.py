"""Restores one enlarged LR picture: encode, sample over tiles, decode, match colours.

Shapes: H W pixels, multiples of 8.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from dit4sr_cli.core.events import Observer, PhaseStarted, ignore
from dit4sr_cli.core.types import Box, ColorFix, StartPoint
from dit4sr_cli.pipeline import color, latents
from dit4sr_cli.pipeline.components import Components
from dit4sr_cli.pipeline.denoise import Conditioning, denoise
from dit4sr_cli.pipeline.device import limits_of
from dit4sr_cli.pipeline.noise import position_noise
from dit4sr_cli.tiles.grid import Tiling

TILE_TOKENS = 16384
"""Tokens that go through the transformer at once on the CPU: enough to keep it busy."""
MIN_TILE = 16
"""Side in latent cells of the smallest tiles that still see enough of the picture."""
LOW_MEMORY_WINDOW = 64
"""Side in latent cells of what the codec takes at once when memory is short: some 2 GB."""


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
    """The restored picture [3, H, W] in 0..1, of the enlarged LR picture [3, H, W] in 0..1.

    One part of the model works at a time: text encoders, codec, transformer, codec.

    Raises:
        OverflowedError: the transformer's precision does not reach.
    """
    positive, negative = encode_text(components, sampling, observe)
    side = codec_window(components)
    observe(PhaseStarted("encoding"))
    with components.codec.in_use() as codec:
        lr = latents.encode(codec, enlarged * 2 - 1, device=components.device, window=side)
    height, width = lr.shape[-2:]
    noise = position_noise(sampling.seed, lr.shape[1], Box(0, 0, width, height))
    observe(PhaseStarted("loading the transformer"))
    with components.transformer.in_use() as transformer:
        restored = denoise(
            transformer,
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
    with components.codec.in_use() as codec:
        image = latents.decode(codec, restored, window=side)
    image = image.add_(1).div_(2)
    return color.matched(image, enlarged, sampling.color_fix).clamp_(0, 1)


def texts_of(sampling: Sampling) -> list[str]:
    """What has to be encoded: the negative prompt only if guidance leads away from it."""
    return [sampling.prompt, *([sampling.negative_prompt] if sampling.guidance > 1 else [])]


def smaller_tiling(tiling: Tiling, min_cells: int = 1) -> Tiling | None:
    """Tiles of half the side, for when memory is short; None: they would be too small to be use."""
    size = tiling.size // 2
    if size < max(MIN_TILE, min_cells):
        return None
    return replace(tiling, size=size, overlap=tiling.overlap // 2)


def encode_text(
    components: Components, sampling: Sampling, observe: Observer
) -> tuple[Conditioning, Conditioning | None]:
    """The prompt's conditioning, and the negative one's if guidance needs it."""
    texts = texts_of(sampling)
    if not components.encode_text.knows(texts):
        observe(PhaseStarted("encoding text"))
    positive, *negative = components.encode_text(texts)
    return positive, negative[0] if negative else None


def codec_window(components: Components) -> int:
    """How much the codec takes at once: less on devices with limits, or when memory is short."""
    side = limits_of(components.device).window
    return min(side, LOW_MEMORY_WINDOW) if components.streams else side


def _batch(components: Components, tiling: Tiling) -> int:
    """Tiles at once: small models need several to be worth a call, large ones fill the device."""
    tokens = 2 * (tiling.size // components.config.patch_size) ** 2
    return max(1, TILE_TOKENS * 128 // (tokens * components.config.width * 4))
