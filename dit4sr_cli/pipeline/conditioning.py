"""Text as the transformer takes it.

Shapes: N pictures, M text tokens, D channels of a token, P of the pooled form.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from dit4sr_cli.model.config import TransformerConfig


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
