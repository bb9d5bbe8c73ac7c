"""Joint attention over the image stream X, the LR stream L and the text C (paper section 3.2).

Shapes: B batch, N tokens of X and of L each, M text tokens, D width, h heads, d head size.
X and L travel as one tensor [B, 2N, D] because all their norms and frozen weights are shared.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from dit4sr_cli.model.config import TransformerConfig
from dit4sr_cli.model.kernels import attention


class JointAttention(nn.Module):
    """Attention of one block; `attn2` of dual blocks is the same without text."""

    def __init__(self, config: TransformerConfig, *, text_out: bool) -> None:
        super().__init__()
        width, head = config.width, config.attention_head_dim
        self.config = config
        self.norm_q, self.norm_k = _head_norm(config), _head_norm(config)
        self.to_q, self.to_k, self.to_v = (nn.Linear(width, width) for _ in range(3))
        self.add_k_proj, self.add_v_proj, self.add_q_proj = (
            nn.Linear(width, width) for _ in range(3)
        )
        self.to_out = nn.ModuleList([nn.Linear(width, width)])
        if text_out:
            self.to_add_out = nn.Linear(width, width)
        self.norm_added_q, self.norm_added_k = _head_norm(config), _head_norm(config)
        self.to_q_control, self.to_k_control, self.to_v_control = (
            nn.Linear(width, width) for _ in range(3)
        )
        self.to_out_control = nn.Linear(width, width)
        self.head_size = head

    def forward(self, image: Tensor, text: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Attend.

        Args:
            image: modulated, normed [X; L], [B, 2N, D].
            text: modulated, normed C, [B, M, D]; None for `attn2`.

        Returns:
            [X; L] and C after their output projections; C is None where it goes no further.
        """
        lr = image.chunk(2, dim=1)[1]
        x, lr_out, c = self._attend(*self.projected(image, text))
        if self.config.lr_residual:
            lr_out = lr_out + lr
        out = torch.cat([self.to_out[0](x), self.to_out_control(lr_out)], dim=1)
        return out, self.to_add_out(c) if c is not None and hasattr(self, "to_add_out") else None

    def projected(
        self, image: Tensor, text: Tensor | None
    ) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...], tuple[Tensor, ...] | None]:
        """Query, key and value [B, h, N or M, d] of X, of L and of C, as they meet in attention."""
        x, lr = self._project_image(image)
        return x, lr, None if text is None else self._project_text(text)

    def _project_image(self, image: Tensor) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
        (qx, ql), (kx, kl), (vx, vl) = (
            f(image).chunk(2, dim=1) for f in (self.to_q, self.to_k, self.to_v)
        )
        key = self.norm_k(self._heads(kx))
        if self.config.wiring == "legacy":
            # The released q and f weights were trained with this key; see docs/architecture.md.
            control_key = self.norm_k(key)
        else:
            control_key = self.norm_k(self._heads(self.to_k_control(kl)))
        control_query = self.norm_q(self._heads(self.to_q_control(ql)))
        x = (self.norm_q(self._heads(qx)), key, self._heads(vx))
        return x, (control_query, control_key, self._heads(self.to_v_control(vl)))

    def _project_text(self, text: Tensor) -> tuple[Tensor, ...]:
        return (
            self.norm_added_q(self._heads(self.add_q_proj(text))),
            self.norm_added_k(self._heads(self.add_k_proj(text))),
            self._heads(self.add_v_proj(text)),
        )

    def _attend(
        self,
        x: tuple[Tensor, ...],
        lr: tuple[Tensor, ...],
        text: tuple[Tensor, ...] | None,
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        n = x[0].shape[2]
        if self.config.control_attention == "separate":
            lr_out = _merge(attention(*_join(lr)))
            main = _merge(attention(*_join(x, text)))
            return main[:, :n], lr_out, None if text is None else main[:, n:]
        out = _merge(attention(*_join(x, lr, text)))
        return out[:, :n], out[:, n : 2 * n], None if text is None else out[:, 2 * n :]

    def _heads(self, x: Tensor) -> Tensor:
        """[B, N, D] to [B, h, N, d]."""
        return x.unflatten(-1, (-1, self.head_size)).transpose(1, 2)


def _head_norm(config: TransformerConfig) -> nn.Module:
    return nn.RMSNorm(config.attention_head_dim, eps=1e-6) if config.qk_norm else nn.Identity()


def _join(*streams: tuple[Tensor, ...] | None) -> tuple[Tensor, Tensor, Tensor]:
    """Concatenate q, k and v of the streams on the token axis."""
    present = [stream for stream in streams if stream is not None]
    q, k, v = (torch.cat(parts, dim=2) for parts in zip(*present, strict=True))
    return q, k, v


def _merge(x: Tensor) -> Tensor:
    """[B, h, N, d] to [B, N, D]."""
    return x.transpose(1, 2).flatten(2)
