"""A device that is not there: shapes, types and devices are real, numbers are not computed.

Within `fake_device` a tensor says that it is on `meta`, and torch refuses what would fail on
CUDA or MPS: two devices in one operation, a number read back in the middle of a step. What an
operation makes is held against the limits of the device that it stands in for.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from dit4sr_cli.pipeline import predictor, restore
from dit4sr_cli.pipeline.device import Limits, limits_of
from dit4sr_cli.tiles.window import ramp

DEVICE = "meta"


@dataclass
class Seen:
    """What was made on the device."""

    limits: Limits
    dtypes: set[torch.dtype] = field(default_factory=set)
    largest: int = 0
    """Elements of the largest tensor."""
    operations: int = 0


class _Watch(TorchDispatchMode):
    def __init__(self, seen: Seen) -> None:
        super().__init__()
        self.seen = seen

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        for made in tree_leaves(out):
            if isinstance(made, torch.Tensor) and made.device.type == DEVICE:
                self._note(func, made)
        return out

    def _note(self, func: Any, made: torch.Tensor) -> None:
        limits, seen = self.seen.limits, self.seen
        assert limits.has_float64 or made.dtype != torch.float64, f"{func} makes float64"
        if limits.max_elements is not None:
            assert made.numel() <= limits.max_elements, f"{func} makes {tuple(made.shape)}"
        seen.dtypes.add(made.dtype)
        seen.largest = max(seen.largest, made.numel())
        seen.operations += 1


@contextmanager
def fake_device(kind: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Seen]:
    """A device with the limits of `kind`; yields what was made on it."""
    limits = limits_of(torch.device(kind))
    seen = Seen(limits)
    for module in (predictor, restore):
        monkeypatch.setattr(module, "limits_of", lambda device: limits)
    ramp.cache_clear()  # a real tensor does not mix with fake ones, nor theirs with real ones
    try:
        with FakeTensorMode(), _Watch(seen):
            yield seen
    finally:
        ramp.cache_clear()


def put(module: nn.Module, dtype: torch.dtype) -> nn.Module:
    """A module that was made on `meta`, on the fake device."""
    state = {
        name: torch.empty(tensor.shape, dtype=dtype, device=DEVICE)
        for name, tensor in module.state_dict(keep_vars=True).items()
    }
    module.load_state_dict(state, assign=True)
    return module.requires_grad_(False).eval()
