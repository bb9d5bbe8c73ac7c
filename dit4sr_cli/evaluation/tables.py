"""A report, or anything else in rows, as Markdown, LaTeX and CSV."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum

from dit4sr_cli.evaluation import statistics as paired
from dit4sr_cli.evaluation.metrics import Metric
from dit4sr_cli.evaluation.report import Difference, Report, to_json

FORMATS = ("md", "latex", "csv", "json")


class Mark(Enum):
    """How a cell stands among those of its column."""

    NONE = 0
    BEST = 1
    SECOND = 2


@dataclass(frozen=True, slots=True)
class Table:
    """Cells of text; the first `labels` columns are words.

    Args:
        marks: by row and column.
    """

    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    labels: int = 1
    marks: Mapping[tuple[int, int], Mark] = field(default_factory=dict)


def rendered(report: Report, format: str, *, with_pictures: bool = False) -> str:
    """The whole report in one of FORMATS."""
    if format == "json":
        return to_json(report)
    if format == "csv":
        return _csv(report)
    render, remark = (latex, _latex_remark) if format == "latex" else (markdown, "\n".join)
    parts = [render(table) for table in _tables(report, with_pictures=with_pictures)]
    return "\n\n".join([*parts, remark([*_remarks(report)])])


def _tables(report: Report, *, with_pictures: bool) -> list[Table]:
    found = [_means(report)]
    if report.published:
        found.append(_published(report))
    differences = report.differences()
    if differences:
        found.append(_differences(report, differences))
    if with_pictures:
        found.append(_pictures(report))
    return found


def _remarks(report: Report) -> list[str]:
    lines = [f"- {name}: {text}" for name, text in report.about.items()]
    differences = report.differences()
    if differences:
        lines.append(f"- intervals: {paired.INTERVAL}")
        if any(one.p is not None for one in differences):
            lines.append(f"- p: {paired.TEST}")
        least = min(one.interval.n for one in differences)
        if any(one.p is None for one in differences):
            lines.append(
                f"- no p: n = {least} is too small for a test, p could not be less than "
                f"{paired.least_p(least):.2g}"
            )
    return lines


# ---------------------------------------------------------------- what is in them


def _means(report: Report) -> Table:
    values = [[report.mean(name, metric) for metric in report.metrics] for name in report.methods]
    rows = [
        [name, *map(as_text, report.metrics, line), _seconds(report.seconds(name))]
        for name, line in zip(report.methods, values, strict=True)
    ]
    head = [f"mean of {len(report.pictures)}", *headings(report.metrics), "seconds"]
    return Table(head, rows, marks=marked(report.metrics, values))


def _published(report: Report) -> Table:
    """The paper's systems in the same columns, then what was measured here, again."""
    metrics = [m for m in report.metrics if any(m.name in row for row in report.published.values())]
    metrics = metrics or [
        Metric(name, name, 0, report.metrics[0].load)
        for name in dict.fromkeys(key for row in report.published.values() for key in row)
    ]
    systems = [(f"{name} (published)", row) for name, row in report.published.items()]
    known = {metric.name for metric in report.metrics}
    for name in report.methods:
        means = {m.name: report.mean(name, m) for m in metrics if m.name in known}
        systems.append((f"{name} (measured)", means))
    values = [[row.get(metric.name, math.nan) for metric in metrics] for _, row in systems]
    rows = [
        [name, *map(as_text, metrics, line)]
        for (name, _), line in zip(systems, values, strict=True)
    ]
    marks = marked(metrics, values[: len(report.published)])
    return Table(["published and measured", *headings(metrics)], rows, marks=marks)


def _differences(report: Report, differences: Iterable[Difference]) -> Table:
    rows = []
    for one in differences:
        found = one.interval
        sides = ["", ""] if found.low is None else [signed(one.metric, found.low)]
        if found.low is not None and found.high is not None:
            sides = [signed(one.metric, found.low), signed(one.metric, found.high)]
        cells = [signed(one.metric, found.mean), *sides, str(found.n), p_text(one.p)]
        rows.append([one.method, headings([one.metric])[0], *cells, f"{one.wins}"])
    head = [f"less {report.baseline}", "metric", "mean", "from", "to", "n", "p", "better on"]
    return Table(head, rows, labels=2)


def _pictures(report: Report) -> Table:
    rank = {name: index for index, name in enumerate(report.pictures)}
    metrics = [m for m in report.metrics if m.name in report.rows[0].values]
    rows = [
        [row.picture, row.method, *(as_text(m, row.values[m.name]) for m in metrics)]
        for row in sorted(report.rows, key=lambda row: rank[row.picture])
    ]
    return Table(["picture", "method", *headings(metrics)], rows, labels=2)


def marked(
    metrics: Sequence[Metric], values: Sequence[Sequence[float]]
) -> dict[tuple[int, int], Mark]:
    """Best and second of each column, as they are printed: what prints alike is marked alike."""
    marks: dict[tuple[int, int], Mark] = {}
    for column, metric in enumerate(metrics):
        if not metric.direction or len(values) < 2:
            continue
        shown = [round(line[column], metric.digits) for line in values]
        ranked = sorted({v for v in shown if not math.isnan(v)}, reverse=metric.direction > 0)
        for row, value in enumerate(shown):
            if value in ranked[:2]:
                marks[row, column + 1] = (Mark.BEST, Mark.SECOND)[ranked.index(value)]
    return marks


def headings(metrics: Iterable[Metric]) -> list[str]:
    """Titles with an arrow towards what is better."""
    arrows = {1: " ↑", -1: " ↓", 0: ""}
    return [metric.title + arrows[metric.direction] for metric in metrics]


def as_text(metric: Metric, value: float) -> str:
    """A figure with its metric's digits; what is not known is empty."""
    return "" if math.isnan(value) else f"{value:.{metric.digits}f}"


def signed(metric: Metric, value: float) -> str:
    """A difference."""
    return "" if math.isnan(value) else f"{value:+.{metric.digits}f}"


def p_text(p: float | None) -> str:
    """A p value, or that there is none."""
    return "none" if p is None else "<.0001" if p < 1e-4 else f"{p:.4f}".lstrip("0")


def _seconds(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


# ---------------------------------------------------------------- how they are written


def markdown(table: Table) -> str:
    """A table that also reads well as text: padded, figures to the right; **best**, *second*."""
    wraps = {Mark.NONE: "{}", Mark.BEST: "**{}**", Mark.SECOND: "*{}*"}
    lines = [list(table.head), *_wrapped(table, lambda mark, text: wraps[mark].format(text))]
    widths = [max(3, *(len(line[column]) for line in lines)) for column in range(len(table.head))]

    def joined(line: Sequence[str]) -> str:
        cells = (
            cell.ljust(width) if column < table.labels else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        return f"| {' | '.join(cells)} |"

    rule = [
        "-" * width if column < table.labels else "-" * (width - 1) + ":"
        for column, width in enumerate(widths)
    ]
    return "\n".join(map(joined, [lines[0], rule, *lines[1:]]))


def latex(table: Table) -> str:
    """A tabular of booktabs; best in bold, second underlined."""
    wraps = {Mark.NONE: "{}", Mark.BEST: r"\textbf{{{}}}", Mark.SECOND: r"\underline{{{}}}"}
    lines = _wrapped(table, lambda mark, text: wraps[mark].format(_escaped(text)))
    columns = "l" * table.labels + "r" * (len(table.head) - table.labels)
    body = [f"  {' & '.join(line)} \\\\" for line in lines]
    head = f"  {' & '.join(map(_escaped, table.head))} \\\\"
    parts = [rf"\begin{{tabular}}{{{columns}}}", r"  \toprule", head, r"  \midrule", *body]
    return "\n".join([*parts, r"  \bottomrule", r"\end{tabular}"])


def _wrapped(table: Table, wrap: Callable[[Mark, str], str]) -> list[list[str]]:
    return [
        [wrap(table.marks.get((row, column), Mark.NONE), cell) for column, cell in enumerate(line)]
        for row, line in enumerate(table.rows)
    ]


def _latex_remark(lines: Iterable[str]) -> str:
    return "\n".join(f"% {line}" for line in lines)


def _escaped(text: str) -> str:
    special = {"\\": r"\textbackslash{}", "↑": r"$\uparrow$", "↓": r"$\downarrow$", "<": "$<$"}
    special |= {"~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
    special |= {sign: f"\\{sign}" for sign in "&%$#_{}"}
    return "".join(special.get(sign, sign) for sign in text)


def _csv(report: Report) -> str:
    """A figure a line, so that any program can turn it into its own table."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(
        ["kind", "method", "metric", "picture", "value", "low", "high", "n", "p", "wins"]
    )
    for name, text in report.about.items():
        writer.writerow(["about", "", name, "", text])
    for method in report.methods:
        for metric in report.metrics:
            value = report.mean(method, metric)
            writer.writerow(["mean", method, metric.name, "", value])
    for system, row in report.published.items():
        for metric_name, value in row.items():
            writer.writerow(["published", system, metric_name, "", value])
    for one in report.differences():
        found = one.interval
        sides = [found.mean, found.low, found.high, found.n, one.p, one.wins]
        writer.writerow(["difference", one.method, one.metric.name, "", *sides])
    for line in report.rows:
        for metric_name, value in line.values.items():
            writer.writerow(["picture", line.method, metric_name, line.picture, value])
    return stream.getvalue().rstrip("\n")
