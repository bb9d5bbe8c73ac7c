"""The blocks of the prepared transformer: those of `block` and `attention`, as they are run.

Shapes: B tiles at once, N tokens of one tile, M text tokens, D width, h heads of d. X and L are one
tensor [2, B, N, D].
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, layer_norm, rms_norm

from dit4sr_cli.model.config import TransformerConfig
from dit4sr_cli.model.folding import State, below, folded, joined, keep, stacked
from dit4sr_cli.model.kernels import attention, gelu_
from dit4sr_cli.model.matrix import AnyMatrix, Matrix

EPS = 1e-6


class PreparedBlock(nn.Module):
    """One block: see `Block`."""

    def __init__(self, config: TransformerConfig, state: State, *, is_last: bool) -> None:
        super().__init__()
        self.is_last = is_last
        self.attn = PreparedAttention(
            config, below(state, "attn."), has_text=True, text_asks=not is_last
        )
        self.attn2 = None
        if "attn2.to_q.weight" in state:
            self.attn2 = PreparedAttention(config, below(state, "attn2."), has_text=False)
        self.ff = PreparedFeedForward(config, below(state, "ff."))
        self.ff_context = None
        if not is_last:
            self.ff_context = PreparedFeedForward(config, below(state, "ff_context."))

    def forward(
        self,
        image: Tensor,
        text: Tensor,
        for_image: tuple[Tensor, ...],
        for_text: tuple[Tensor, ...],
        grid: tuple[int, int],
    ) -> tuple[Tensor, Tensor]:
        """Map [X; L] [2, B, N, D], which is overwritten, and text [B, M, D]; at the end only X."""
        shift, scale, gate, ff_shift, ff_scale, ff_gate, *second = for_image
        normed = layer_norm(image, image.shape[-1:], eps=EPS)
        if self.is_last:
            text_scale, text_shift = for_text
        else:
            text_shift, text_scale, text_gate, *text_ff = for_text
        attended, text_attended = self.attn(
            torch.addcmul(shift, normed, scale), modulated(text, text_shift, text_scale)
        )
        _add_gated(image, gate, attended)
        if self.attn2 is not None:
            shift, scale, gate = second
            _add_gated(image, gate, self.attn2(torch.addcmul(shift, normed, scale), None)[0])
        fed = self.ff.inject(modulated(image, ff_shift, ff_scale), grid, need_lr=not self.is_last)
        if self.is_last:
            return image[:1].addcmul_(ff_gate, fed), text
        image.addcmul_(ff_gate, fed)
        assert self.ff_context is not None and text_attended is not None
        text = torch.addcmul(text, text_gate, text_attended)
        shift, scale, gate = text_ff
        return image, text.addcmul_(gate, self.ff_context(modulated(text, shift, scale)))


class PreparedAttention(nn.Module):
    """Joint attention: see `JointAttention`."""

    def __init__(
        self, config: TransformerConfig, state: State, *, has_text: bool, text_asks: bool = True
    ) -> None:
        super().__init__()
        self.config, self.has_text, self.text_asks = config, has_text, text_asks
        self.uses_own_key = config.wiring == "r1"
        self.image: AnyMatrix = Matrix(**stacked(state, "to_q", "to_k", "to_v"))
        control = "qkv" if self.uses_own_key else "qv"
        self.lr: AnyMatrix = Matrix(**joined([folded(state, name) for name in control]))
        if has_text:
            added = "qkv" if text_asks else "kv"
            names = [f"add_{name}_proj" for name in added]
            self.text: AnyMatrix = Matrix(**stacked(state, *names))
        self.image_out: AnyMatrix = Matrix(**below(state, "to_out.0."))
        self.lr_out: AnyMatrix = Matrix(**below(state, "to_out_control."))
        if has_text and text_asks:
            self.text_out: AnyMatrix = Matrix(**below(state, "to_add_out."))
        for name in ("norm_q", "norm_k", "norm_added_q", "norm_added_k"):
            if config.qk_norm and (has_text or "added" not in name):
                self.register_buffer(name, state[f"{name}.weight"].clone())

    def forward(
        self, image: Tensor, text: Tensor | None
    ) -> tuple[tuple[Tensor, Tensor], Tensor | None]:
        """Attend, from modulated [X; L] [2, B, N, D] and text [B, M, D]; X, L and text come out."""
        x, lr = image
        tokens = x.shape[1]
        qx, kx, vx = self._heads(self.image(x), 3)
        qx, kx = self._normed(qx, "norm_q"), self._normed(kx, "norm_k")
        if self.uses_own_key:
            ql, kl, vl = self._heads(self.lr(lr), 3)
        else:
            (ql, vl), kl = self._heads(self.lr(lr), 2), kx
        ql, kl = self._normed(ql, "norm_q"), self._normed(kl, "norm_k")
        text_qkv = None if text is None else self._text(text)
        x_out, lr_out, text_out = self._attend((qx, kx, vx), (ql, kl, vl), text_qkv, tokens)
        if self.config.lr_residual:
            lr_out = lr_out + lr
        out = self.image_out(x_out), self.lr_out(lr_out)
        return out, None if text_out is None else self.text_out(text_out)

    def _attend(
        self,
        x: tuple[Tensor, ...],
        lr: tuple[Tensor, ...],
        text: tuple[Tensor, ...] | None,
        tokens: int,
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        if self.config.control_attention == "separate":
            main, lr_out = _attention(_join(x, text)), _attention(_join(lr))
            x_out, rest = main[:, :tokens], main[:, tokens:]
        else:
            out = _attention(_join(x, lr, text))
            x_out, lr_out = out[:, :tokens], out[:, tokens : 2 * tokens]
            rest = out[:, 2 * tokens :]
        return x_out, lr_out, rest if text is not None and self.text_asks else None

    def _text(self, text: Tensor) -> tuple[Tensor, ...]:
        if self.text_asks:
            q, k, v = self._heads(self.text(text), 3)
            return self._normed(q, "norm_added_q"), self._normed(k, "norm_added_k"), v
        k, v = self._heads(self.text(text), 2)
        return k[:, :0], self._normed(k, "norm_added_k"), v

    def _heads(self, flat: Tensor, count: int) -> tuple[Tensor, ...]:
        """[B, N, count * D] to so many of [B, N, h, d]."""
        return flat.unflatten(-1, (count, -1, self.config.attention_head_dim)).unbind(2)

    def _normed(self, x: Tensor, name: str) -> Tensor:
        weight = getattr(self, name, None)
        return x if weight is None else rms_norm(x, x.shape[-1:], weight, EPS)


class PreparedFeedForward(nn.Module):
    """Feed-forward with LR injection, whose strength is part of its weights: see `FeedForward`."""

    control_conv_weight: Tensor
    control_conv_bias: Tensor

    def __init__(self, config: TransformerConfig, state: State) -> None:
        super().__init__()
        self.up: AnyMatrix = Matrix(**below(state, "net.0.proj."))
        self.down: AnyMatrix = Matrix(**below(state, "net.2."))
        conv, control = (
            {k: v * config.injection_scale for k, v in below(state, f"{name}.").items()}
            for name in ("control_conv", "control_linear")
        )
        self.has_conv = bool(conv)
        if conv:
            keep(self, "control_conv", conv)
        self.control_linear: AnyMatrix | None = Matrix(**control) if control else None

    def forward(self, x: Tensor) -> Tensor:
        """Feed text [B, M, D] forward."""
        return self.down(gelu_(self.up(x)))

    def inject(self, image: Tensor, grid: tuple[int, int], *, need_lr: bool) -> Tensor:
        """Feed [X; L] [2, B, N, D] forward; only X [1, B, N, D] comes back without `need_lr`."""
        hidden = gelu_(self.up(image))
        x, lr = hidden
        if self.has_conv:
            # A view: tokens are pixels, and channels come last.
            plane = lr.unflatten(1, grid).permute(0, 3, 1, 2)
            weight, bias = self.control_conv_weight, self.control_conv_bias
            injected = conv2d(plane, weight, bias, padding=1, groups=len(weight))
            x += injected.permute(0, 2, 3, 1).flatten(1, 2)
        elif self.control_linear is not None:
            x += self.control_linear(lr)
        return self.down(hidden if need_lr else hidden[:1])


def modulated(x: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
    """Layer norm without weights, then scale and shift; the scale has one added."""
    return layer_norm(x, x.shape[-1:], eps=EPS).mul_(scale).add_(shift)


def _add_gated(image: Tensor, gate: Tensor, streams: tuple[Tensor, Tensor]) -> None:
    for old, new in zip(image, streams, strict=True):
        old.addcmul_(gate, new)


def _join(*streams: tuple[Tensor, ...] | None) -> list[Tensor]:
    present = [stream for stream in streams if stream is not None]
    return [torch.cat(parts, dim=1) for parts in zip(*present, strict=True)]


def _attention(qkv: list[Tensor]) -> Tensor:
    """Heads [B, N, h, d] to [B, N, D]."""
    return attention(*(part.transpose(1, 2) for part in qkv)).transpose(1, 2).flatten(2)
