"""Figures of runs in pairs: medians, and the ratio of two with its interval."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

LEVEL = 0.95
METHOD = "geometric mean over the pairs, interval by Student's t over their logarithms"


@dataclass(frozen=True, slots=True)
class Ratio:
    """How many times as fast the first is as the second.

    Args:
        value: the second's seconds over the first's.
        low, high: where the true one lies, at `LEVEL`; None: one pair says nothing of that.
        pairs: that were run.
    """

    value: float
    low: float | None
    high: float | None
    pairs: int


def ratio_of(first: Sequence[float], second: Sequence[float]) -> Ratio:
    """The ratio of two that were run in turn: what slowed down a whole pair cancels out."""
    logs = [math.log(b / a) for a, b in zip(first, second, strict=True)]
    mean, pairs = statistics.fmean(logs), len(logs)
    if pairs < 2:
        return Ratio(math.exp(mean), None, None, pairs)
    half = t_quantile((1 + LEVEL) / 2, pairs - 1) * statistics.stdev(logs) / math.sqrt(pairs)
    return Ratio(math.exp(mean), math.exp(mean - half), math.exp(mean + half), pairs)


def median(values: Sequence[float]) -> float:
    """The middle one."""
    return statistics.median(values)


def t_quantile(probability: float, freedom: int) -> float:
    """Student's t: below it lies this share of the distribution, 0.5 or more."""
    low, high = 0.0, math.pi / 2
    for _ in range(100):
        middle = (low + high) / 2
        if (1 + _within(middle, freedom)) / 2 < probability:
            low = middle
        else:
            high = middle
    return math.sqrt(freedom) * math.tan(low)


def _within(angle: float, freedom: int) -> float:
    """The share within +- tan(angle) * sqrt(freedom): a finite sum (Abramowitz, Stegun, 26.7)."""
    sine, cosine = math.sin(angle), math.cos(angle)
    is_odd = freedom % 2
    term, total = (cosine, 0.0) if is_odd else (1.0, 0.0)
    for power in range(1 + is_odd, freedom, 2):
        total += term
        term *= cosine**2 * power / (power + 1)
    return 2 / math.pi * (angle + sine * total) if is_odd else sine * total
