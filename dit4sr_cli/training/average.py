"""The moving average of the weights: what a run shows, saves and exports."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class Average:
    """Exponential moving average of the parameters that are trained; holds no frozen ones."""

    def __init__(self, module: nn.Module, decay: float) -> None:
        self._trained = {n: p for n, p in module.named_parameters() if p.requires_grad}
        self._decay = decay
        self.state = {name: p.detach().clone() for name, p in self._trained.items()}

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Take in the parameters after a step (counted from 0)."""
        # Early on the average would be mostly the start: let it follow faster.
        decay = min(self._decay, (1 + step) / (10 + step))
        for name, parameter in self._trained.items():
            self.state[name].lerp_(parameter, 1 - decay)

    @torch.no_grad()
    def load(self, state: Mapping[str, Tensor]) -> None:
        """Take over averages, by name; others are left alone."""
        for name, tensor in self.state.items():
            tensor.copy_(state[name])

    @contextmanager
    def applied(self) -> Iterator[None]:
        """The module with the averages for its parameters; afterwards as it was."""
        own = {name: parameter.data for name, parameter in self._trained.items()}
        try:
            for name, parameter in self._trained.items():
                parameter.data = self.state[name]
            yield
        finally:
            for name, parameter in self._trained.items():
                parameter.data = own[name]
