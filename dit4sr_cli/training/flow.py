"""The paper's objective: flow matching on latents, judged by its estimate of x0.

sigma is a logit-normal draw mapped through the schedule's shifted table, x_t = (1 - sigma) x0 +
sigma n, the estimate x_t - sigma v, and the loss its squared distance to x0: what weighs a noise
level is how often it is drawn. Shapes: B samples of this process's piece, C channels, h w cells.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from dit4sr_cli.core.types import Box
from dit4sr_cli.model.flow import TRAIN_TIMESTEPS, clean_estimate, train_sigma
from dit4sr_cli.pipeline.components import Codec
from dit4sr_cli.pipeline.conditioning import Conditioning
from dit4sr_cli.pipeline.denoise import denoise
from dit4sr_cli.pipeline.noise import position_noise
from dit4sr_cli.tiles.grid import Tiling
from dit4sr_cli.training.config import TrainConfig
from dit4sr_cli.training.networks import Networks
from dit4sr_cli.training.regression import to_signed
from dit4sr_cli.training.share import Share, generator


class Flow(nn.Module):
    """Calling it computes the loss, so that whatever wraps it sees every use of its networks."""

    def __init__(
        self, networks: Networks, config: TrainConfig, null: Conditioning, codec: Codec | None
    ) -> None:
        """Put together.

        Args:
            networks: what is trained.
            config: the recipe.
            null: the text that takes the place of `flow.null_share` of the prompts.
            codec: makes pictures of latents for validation, and latents of photographs that are
                not prepared; None: there is none.
        """
        super().__init__()
        self.networks, self.config = networks, config
        self.null, self._codec = null, codec

    def forward(self, batch: Mapping[str, Tensor], share: Share, step: int) -> dict[str, Tensor]:
        """The loss, as `flow` and as `total`.

        Args:
            batch: `latent_hr` and `latent_lr` [B, C, h, w], or `original` and `enlarged`, uint8
                [B, 1, 3, H, W]; `prompt_embeds` [B, M, D] and `pooled_prompt_embeds` [B, P] where
                there are prompts.
            share: which piece of the batch that is.
            step: counted from 0.
        """
        clean, lr = self.latents(batch)
        draws = [self._draw(sample, clean.shape[1:]) for sample in share.samples(step)]
        sigma = torch.stack([draw[0] for draw in draws]).to(clean)[:, None, None, None]
        noise = torch.stack([draw[1] for draw in draws]).to(clean)
        noisy = (1 - sigma) * clean + sigma * noise
        text = self._text(batch, [draw[2] for draw in draws], clean)
        velocity = self.networks.transformer(
            noisy,
            lr,
            sigma.flatten() * TRAIN_TIMESTEPS,
            text.prompt_embeds,
            text.pooled_prompt_embeds,
        )
        loss = (clean_estimate(noisy, velocity, sigma) - clean).square().mean()
        return {"flow": loss, "total": loss}

    @torch.no_grad()
    def latents(self, batch: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Of the originals and of the enlarged LR pictures, as they were prepared or made here."""
        if "latent_hr" in batch:
            return batch["latent_hr"].float(), batch["latent_lr"].float()
        assert self._codec is not None  # what is not prepared comes with a codec
        pictures = (to_signed(batch[key].flatten(0, 1)) for key in ("original", "enlarged"))
        clean, lr = (self._codec.encode(picture) for picture in pictures)
        return clean, lr

    def restore(self, batch: Mapping[str, Tensor], number: int) -> Tensor | None:
        """Sampled pictures [B, 3, H, W] in about -1..1; `number` is the seed of their noise."""
        if self._codec is None:
            return None
        lr, settings = self.latents(batch)[1], self.config.validation
        height, width = lr.shape[-2:]
        null = self.null.to(lr.device)
        latents = denoise(
            self.networks.transformer,
            lr,
            position_noise(number, lr.shape[1], Box(0, 0, width, height)),
            positive=self._text(batch, [False] * len(lr), lr),
            negative=null,
            steps=settings.steps,
            guidance=settings.guidance,
            shift=self.config.flow.shift,
            tiling=Tiling(max(height, width), 0),
        )
        return self._codec.decode(latents)

    def _draw(self, sample: int, shape: torch.Size) -> tuple[Tensor, Tensor, bool]:
        """Noise level, noise and whether the prompt is left out, for one sample."""
        own = generator(self.config.seed, sample)
        uniform = torch.sigmoid(torch.randn((), generator=own))
        sigma = train_sigma(uniform, self.config.flow.shift)
        is_null = bool(torch.rand((), generator=own) < self.config.flow.null_share)
        return sigma, torch.randn(shape, generator=own), is_null

    def _text(self, batch: Mapping[str, Tensor], is_null: list[bool], like: Tensor) -> Conditioning:
        null = self.null.to(like.device)
        if "prompt_embeds" not in batch:
            return null.of_tiles(1, len(like))
        drop = torch.tensor(is_null, device=like.device)
        embeds, pooled = batch["prompt_embeds"].float(), batch["pooled_prompt_embeds"].float()
        return Conditioning(
            torch.where(drop[:, None, None], null.prompt_embeds, embeds),
            torch.where(drop[:, None], null.pooled_prompt_embeds, pooled),
        )
