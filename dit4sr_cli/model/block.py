"""One MM-DiT-Control block: modulation, attention, feed-forward with the LR injection.

Shapes: B batch, N tokens of X and of L each, M text tokens, D width, F = 4D features.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu, layer_norm, silu

from dit4sr_cli.model.attention import JointAttention
from dit4sr_cli.model.config import TransformerConfig


class Modulation(nn.Module):
    """The adaLN linear: conditioning vector to `parts` vectors of shift, scale or gate."""

    def __init__(self, width: int, parts: int) -> None:
        super().__init__()
        self.linear = nn.Linear(width, parts * width)
        self.parts = parts

    def forward(self, temb: Tensor) -> tuple[Tensor, ...]:
        """Map [B, D] to `parts` tensors [B, 1, D]."""
        out: Tensor = self.linear(silu(temb))
        return out[:, None].chunk(self.parts, dim=-1)


def normed(x: Tensor) -> Tensor:
    """Layer norm without weights."""
    return layer_norm(x, x.shape[-1:], eps=1e-6)


def modulated(x: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
    """Scale and shift normed tokens."""
    return x * (1 + scale) + shift


class GeluLinear(nn.Module):
    """Linear, then GELU in its tanh form."""

    def __init__(self, width: int, features: int) -> None:
        super().__init__()
        self.proj = nn.Linear(width, features)

    def forward(self, x: Tensor) -> Tensor:
        """Map [B, N, D] to [B, N, F]."""
        return gelu(self.proj(x), approximate="tanh")


class FeedForward(nn.Module):
    """Two linears; between them the LR features reach the image features (section 3.3)."""

    def __init__(self, config: TransformerConfig, *, control: bool) -> None:
        super().__init__()
        width, features = config.width, 4 * config.width
        # Position 1 is a dropout in the published layout: it has no weights.
        self.net = nn.ModuleList(
            [GeluLinear(width, features), nn.Identity(), nn.Linear(features, width)]
        )
        self.injection_scale = config.injection_scale
        if control and config.injection == "conv":
            self.control_conv = nn.Conv2d(features, features, 3, padding=1, groups=features)
        if control and config.injection == "linear":
            self.control_linear = nn.Linear(features, features)

    def forward(self, x: Tensor) -> Tensor:
        """Feed text [B, M, D] forward."""
        return self.net[2](self.net[0](x))

    def inject(self, image: Tensor, grid: tuple[int, int], *, need_lr: bool = True) -> Tensor:
        """Feed [X; L] forward on its h x w grid; only X comes back without `need_lr`."""
        x, lr = self.net[0](image).chunk(2, dim=1)
        x = x + self.injection_scale * self._injected(lr, grid)
        return self.net[2](torch.cat([x, lr], dim=1) if need_lr else x)

    def _injected(self, lr: Tensor, grid: tuple[int, int]) -> Tensor:
        if hasattr(self, "control_conv"):
            plane = lr.transpose(1, 2).unflatten(2, grid)
            return self.control_conv(plane).flatten(2).transpose(1, 2)
        if hasattr(self, "control_linear"):
            return self.control_linear(lr)
        return torch.zeros_like(lr)


class Block(nn.Module):
    """One block; the last one has no text output and drops L."""

    def __init__(self, config: TransformerConfig, *, dual: bool, last: bool) -> None:
        super().__init__()
        self.dual, self.last = dual, last
        self.norm1 = Modulation(config.width, 9 if dual else 6)
        self.norm1_context = Modulation(config.width, 2 if last else 6)
        self.attn = JointAttention(config, text_out=not last)
        if dual:
            self.attn2 = JointAttention(config, text_out=True)
        self.ff = FeedForward(config, control=True)
        if not last:
            self.ff_context = FeedForward(config, control=False)

    def forward(
        self, image: Tensor, text: Tensor, temb: Tensor, grid: tuple[int, int]
    ) -> tuple[Tensor, Tensor]:
        """Map [X; L] [B, 2N, D] and text [B, M, D] to the same; after the last block only X."""
        shift, scale, gate, ff_shift, ff_scale, ff_gate, *second = self.norm1(temb)
        normed_image, normed_text = normed(image), normed(text)
        if self.last:
            text_scale, text_shift = self.norm1_context(temb)
        else:
            text_shift, text_scale, text_gate, *text_ff = self.norm1_context(temb)

        attended, text_attended = self.attn(
            modulated(normed_image, shift, scale), modulated(normed_text, text_shift, text_scale)
        )
        image = image + gate * attended
        if self.dual:
            shift2, scale2, gate2 = second
            attended2, _ = self.attn2(modulated(normed_image, shift2, scale2), None)
            image = image + gate2 * attended2

        fed = self.ff.inject(
            modulated(normed(image), ff_shift, ff_scale), grid, need_lr=not self.last
        )
        if self.last:
            return image.chunk(2, dim=1)[0] + ff_gate * fed, text
        text = text + text_gate * text_attended
        return image + ff_gate * fed, self._feed_text(text, text_ff)

    def _feed_text(self, text: Tensor, modulation: list[Tensor]) -> Tensor:
        shift, scale, gate = modulation
        return text + gate * self.ff_context(modulated(normed(text), shift, scale))
