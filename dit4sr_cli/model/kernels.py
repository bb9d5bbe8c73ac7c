"""What takes most of the time beside matrix products, as each device does it best."""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

QUERIES_AT_ONCE = 64
"""On the CPU: rows of the attention matrix, few enough to stay in the cache."""


def attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Softmax attention over heads [B, h, N, d]; keys and values may be of another length."""
    if q.device.type == "cpu" and q.dtype == torch.bfloat16 and has_fast_bfloat16():
        return _whole(q, k, v) if torch.is_grad_enabled() else _by_rows(q, k, v)
    return scaled_dot_product_attention(q, k, v)


def gelu_(x: Tensor) -> Tensor:
    """GELU in its tanh form, in place: a tensor of this size is dear to make on a CPU."""
    return torch.ops.aten.gelu_(x, approximate="tanh")


@lru_cache(maxsize=1)
def has_fast_bfloat16() -> bool:
    """Whether this machine's processor multiplies matrices in bfloat16 by itself."""
    able: dict[str, object] = getattr(torch.cpu, "get_capabilities", dict)()
    return bool(able.get("avx512_bf16") or able.get("amx_bf16"))


def _whole(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """With gradients: a training step of the embedded model's transformer takes .7 of the time."""
    return torch.softmax((q * q.shape[-1] ** -0.5) @ k.transpose(-1, -2), dim=-1) @ v


def _by_rows(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Matrix products: torch's fused kernel has none of the CPU's bfloat16 instructions."""
    keys = k.transpose(-1, -2).contiguous()
    values = v.contiguous()
    out = torch.empty(q.shape, dtype=q.dtype, device=q.device)
    scaled = q * q.shape[-1] ** -0.5
    for start in range(0, q.shape[2], QUERIES_AT_ONCE):
        rows = slice(start, start + QUERIES_AT_ONCE)
        out[:, :, rows] = torch.softmax(scaled[:, :, rows] @ keys, dim=-1) @ values
    return out
