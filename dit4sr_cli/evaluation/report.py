"""What a comparison found: a figure for every picture, method and metric, as Markdown and JSON."""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dit4sr_cli.evaluation.metrics import Metric


@dataclass(frozen=True, slots=True)
class Row:
    """One picture by one method."""

    picture: str
    method: str
    values: Mapping[str, float]
    seconds: float | None = None
    """How long the method took; None for results that were there before."""


@dataclass(frozen=True, slots=True)
class Report:
    """All rows. The first method is the one that the others have to beat."""

    metrics: Sequence[Metric]
    rows: Sequence[Row]

    @property
    def methods(self) -> list[str]:
        """Names of the methods, in order."""
        return list(dict.fromkeys(row.method for row in self.rows))

    @property
    def pictures(self) -> list[str]:
        """Names of the pictures, in order."""
        return list(dict.fromkeys(row.picture for row in self.rows))

    def of(self, method: str) -> list[Row]:
        """The rows of a method."""
        return [row for row in self.rows if row.method == method]

    def mean(self, method: str, metric: Metric) -> float:
        """Mean over the pictures."""
        return statistics.fmean(row.values[metric.name] for row in self.of(method))

    def seconds(self, method: str) -> float | None:
        """Median seconds a picture: the first one also warms up."""
        taken = [row.seconds for row in self.of(method) if row.seconds is not None]
        return statistics.median(taken) if taken else None

    def wins(self, method: str, metric: Metric) -> int:
        """On how many pictures a method beats the first one."""
        first = {row.picture: row.values[metric.name] for row in self.of(self.methods[0])}
        return sum(
            metric.is_better(row.values[metric.name], first[row.picture]) for row in self.of(method)
        )


def to_markdown(report: Report, *, with_pictures: bool = False) -> str:
    """Means and wins as tables, and the figures of each picture if asked for."""
    sections = [_means(report)]
    if len(report.methods) > 1 and any(metric.direction for metric in report.metrics):
        sections.append(_wins(report))
    if with_pictures:
        sections.append(_pictures(report))
    return "\n\n".join(sections)


def to_dict(report: Report) -> dict[str, Any]:
    """The same figures for a program; an infinite PSNR is null."""
    return {
        "pictures": report.pictures,
        "metrics": [metric.name for metric in report.metrics],
        "methods": {name: _method(report, name) for name in report.methods},
    }


def to_json(report: Report) -> str:
    """`to_dict` as text."""
    return json.dumps(to_dict(report), indent=2)


def _method(report: Report, name: str) -> dict[str, Any]:
    seconds = report.seconds(name)
    return {
        "mean": {metric.name: _number(report.mean(name, metric)) for metric in report.metrics},
        "wins": {m.name: report.wins(name, m) for m in report.metrics if m.direction},
        "seconds": None if seconds is None else round(seconds, 3),
        "pictures": {
            row.picture: {key: _number(value) for key, value in row.values.items()}
            for row in report.of(name)
        },
    }


def _means(report: Report) -> str:
    def cells(method: str) -> list[str]:
        seconds = report.seconds(method)
        return [
            method,
            *(_text(metric, report.mean(method, metric)) for metric in report.metrics),
            "" if seconds is None else f"{seconds:.2f}",
        ]

    title = f"mean of {len(report.pictures)}"
    return _table([title, *_headings(report.metrics), "seconds"], map(cells, report.methods))


def _wins(report: Report) -> str:
    metrics = [metric for metric in report.metrics if metric.direction]
    rows = (
        [method, *(f"{report.wins(method, metric)}" for metric in metrics)]
        for method in report.methods[1:]
    )
    title = f"better than {report.methods[0]}, of {len(report.pictures)}"
    return _table([title, *_headings(metrics)], rows)


def _pictures(report: Report) -> str:
    rows = (
        [row.picture, row.method, *(_text(m, row.values[m.name]) for m in report.metrics)]
        for row in sorted(report.rows, key=_by(report.pictures))
    )
    return _table(["picture", "method", *_headings(report.metrics)], rows, num_labels=2)


def _by(pictures: Sequence[str]) -> Callable[[Row], int]:
    """Sorting by picture; the methods of one stay in their order."""
    rank = {name: index for index, name in enumerate(pictures)}
    return lambda row: rank[row.picture]


def _headings(metrics: Iterable[Metric]) -> list[str]:
    arrows = {1: " ↑", -1: " ↓", 0: ""}
    return [metric.title + arrows[metric.direction] for metric in metrics]


def _table(head: Sequence[str], rows: Iterable[Sequence[str]], *, num_labels: int = 1) -> str:
    """A Markdown table that also reads well as text: cells are padded, figures to the right."""
    lines = [list(head), *map(list, rows)]
    widths = [max(3, *(len(line[column]) for line in lines)) for column in range(len(head))]

    def joined(line: Sequence[str]) -> str:
        cells = (
            cell.ljust(width) if column < num_labels else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        return f"| {' | '.join(cells)} |"

    rule = [
        "-" * width if column < num_labels else "-" * (width - 1) + ":"
        for column, width in enumerate(widths)
    ]
    return "\n".join(map(joined, [lines[0], rule, *lines[1:]]))


def _text(metric: Metric, value: float) -> str:
    return f"{value:.2f}" if metric.name == "psnr" else f"{value:.4f}"


def _number(value: float) -> float | None:
    return round(value, 6) if math.isfinite(value) else None
