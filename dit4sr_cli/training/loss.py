"""Flow-matching loss of the embedded model: part of each batch at s = 1, the rest at random levels.

At s = 1 the first sampling step is a regression from the LR latents, judged in pixels through the
decoder; below, the estimate of x0 is judged in latents, low noise weighted down.
Shapes: B batch, H W pixels.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from dit4sr_cli.model.codec import BLOCK, BlockCodec
from dit4sr_cli.model.transformer import MMDiTControl
from dit4sr_cli.pipeline.conditioning import Conditioning
from dit4sr_cli.training.config import LossConfig

LEVEL_MEAN, LEVEL_STD = 0.6, 1.0
"""Noise levels of the random part: sigmoid of this normal."""
LEVEL_FLOOR = 0.3


@dataclass(frozen=True, slots=True)
class Losses:
    """Parts of one batch's loss; `restored` [B', 3, H, W] are the pictures of the s = 1 part."""

    pixel: Tensor
    texture: Tensor
    grid: Tensor
    flow: Tensor
    restored: Tensor


def _null_conditioning(model: MMDiTControl, batch: int) -> tuple[Tensor, Tensor]:
    null = Conditioning.null(model.config)
    return null.prompt_embeds.expand(batch, -1, -1), null.pooled_prompt_embeds.expand(batch, -1)


def regress(model: MMDiTControl, lr_latents: Tensor) -> Tensor:
    """The estimate of x0 at s = 1, where the noise does not matter: one step of the sampler."""
    batch = lr_latents.shape[0]
    timestep = torch.full((batch,), 1000.0)
    noise = torch.zeros_like(lr_latents)
    return noise - model(noise, lr_latents, timestep, *_null_conditioning(model, batch))


def losses(
    model: MMDiTControl,
    codec: BlockCodec,
    original: Tensor,
    enlarged: Tensor,
    config: LossConfig,
    generator: Generator,
) -> Losses:
    """Loss parts of a batch of pairs [B, 3, H, W] in -1..1."""
    lr = codec.encode(enlarged)
    split = max(1, round(config.regression_share * original.shape[0]))
    restored = codec.decode(regress(model, lr[:split]))
    target = original[:split]
    pixel = (restored - target).abs().mean() / config.pixel_scale
    texture = texture_loss(restored, target) if config.texture_weight else pixel.new_zeros(())
    grid = grid_loss(restored, target) if config.grid_weight else pixel.new_zeros(())
    flow = pixel.new_zeros(())
    if split < original.shape[0]:
        flow = _flow_loss(model, codec.encode(original[split:]), lr[split:], generator)
    return Losses(pixel, texture, grid, flow, restored)


def _flow_loss(model: MMDiTControl, clean: Tensor, lr: Tensor, generator: Generator) -> Tensor:
    batch = clean.shape[0]
    normal = torch.randn(batch, generator=generator)
    s = torch.sigmoid(LEVEL_MEAN + LEVEL_STD * normal)[:, None, None, None]
    noise = torch.randn(clean.shape, generator=generator)
    noisy = (1 - s) * clean + s * noise
    velocity = model(noisy, lr, s.flatten() * 1000, *_null_conditioning(model, batch))
    error = (noisy - s * velocity - clean) ** 2
    return 0.5 * (error / (s**2 + LEVEL_FLOOR)).mean()


def texture_loss(restored: Tensor, target: Tensor) -> Tensor:
    """Distance of local contrast in three octaves: how much detail there is, wherever it lies.

    Log of the local standard deviation of each octave's luma detail over 8 x 8 windows. It asks for
    as much grain as the original has, and gives nothing for a pattern in place of none.
    """
    total = restored.new_zeros(())
    a, b = restored.mean(1, keepdim=True), target.mean(1, keepdim=True)
    for _ in range(3):
        (a, detail_a), (b, detail_b) = _octave(a), _octave(b)
        total = total + (_contrast(detail_a) - _contrast(detail_b)).abs().mean()
    return total / 3


def grid_loss(restored: Tensor, target: Tensor) -> Tensor:
    """Distance of the share that each phase of the codec's 8-pixel grid has in a picture's edges.

    Log of the mean absolute step between neighbours, by phase, over bands of 32 pixels, less its
    mean: a grid of blocks shows as a phase that is stronger than the others.
    """
    a, b = restored.mean(1), target.mean(1)
    along_x = (_phase_steps(a) - _phase_steps(b)).abs().mean()
    along_y = (_phase_steps(a.mT) - _phase_steps(b.mT)).abs().mean()
    return (along_x + along_y) / 2


def _phase_steps(plane: Tensor) -> Tensor:
    """[B, H, W] to relative log mean steps [B, bands, 8] along the last axis."""
    steps = plane.diff(dim=2).abs()
    blocks = steps[:, :, : steps.shape[2] // BLOCK * BLOCK].unflatten(2, (-1, BLOCK)).mean(2)
    bands = blocks.unflatten(1, (-1, min(32, blocks.shape[1]))).mean(2)
    strength = torch.log(bands + 1e-3)
    return strength - strength.mean(dim=2, keepdim=True)


def _octave(x: Tensor) -> tuple[Tensor, Tensor]:
    low = torch.nn.functional.avg_pool2d(x, 2)
    return low, x - torch.nn.functional.interpolate(low, scale_factor=2, mode="bilinear")


def _contrast(detail: Tensor) -> Tensor:
    energy = torch.nn.functional.avg_pool2d(detail**2, 8, stride=4)
    return 0.5 * torch.log(energy + 1e-4)
