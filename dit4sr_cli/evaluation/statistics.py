"""What differences over pictures, or over seeds, say: an interval, and how likely chance is."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dit4sr_cli.core.quantiles import t_quantile

LEVEL = 0.95
SMALLEST = 6
"""Fewer pairs cannot reach p = .05 whatever they show: 2 / 2^n is the least there is."""
_EXACT = 16
_DRAWS = 100_000
TEST = (
    "paired sign-flip permutation test of the mean difference, two-sided "
    f"(all flips to n = {_EXACT}, {_DRAWS} drawn ones above), p after Holm over all rows"
)
INTERVAL = "95 % interval of the mean difference by Student's t"


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean, and where the true one lies at `LEVEL`; None: too few values to say."""

    mean: float
    low: float | None
    high: float | None
    n: int


def interval(values: Sequence[float]) -> Interval:
    """Student's t over values that are independent of each other; what is not finite is left out.

    Returns:
        With `n` the values that counted; the mean of none is NaN.
    """
    finite = [value for value in values if math.isfinite(value)]
    n = len(finite)
    if n < 2:
        return Interval(finite[0] if n else math.nan, None, None, n)
    mean = statistics.fmean(finite)
    half = t_quantile((1 + LEVEL) / 2, n - 1) * statistics.stdev(finite) / math.sqrt(n)
    return Interval(mean, mean - half, mean + half, n)


def sign_flip(differences: Sequence[float]) -> float | None:
    """The share of sign patterns with a mean at least as far from 0; None: n is too small.

    Under the hypothesis that neither of a pair is better, each difference is as likely with the
    other sign. Draws are seeded: the same differences have the same p.
    """
    values = np.array([value for value in differences if math.isfinite(value)])
    n = len(values)
    if n < SMALLEST:
        return None
    observed = abs(values.sum()) * (1 - 1e-12)  # sums of the same numbers differ by rounding
    if n <= _EXACT:
        patterns = (np.arange(2**n)[:, None] >> np.arange(n)) & 1
        return float(np.mean(np.abs((1 - 2 * patterns) @ values) >= observed))
    signs = np.random.default_rng(0).integers(0, 2, (_DRAWS, n), np.int8)
    hits = int((np.abs((1 - 2 * signs) @ values) >= observed).sum())
    return (hits + 1) / (_DRAWS + 1)


def holm(values: Sequence[float | None]) -> list[float | None]:
    """Values of p after Holm's correction for how many there are; None stays."""
    known = sorted((value, index) for index, value in enumerate(values) if value is not None)
    corrected: list[float | None] = [None] * len(values)
    largest = 0.0
    for rank, (value, index) in enumerate(known):
        largest = max(largest, min(1.0, value * (len(known) - rank)))
        corrected[index] = largest
    return corrected


def least_p(n: int) -> float:
    """The least p that n pairs can have."""
    return min(1.0, 2.0 ** (1 - n))
