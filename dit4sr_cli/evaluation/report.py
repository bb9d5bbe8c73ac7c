"""What a comparison found: a figure for every picture, method and metric, and what they say."""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from dit4sr_cli.evaluation import statistics as paired
from dit4sr_cli.evaluation.metrics import Metric, Needs
from dit4sr_cli.evaluation.statistics import Interval

SCHEMA = 1


@dataclass(frozen=True, slots=True)
class Row:
    """One picture by one method."""

    picture: str
    method: str
    values: Mapping[str, float]
    seconds: float | None = None
    """How long the method took; None for results that were there before."""


@dataclass(frozen=True, slots=True)
class Difference:
    """A method against the baseline on one metric, pictures in pairs.

    Args:
        interval: of the mean difference, method less baseline.
        p: after Holm; None: too few pairs.
        wins: on how many pictures the method is better.
    """

    method: str
    metric: Metric
    interval: Interval
    p: float | None
    wins: int


@dataclass(frozen=True, slots=True)
class Report:
    """All rows.

    Args:
        about: what figures were computed from and how, by heading, to be printed with them.
        sets: figures of all results at once, by method and metric.
        published: the paper's figures, by system and metric.
        against: the method that the others have to beat; empty: the first.
    """

    metrics: Sequence[Metric]
    rows: Sequence[Row]
    about: Mapping[str, str] = field(default_factory=dict)
    sets: Mapping[tuple[str, str], float] = field(default_factory=dict)
    published: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    against: str = ""

    @property
    def methods(self) -> list[str]:
        """Names of the methods, in order."""
        return list(dict.fromkeys(row.method for row in self.rows))

    @property
    def pictures(self) -> list[str]:
        """Names of the pictures, in order."""
        return list(dict.fromkeys(row.picture for row in self.rows))

    @property
    def baseline(self) -> str:
        """The method that the others have to beat."""
        return self.against or self.methods[0]

    def of(self, method: str) -> list[Row]:
        """The rows of a method."""
        return [row for row in self.rows if row.method == method]

    def mean(self, method: str, metric: Metric) -> float:
        """Mean over the pictures, or the one figure of a set."""
        if metric.needs is Needs.SETS:
            return self.sets[method, metric.name]
        return statistics.fmean(row.values[metric.name] for row in self.of(method))

    def seconds(self, method: str) -> float | None:
        """Median seconds a picture: the first one also warms up."""
        taken = [row.seconds for row in self.of(method) if row.seconds is not None]
        return statistics.median(taken) if taken else None

    def differences(self) -> list[Difference]:
        """Each other method against the baseline, on each metric of pictures that has a better."""
        metrics = [m for m in self.metrics if m.direction and m.needs is not Needs.SETS]
        others = [method for method in self.methods if method != self.baseline]
        pairs = [(method, metric) for method in others for metric in metrics]
        gaps = [self._gaps(method, metric) for method, metric in pairs]
        corrected = paired.holm([paired.sign_flip(values) for values in gaps])
        return [
            Difference(
                method,
                metric,
                paired.interval(values),
                p,
                sum(metric.direction * value > 0 for value in values),
            )
            for (method, metric), values, p in zip(pairs, gaps, corrected, strict=True)
        ]

    def _gaps(self, method: str, metric: Metric) -> list[float]:
        base = {row.picture: row.values[metric.name] for row in self.of(self.baseline)}
        return [
            gap
            for row in self.of(method)
            if not math.isnan(gap := row.values[metric.name] - base[row.picture])
        ]


def to_dict(report: Report) -> dict[str, Any]:
    """The same figures for a program; what is not finite is null."""
    return {
        "pictures": report.pictures,
        "metrics": [metric.name for metric in report.metrics],
        "about": dict(report.about),
        "against": report.baseline,
        "methods": {name: _method(report, name) for name in report.methods},
        "differences": [_difference(one) for one in report.differences()],
        "published": {name: dict(row) for name, row in report.published.items()},
    }


def to_json(report: Report) -> str:
    """`to_dict` as text."""
    return json.dumps({"schema": SCHEMA, **to_dict(report)}, indent=2)


def _method(report: Report, name: str) -> dict[str, Any]:
    seconds = report.seconds(name)
    return {
        "mean": {metric.name: number(report.mean(name, metric)) for metric in report.metrics},
        "seconds": None if seconds is None else round(seconds, 3),
        "pictures": {
            row.picture: {key: number(value) for key, value in row.values.items()}
            for row in report.of(name)
        },
    }


def _difference(one: Difference) -> dict[str, Any]:
    found = one.interval
    return {
        "method": one.method,
        "metric": one.metric.name,
        "mean": number(found.mean),
        "low": number(found.low),
        "high": number(found.high),
        "n": found.n,
        "p": one.p,
        "wins": one.wins,
    }


def number(value: float | None) -> float | None:
    """A figure as JSON has it."""
    return round(value, 6) if value is not None and math.isfinite(value) else None
