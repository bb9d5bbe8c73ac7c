"""Restores enlarged LR pictures: encode, sample over tiles, decode, match colours.

Shapes: N pictures, H W pixels, multiples of 8.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from dit4sr_cli.core.events import Observer, PhaseStarted, ignore
from dit4sr_cli.core.shortcuts import NO_SHORTCUTS, Shortcuts
from dit4sr_cli.core.types import Box, ColorFix, StartPoint
from dit4sr_cli.model.config import TransformerConfig
from dit4sr_cli.pipeline import color, latents
from dit4sr_cli.pipeline.components import Components
from dit4sr_cli.pipeline.conditioning import Conditioning
from dit4sr_cli.pipeline.denoise import denoise
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
    """Every choice of a run, none left open; `prompts` has one for each picture."""

    steps: int
    guidance: float
    seed: int
    prompts: tuple[str, ...]
    negative_prompt: str
    start: StartPoint
    color_fix: ColorFix
    tiling: Tiling
    shift: float
    shortcuts: Shortcuts = NO_SHORTCUTS


@torch.inference_mode()
def restore(
    components: Components,
    enlarged: Sequence[Tensor],
    sampling: Sampling,
    *,
    observe: Observer = ignore,
) -> list[Tensor]:
    """Restored pictures [3, H, W] in 0..1, of enlarged LR pictures [3, H, W] in 0..1.

    Several have to be of one size: they go through the transformer together, with the same noise.
    One part of the model works at a time: text encoders, codec, transformer, codec.

    Raises:
        OverflowedError: the transformer's precision does not reach.
    """
    positive, negative = encode_text(components, sampling, observe)
    side = codec_window(components)
    observe(PhaseStarted("encoding"))
    with components.codec.in_use() as codec:
        lr = torch.cat(
            [
                latents.encode(codec, image * 2 - 1, device=components.device, window=side)
                for image in enlarged
            ]
        )
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
            shift=sampling.shift,
            tiling=sampling.tiling,
            batch=max(1, batch_size(components, sampling) // len(lr)),
            shortcuts=sampling.shortcuts,
            observe=observe,
        )
    del lr, noise
    observe(PhaseStarted("decoding"))
    with components.codec.in_use() as codec:
        images = [latents.decode(codec, one[None], window=side) for one in restored]
    return [
        color.matched(image.add_(1).div_(2), reference, sampling.color_fix).clamp_(0, 1)
        for image, reference in zip(images, enlarged, strict=True)
    ]


def smaller_tiling(tiling: Tiling, min_cells: int = 1) -> Tiling | None:
    """Tiles of half the side, for when memory is short; None: they would be too small to be use."""
    size = tiling.size // 2
    if size < max(MIN_TILE, min_cells):
        return None
    return replace(tiling, size=size, overlap=tiling.overlap // 2)


def encode_text(
    components: Components, sampling: Sampling, observe: Observer
) -> tuple[Conditioning, Conditioning | None]:
    """The prompts' conditioning, and the negative one's if guidance leads away from it."""
    texts = list(dict.fromkeys(sampling.prompts))
    if sampling.guidance > 1:
        texts.append(sampling.negative_prompt)
    if not components.encode_text.knows(texts):
        observe(PhaseStarted("encoding text"))
    encoded = dict(zip(texts, components.encode_text(texts), strict=True))
    positive = Conditioning.joined([encoded[prompt] for prompt in sampling.prompts])
    return positive, encoded[sampling.negative_prompt] if sampling.guidance > 1 else None


def codec_window(components: Components) -> int:
    """How much the codec takes at once: less on devices with limits, or when memory is short."""
    side = limits_of(components.device).window
    return min(side, LOW_MEMORY_WINDOW) if components.streams else side


def batch_size(components: Components, sampling: Sampling) -> int:
    """How many tiles go through the transformer together; on the plain path one."""
    return 1 if components.plain else tiles_at_once(components.config, sampling.tiling.size)


def tiles_at_once(config: TransformerConfig, width: int, height: int | None = None) -> int:
    """How many tiles are worth a call: small ones need several, large ones fill the device.

    Args:
        config: of the transformer.
        width: of a tile, in latent cells.
        height: None: as the width.
    """
    tokens = 2 * (width // config.patch_size) * ((height or width) // config.patch_size)
    return max(1, TILE_TOKENS * 128 // (tokens * config.width * 4))
