"""Figures of runs in pairs: medians, and the ratio of two with its interval."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from dit4sr_cli.core.quantiles import t_quantile

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
