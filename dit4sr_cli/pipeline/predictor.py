"""Guided velocities of tiles, whichever form the network comes in.

Shapes: N pictures, B boxes at once, C channels, s tile side, M text tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import torch
from torch import Tensor

from dit4sr_cli.core.types import Box
from dit4sr_cli.model.config import TransformerConfig
from dit4sr_cli.model.flow import TRAIN_TIMESTEPS, guided
from dit4sr_cli.model.prepared import Prepared
from dit4sr_cli.model.transformer import MMDiTControl
from dit4sr_cli.pipeline.conditioning import Conditioning
from dit4sr_cli.pipeline.device import limits_of
from dit4sr_cli.pipeline.memory import Fitting
from dit4sr_cli.tiles.blend import cut

Network: TypeAlias = MMDiTControl | Prepared
REMEMBERED_BYTES = 1 << 29
"""LR tokens that are kept from step to step."""


class Predictor:
    """Guided velocities of tiles at the steps of a run."""

    def __init__(
        self,
        network: Network,
        tile: Box,
        *,
        levels: Sequence[float],
        positive: Conditioning,
        negative: Conditioning | None,
        guidance: float,
        device: torch.device,
    ) -> None:
        """Get ready for a run.

        Args:
            network: predicts the velocity.
            tile: one of those to come, which are all of one size.
            levels: sigma of each step.
            positive: the prompts, of one or of N pictures.
            negative: what guidance leads away from; needed if guidance is above 1.
            guidance: classifier-free guidance; 1 or less skips the negative half.
            device: of the network.
        """
        if guidance > 1 and negative is None:
            raise ValueError("guidance above 1 needs a negative conditioning")
        self._network, self._guidance, self._device = network, guidance, device
        self._levels = levels
        self._halves = [positive.to(device)]
        if guidance > 1 and negative is not None:
            self._halves.append(negative.to(device))
        largest = _largest_batch(network.config, _tokens(network.config, tile, positive), device)
        self._fitting = Fitting(network, device, largest=largest)
        self._lr_tokens: dict[tuple[Box, ...], Tensor] = {}
        self._whiches: dict[int, Tensor] = {}
        self._room = REMEMBERED_BYTES if len(levels) > 1 else 0
        if isinstance(network, Prepared):
            self._conditions = network.conditions(
                torch.tensor(levels) * TRAIN_TIMESTEPS,
                torch.cat([half.prompt_embeds for half in self._halves]),
                torch.cat([half.pooled_prompt_embeds for half in self._halves]),
            )

    def __call__(
        self, boxes: Sequence[Box], *, latents: Tensor, lr_latents: Tensor, step: int
    ) -> Tensor:
        """Velocities of some tiles, [B * N, C, s, s]; both guidance halves go as one batch."""
        noisy, lr = (
            torch.cat([cut(x, box) for box in boxes]).contiguous().to(self._device)
            for x in (latents, lr_latents)
        )
        parts, pictures = len(self._halves), len(latents)
        twice = noisy.repeat(parts, 1, 1, 1), lr.repeat(parts, 1, 1, 1)
        if isinstance(self._network, Prepared):
            velocity = self._fitting(
                *twice,
                self._embedded(boxes, lr).repeat(parts, 1, 1),
                self._which(len(boxes), pictures),
                conditions=self._conditions,
                step=step,
            )
        else:
            text = Conditioning.joined(
                [half.of_tiles(len(boxes), pictures) for half in self._halves]
            )
            sigma = self._levels[step] * TRAIN_TIMESTEPS
            timestep = torch.full((len(noisy) * parts,), sigma, device=self._device)
            velocity = self._fitting(
                *twice, timestep, text.prompt_embeds, text.pooled_prompt_embeds
            )
        velocity = velocity.float()
        if parts == 1:
            return velocity
        for_prompt, against = velocity.chunk(2)
        return guided(for_prompt, against, self._guidance)

    def _embedded(self, boxes: Sequence[Box], lr: Tensor) -> Tensor:
        """LR tokens of tiles: the same in all steps, so they are kept while there is room."""
        assert isinstance(self._network, Prepared)
        key = tuple(boxes)
        if key not in self._lr_tokens:
            tokens = self._network.embed_lr(lr)
            if tokens.nbytes > self._room:
                return tokens
            self._room -= tokens.nbytes
            self._lr_tokens[key] = tokens
        return self._lr_tokens[key]

    def _which(self, boxes: int, pictures: int) -> Tensor:
        """Number of each tile's text: all pictures of the first box first; then the other half."""
        if boxes in self._whiches:  # sent to the device once
            return self._whiches[boxes]
        numbers, first = [], 0
        for half in self._halves:
            texts = len(half.prompt_embeds)
            numbers += [first + picture % texts for picture in range(pictures)] * boxes
            first += texts
        return self._whiches.setdefault(boxes, torch.tensor(numbers).to(self._device))


def _tokens(config: TransformerConfig, box: Box, text: Conditioning) -> int:
    """Tokens that attend to each other: X, L and C of one tile."""
    image = (box.width // config.patch_size) * (box.height // config.patch_size)
    return 2 * image + text.prompt_embeds.shape[1]


def _largest_batch(config: TransformerConfig, tokens: int, device: torch.device) -> int | None:
    """What keeps the attention matrix, where a device makes it, within what a tensor may hold."""
    limit = limits_of(device).max_elements
    return None if limit is None else max(1, limit // (config.num_attention_heads * tokens**2))
