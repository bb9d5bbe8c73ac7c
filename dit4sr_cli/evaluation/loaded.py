"""What a metric is once its packages and weights are there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

Measure: TypeAlias = Callable[..., float]
"""(result, reference) -> figure, both [H, W, 3] uint8; of sets: (folder, folder) -> figure."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """A measure and what decides about its figures.

    Args:
        measure: computes the figure.
        version: of the package, and of the weights where there are any.
        licence: a line about terms that the user should know; may be empty.
    """

    measure: Measure
    version: str
    licence: str = ""
