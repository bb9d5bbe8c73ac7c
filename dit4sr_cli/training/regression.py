"""The embedded model's objective: part of each batch at s = 1, the rest at random levels.

At s = 1 the first sampling step is a regression from the LR latents, judged in pixels through the
decoder; below, the estimate of x0 is judged in latents, low noise weighted down.
Shapes: B samples of this process's piece, H W pixels, h w latent cells.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from dit4sr_cli.model.flow import clean_estimate
from dit4sr_cli.model.transformer import MMDiTControl
from dit4sr_cli.pipeline.conditioning import Conditioning
from dit4sr_cli.training.config import TrainConfig
from dit4sr_cli.training.loss import grid_loss, texture_loss
from dit4sr_cli.training.networks import Networks
from dit4sr_cli.training.share import Share, generator

if TYPE_CHECKING:
    from dit4sr_cli.pipeline.controlnet import ControlNetBaseline

LEVEL_MEAN, LEVEL_STD = 0.6, 1.0
"""Noise levels of the random part: sigmoid of this normal."""
LEVEL_FLOOR = 0.3


class Regression(nn.Module):
    """Calling it computes the loss, so that whatever wraps it sees every use of its networks."""

    def __init__(self, networks: Networks, config: TrainConfig) -> None:
        super().__init__()
        self.networks, self.config = networks, config

    def forward(self, batch: Mapping[str, Tensor], share: Share, step: int) -> dict[str, Tensor]:
        """Loss parts and their weighted sum, `total`.

        Args:
            batch: `original` and `enlarged`, uint8 [items, tiles, 3, H, W], the piece's samples.
            share: which piece of the batch that is.
            step: counted from 0.
        """
        original, enlarged = (
            to_signed(batch[key].flatten(0, 1)) for key in ("original", "enlarged")
        )
        settings, codec, model = self.config.loss, self.networks.codec, self.networks.transformer
        regressed = max(1, round(settings.regression_share * share.batch))
        split = share.count_below(regressed)
        lr = codec.encode(enlarged)
        parts = {name: lr.new_zeros(()) for name in ("pixel", "texture", "grid", "flow")}
        if split:
            restored, target = codec.decode(regress(model, lr[:split])), original[:split]
            parts["pixel"] = (restored - target).abs().mean() / settings.pixel_scale
            if settings.texture_weight:
                parts["texture"] = texture_loss(restored, target)
            if settings.grid_weight:
                parts["grid"] = grid_loss(restored, target)
        if split < share.size:
            samples = share.samples(step)[split:]
            parts["flow"] = flow_loss(
                model, self.config.seed, codec.encode(original[split:]), lr[split:], samples
            )
        of_regressed = share.weight(split, regressed)
        of_others = share.weight(share.size - split, share.batch - regressed)
        weighted = {
            name: part * (of_others if name == "flow" else of_regressed)
            for name, part in parts.items()
        }
        return {**weighted, "total": self._total(weighted, step)}

    @torch.no_grad()
    def restore(self, batch: Mapping[str, Tensor], number: int) -> Tensor:
        """Pictures [B, 3, H, W] in about -1..1 of `batch`'s `enlarged`; there is no noise."""
        lr = self.networks.codec.encode(to_signed(batch["enlarged"].flatten(0, 1)))
        return self.networks.codec.decode(regress(self.networks.transformer, lr))

    def _total(self, parts: Mapping[str, Tensor], step: int) -> Tensor:
        settings = self.config.loss
        total = parts["pixel"] + parts["flow"]
        if step < settings.texture_from:
            return total
        textures = settings.texture_weight * parts["texture"]
        return total + textures + settings.grid_weight * parts["grid"]


def flow_loss(
    model: MMDiTControl | ControlNetBaseline, seed: int, clean: Tensor, lr: Tensor, samples: range
) -> Tensor:
    """Error of the estimate of x0 [B, C, h, w] at random noise levels, low noise weighted down."""
    draws = [_draw(seed, sample, clean.shape[1:]) for sample in samples]
    s = torch.stack([level for level, _ in draws]).to(clean)[:, None, None, None]
    noise = torch.stack([noise for _, noise in draws]).to(clean)
    noisy = (1 - s) * clean + s * noise
    velocity = model(noisy, lr, s.flatten() * 1000, *null_text(model, lr))
    error = (clean_estimate(noisy, velocity, s) - clean) ** 2
    return 0.5 * (error / (s**2 + LEVEL_FLOOR)).mean()


def regress(model: MMDiTControl | ControlNetBaseline, lr_latents: Tensor) -> Tensor:
    """The estimate of x0 at s = 1, where the noise does not matter: one step of the sampler."""
    timestep = lr_latents.new_full((len(lr_latents),), 1000.0)
    noise = torch.zeros_like(lr_latents)
    return noise - model(noise, lr_latents, timestep, *null_text(model, lr_latents))


def null_text(model: MMDiTControl | ControlNetBaseline, latents: Tensor) -> tuple[Tensor, Tensor]:
    """What stands for text, once for each picture, on the latents' device."""
    null, batch = Conditioning.null(model.config).to(latents.device), len(latents)
    return null.prompt_embeds.expand(batch, -1, -1), null.pooled_prompt_embeds.expand(batch, -1)


def to_signed(image: Tensor) -> Tensor:
    """Bytes to -1..1."""
    return image.float() / 127.5 - 1


def _draw(seed: int, sample: int, shape: torch.Size) -> tuple[Tensor, Tensor]:
    own = generator(seed, sample)
    level = torch.sigmoid(LEVEL_MEAN + LEVEL_STD * torch.randn((), generator=own))
    return level, torch.randn(shape, generator=own)
