"""Student's t, for intervals: without a statistics library."""

from __future__ import annotations

import math


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
