"""The sampling loop: noise levels x tiles, with guidance.

Shapes: N pictures, B boxes at once, C channels, H W latent grid, M text tokens.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

import torch
from torch import Tensor

from dit4sr_cli.core.events import Advanced, Observer, PhaseStarted, ignore
from dit4sr_cli.core.types import Box, StartPoint
from dit4sr_cli.model.config import TransformerConfig
from dit4sr_cli.model.flow import TRAIN_TIMESTEPS, euler_step, guided, sigmas, start_latents
from dit4sr_cli.model.transformer import MMDiTControl
from dit4sr_cli.pipeline.device import limits_of
from dit4sr_cli.pipeline.memory import Fitting
from dit4sr_cli.tiles.blend import blended, cut
from dit4sr_cli.tiles.grid import Tiling, cover


@dataclass(frozen=True, slots=True)
class Conditioning:
    """Text for the transformer: embeddings [N, M, D] and their pooled form [N, P].

    One conditioning may stand for all pictures: N is 1 then.
    """

    prompt_embeds: Tensor
    pooled_prompt_embeds: Tensor

    @classmethod
    def null(cls, config: TransformerConfig) -> Conditioning:
        """What stands for text in a model without text encoders: one token a channel.

        One-hot tokens pick the columns of the context embedder, which are learned.
        """
        tokens = torch.eye(config.joint_attention_dim)[None]
        return cls(tokens, torch.zeros(1, config.pooled_projection_dim))

    @classmethod
    def joined(cls, parts: Sequence[Conditioning]) -> Conditioning:
        """Those of several pictures, each with its own."""
        return cls(
            torch.cat([part.prompt_embeds for part in parts]),
            torch.cat([part.pooled_prompt_embeds for part in parts]),
        )

    def of_tiles(self, boxes: int, pictures: int) -> Conditioning:
        """What each of so many tiles is told, those of the first box first."""
        embeds = self.prompt_embeds.expand(pictures, -1, -1).repeat(boxes, 1, 1)
        return Conditioning(embeds, self.pooled_prompt_embeds.expand(pictures, -1).repeat(boxes, 1))

    def to(self, device: torch.device) -> Conditioning:
        """The same on another device."""
        return Conditioning(self.prompt_embeds.to(device), self.pooled_prompt_embeds.to(device))


class OverflowedError(ArithmeticError):
    """Latents became infinite or no numbers: the precision is too narrow for these weights."""


@torch.inference_mode()
def denoise(
    transformer: MMDiTControl,
    lr_latents: Tensor,
    noise: Tensor,
    *,
    positive: Conditioning,
    negative: Conditioning | None = None,
    steps: int = 40,
    guidance: float = 8.0,
    start: StartPoint | str = StartPoint.NOISE,
    shift: float = 3.0,
    tiling: Tiling | None = None,
    batch: int = 1,
    observe: Observer = ignore,
) -> Tensor:
    """Sample the latents of restored pictures.

    Args:
        transformer: predicts the velocity.
        lr_latents: latents of the enlarged LR pictures, shifted and scaled, [N, C, H, W].
        noise: standard normal, same shape, or [1, C, H, W]: the same for all.
        positive: the prompts.
        negative: what guidance leads away from; needed if guidance is above 1.
        steps: Euler steps.
        guidance: classifier-free guidance; 1 or less skips the negative half.
        start: `noise`, or `lr`: LR latents noised to the first level.
        shift: of the noise schedule.
        tiling: how the latents are cut; None: 64 cells with an overlap of 24, evenly spread.
        batch: boxes that go through the transformer together, of all pictures; fewer do when
            memory is short.
        observe: hears of every finished tile.

    Returns:
        Latents [N, C, H, W], float32, on the device of `lr_latents`.

    Raises:
        OverflowedError: the transformer's precision does not reach.
    """
    tiling = tiling or Tiling()
    levels = sigmas(steps, shift).tolist()
    lr_latents = lr_latents.float()
    noise = noise.to(lr_latents).expand_as(lr_latents)
    latents = start_latents(lr_latents, noise, levels[0], StartPoint(start).value)
    boxes = cover(latents.shape[-1], latents.shape[-2], tiling)
    pictures = len(latents)
    observe(PhaseStarted("sampling", total=steps * len(boxes) * pictures))
    velocity = torch.empty_like(latents)
    predict_velocity = predictor(
        transformer,
        boxes[0],
        positive=positive,
        negative=negative,
        guidance=guidance,
        device=latents.device,
    )
    finished = 0

    def advance(count: int) -> None:
        nonlocal finished
        finished += count * pictures
        observe(Advanced(finished))

    for step, (sigma, following) in enumerate(pairwise(levels)):
        predict = partial(predict_velocity, latents=latents, lr_latents=lr_latents, sigma=sigma)
        blended(predict, boxes, velocity, grid=tiling.grid, batch=batch, after=advance)
        latents = euler_step(latents, velocity, sigma, following)
        # Asking makes the device wait, so not every step: what overflows does so at once.
        if step in (0, steps - 1):
            check_finite(latents)
    return latents


def predictor(
    transformer: MMDiTControl,
    tile: Box,
    *,
    positive: Conditioning,
    negative: Conditioning | None,
    guidance: float,
    device: torch.device,
) -> Callable[..., Tensor]:
    """Guided velocities of tiles like this one: a function of boxes, latents, lr_latents, sigma."""
    if guidance > 1 and negative is None:
        raise ValueError("guidance above 1 needs a negative conditioning")
    halves = [positive, negative] if guidance > 1 and negative is not None else [positive]
    tokens = _tokens(transformer.config, tile, positive)
    largest = _largest_batch(transformer.config, tokens, device)
    return partial(
        _velocity,
        transformer=Fitting(transformer, device, largest=largest),
        halves=[half.to(device) for half in halves],
        guidance=guidance,
        device=device,
    )


def check_finite(latents: Tensor) -> None:
    """Raise if the precision did not reach.

    Raises:
        OverflowedError: latents are infinite or no numbers.
    """
    if not _are_finite(latents):
        raise OverflowedError("the latents are not finite")


def _are_finite(latents: Tensor) -> bool:
    return bool(latents.isfinite().all())


def _tokens(config: TransformerConfig, box: Box, text: Conditioning) -> int:
    """Tokens that attend to each other: X, L and C of one tile."""
    image = (box.width // config.patch_size) * (box.height // config.patch_size)
    return 2 * image + text.prompt_embeds.shape[1]


def _largest_batch(config: TransformerConfig, tokens: int, device: torch.device) -> int | None:
    """What keeps the attention matrix, where a device makes it, within what a tensor may hold."""
    limit = limits_of(device).max_elements
    return None if limit is None else max(1, limit // (config.num_attention_heads * tokens**2))


def _velocity(
    boxes: Sequence[Box],
    *,
    transformer: Fitting,
    latents: Tensor,
    lr_latents: Tensor,
    sigma: float,
    halves: Sequence[Conditioning],
    guidance: float,
    device: torch.device,
) -> Tensor:
    """Guided velocity of some tiles, [B * N, C, s, s]; both guidance halves go as one batch."""
    noisy, lr = (
        torch.cat([cut(x, box) for box in boxes]).contiguous().to(device)
        for x in (latents, lr_latents)
    )
    parts = len(halves)
    text = Conditioning.joined([half.of_tiles(len(boxes), len(latents)) for half in halves])
    timestep = torch.full((len(noisy) * parts,), sigma * TRAIN_TIMESTEPS, device=device)
    velocity = transformer(
        noisy.repeat(parts, 1, 1, 1),
        lr.repeat(parts, 1, 1, 1),
        timestep,
        text.prompt_embeds,
        text.pooled_prompt_embeds,
    ).float()
    if parts == 1:
        return velocity
    for_prompt, against = velocity.chunk(2)
    return guided(for_prompt, against, guidance)
