"""Weights of a state dict put together anew: joined, folded into each other, kept as buffers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

import torch
from torch import Tensor, nn

State: TypeAlias = Mapping[str, Tensor]
ReadState: TypeAlias = Callable[[str], State]
"""The tensors whose names begin like this, without that beginning."""


def keep(module: nn.Module, name: str, values: State) -> None:
    """Weight and bias as buffers of a module; what depthwise convolutions read, channels last."""
    for part in ("weight", "bias"):
        value = values[part]
        if value.dim() == 4:
            value = value.contiguous(memory_format=torch.channels_last)
        module.register_buffer(f"{name}_{part}", value)


def below(state: State, start: str) -> dict[str, Tensor]:
    """What begins so, without that beginning."""
    return {k.removeprefix(start): v for k, v in state.items() if k.startswith(start)}


def stacked(state: State, *names: str) -> dict[str, Tensor]:
    """Linears that read the same, as one."""
    return joined([below(state, f"{name}.") for name in names])


def joined(linears: list[dict[str, Tensor]]) -> dict[str, Tensor]:
    """Linears of the same input, as one with all their outputs."""
    return {part: torch.cat([one[part] for one in linears]) for part in ("weight", "bias")}


def folded(state: State, name: str) -> dict[str, Tensor]:
    """The control projection and the one before it, as one linear."""
    dtype = state[f"to_{name}.weight"].dtype
    inner = {k: v.float() for k, v in below(state, f"to_{name}.").items()}
    outer = {k: v.float() for k, v in below(state, f"to_{name}_control.").items()}
    weight = outer["weight"] @ inner["weight"]
    bias = outer["weight"] @ inner["bias"] + outer["bias"]
    return {"weight": weight.to(dtype), "bias": bias.to(dtype)}
