"""Random numbers from a generator: what is drawn is a function of its seed alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import torch
from torch import Generator

T = TypeVar("T")


def uniform(bounds: tuple[float, float], generator: Generator) -> float:
    """A number between two others."""
    low, high = bounds
    return low + (high - low) * float(torch.rand((), generator=generator, dtype=torch.float64))


def integer(bounds: tuple[int, int], generator: Generator) -> int:
    """A whole number, both ends included."""
    return int(torch.randint(bounds[0], bounds[1] + 1, (), generator=generator))


def chance(probability: float, generator: Generator) -> bool:
    """True so often."""
    return uniform((0.0, 1.0), generator) < probability


def choice(options: Sequence[T], generator: Generator) -> T:
    """One of several, all equally likely."""
    return options[integer((0, len(options) - 1), generator)]


def weighted(options: Sequence[T], weights: Sequence[float], generator: Generator) -> T:
    """One of several, each as often as its weight says."""
    odds = torch.tensor(weights, dtype=torch.float64)
    return options[int(torch.multinomial(odds, 1, generator=generator))]
