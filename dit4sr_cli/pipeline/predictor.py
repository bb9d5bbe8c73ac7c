"""Guided velocities of tiles, whichever form the network comes in.

Shapes: N pictures, B boxes at once, C channels, s tile side, M text tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeAlias

import torch
from torch import Tensor

from dit4sr_cli.core.shortcuts import NO_SHORTCUTS, Shortcuts
from dit4sr_cli.core.types import Box
from dit4sr_cli.model.config import TransformerConfig
from dit4sr_cli.model.flow import TRAIN_TIMESTEPS, guided
from dit4sr_cli.model.prepared import Prepared
from dit4sr_cli.model.reuse import Reuse
from dit4sr_cli.model.transformer import MMDiTControl
from dit4sr_cli.pipeline import memory
from dit4sr_cli.pipeline.conditioning import Conditioning
from dit4sr_cli.pipeline.device import limits_of
from dit4sr_cli.pipeline.memory import Fitting
from dit4sr_cli.tiles.blend import cut

if TYPE_CHECKING:  # it brings diffusers, which our own networks do without
    from dit4sr_cli.pipeline.controlnet import ControlNetBaseline

Network: TypeAlias = "MMDiTControl | Prepared | ControlNetBaseline"
REMEMBERED_BYTES = 1 << 29
"""LR tokens that are kept from step to step."""
REUSED_BYTES = 1 << 32
"""Work of blocks that is kept to be taken again; tiles beyond that are computed."""


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
        shortcuts: Shortcuts = NO_SHORTCUTS,
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
            shortcuts: to a result that is not quite the same.
        """
        if guidance > 1 and negative is None:
            raise ValueError("guidance above 1 needs a negative conditioning")
        self._network, self._guidance, self._device = network, guidance, device
        self._levels, self._shortcuts = levels, shortcuts
        self._halves = [positive.to(device)]
        if guidance > 1 and negative is not None:
            self._halves.append(negative.to(device))
        largest = _largest_batch(network.config, _tokens(network.config, tile, positive), device)
        # What is kept for a batch of tiles fits no part of it: with reuse, batches stay whole.
        self._fitting = network if shortcuts.reuse else Fitting(network, device, largest=largest)
        self._lr_tokens: dict[tuple[Box, ...], Tensor] = {}
        self._whiches: dict[tuple[int, int], Tensor] = {}
        self._reuses: dict[tuple[tuple[Box, ...], int], Reuse] = {}
        self.forget_tiles()
        if isinstance(network, Prepared):
            self._conditions = network.conditions(
                torch.tensor(levels) * TRAIN_TIMESTEPS,
                torch.cat([half.prompt_embeds for half in self._halves]),
                torch.cat([half.pooled_prompt_embeds for half in self._halves]),
            )
        if device.type == "cpu":
            memory.keep_pages()  # not before: what was read for the conditions shall go

    def __call__(
        self, boxes: Sequence[Box], *, latents: Tensor, lr_latents: Tensor, step: int
    ) -> Tensor:
        """Velocities of some tiles, [B * N, C, s, s]; both guidance halves go as one batch."""
        noisy, lr = (
            torch.cat([cut(x, box) for box in boxes]).contiguous().to(self._device)
            for x in (latents, lr_latents)
        )
        halves = self._halves if self._shortcuts.guides(self._levels[step]) else self._halves[:1]
        parts, pictures = len(halves), len(latents)
        twice = noisy.repeat(parts, 1, 1, 1), lr.repeat(parts, 1, 1, 1)
        if isinstance(self._network, Prepared):
            lr_tokens = self._embedded(boxes, lr)
            velocity = self._fitting(
                *twice,
                lr_tokens.repeat(parts, 1, 1),
                self._which(len(boxes), pictures, parts),
                conditions=self._conditions,
                step=step,
                **self._reuse(boxes, parts, lr_tokens),
            )
        else:
            text = Conditioning.joined([half.of_tiles(len(boxes), pictures) for half in halves])
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

    def forget_tiles(self) -> None:
        """Begin with other latents: what was kept of tiles is of no use for theirs."""
        self._lr_tokens.clear()
        self._reuses.clear()
        self._room = REMEMBERED_BYTES if len(self._levels) > 1 else 0
        self._reused_room = REUSED_BYTES

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

    def _reuse(self, boxes: Sequence[Box], parts: int, lr_tokens: Tensor) -> dict[str, Reuse]:
        """What these tiles may take from the step before."""
        if not self._shortcuts.reuse:
            return {}
        key = tuple(boxes), parts
        if key not in self._reuses:
            self._reused_room -= 2 * parts * lr_tokens.nbytes
            if self._reused_room < 0:
                return {}
            self._reuses[key] = Reuse(self._shortcuts.reuse)
        return {"reuse": self._reuses[key]}

    def _which(self, boxes: int, pictures: int, parts: int) -> Tensor:
        """Number of each tile's text: all pictures of the first box first; then the other half."""
        key = boxes, parts
        if key in self._whiches:  # sent to the device once
            return self._whiches[key]
        numbers, first = [], 0
        for half in self._halves[:parts]:
            texts = len(half.prompt_embeds)
            numbers += [first + picture % texts for picture in range(pictures)] * boxes
            first += texts
        return self._whiches.setdefault(key, torch.tensor(numbers).to(self._device))


def _tokens(config: TransformerConfig, box: Box, text: Conditioning) -> int:
    """Tokens that attend to each other: X, L and C of one tile."""
    image = (box.width // config.patch_size) * (box.height // config.patch_size)
    return 2 * image + text.prompt_embeds.shape[1]


def _largest_batch(config: TransformerConfig, tokens: int, device: torch.device) -> int | None:
    """What keeps the attention matrix, where a device makes it, within what a tensor may hold."""
    limit = limits_of(device).max_elements
    return None if limit is None else max(1, limit // (config.num_attention_heads * tokens**2))
