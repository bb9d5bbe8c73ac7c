"""A study: runs of several variants with several seeds, tabulated as the paper's Tables 3 and 4.

`study.json` names the runs; `training` writes it. Per metric: the mean over the seeds with its
interval, the difference to the full model paired by seed, and the order found beside the paper's.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dit4sr_cli.core import events
from dit4sr_cli.core.errors import InputError
from dit4sr_cli.evaluation import benchmarks, tables
from dit4sr_cli.evaluation.methods import Method
from dit4sr_cli.evaluation.metrics import Metric
from dit4sr_cli.evaluation.report import Report, number, to_dict
from dit4sr_cli.evaluation.run import Comparison, Keep, evaluate
from dit4sr_cli.evaluation.statistics import Interval, interval

FILE_NAME = "study.json"
SCHEMA = 1
FULL = "full"
_SAME = {"controlnet": "sd3-controlnet", "sd3_controlnet": "sd3-controlnet"}


@dataclass(frozen=True, slots=True)
class Run:
    """One training of a study."""

    name: str
    variant: str
    seed: int
    model: Path


@dataclass(frozen=True, slots=True)
class Study:
    """What `study.json` says."""

    variants: Sequence[str]
    runs: Sequence[Run]


@dataclass(frozen=True, slots=True)
class Standing:
    """A variant on one metric.

    Args:
        mean: over its seeds.
        difference: to the full model, over the seeds that both have; None: it is that model.
    """

    variant: str
    metric: Metric
    mean: Interval
    difference: Interval | None


@dataclass(frozen=True, slots=True)
class Tabulated:
    """A study's figures; `report` has those of each picture and run."""

    study: Study
    report: Report

    def standings(self) -> list[Standing]:
        """Every variant on every metric."""
        return [
            self._standing(variant, metric)
            for variant in self.study.variants
            for metric in self.report.metrics
        ]

    def by_seed(self, variant: str, metric: Metric) -> dict[int, float]:
        """Means over the pictures."""
        return {
            run.seed: self.report.mean(run.name, metric)
            for run in self.study.runs
            if run.variant == variant
        }

    def order(self, metric: Metric) -> list[str]:
        """Variants, the best first."""
        means = {
            variant: interval(list(self.by_seed(variant, metric).values())).mean
            for variant in self.study.variants
        }
        return sorted(means, key=lambda variant: -metric.direction * means[variant])

    def _standing(self, variant: str, metric: Metric) -> Standing:
        own = self.by_seed(variant, metric)
        mean = interval(list(own.values()))
        if variant == FULL or FULL not in self.study.variants:
            return Standing(variant, metric, mean, None)
        full = self.by_seed(FULL, metric)
        gaps = [own[seed] - full[seed] for seed in sorted(own.keys() & full.keys())]
        return Standing(variant, metric, mean, interval(gaps))


def read_study(folder: Path) -> Study:
    """The study of a folder.

    Raises:
        InputError: there is no `study.json`, it is damaged, or a model is missing.
    """
    path = folder / FILE_NAME
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        if values["schema"] != SCHEMA:
            raise InputError(f"{path}: schema {values['schema']}, this version reads {SCHEMA}")
        runs = [
            Run(name, run["variant"], int(run["seed"]), folder / run["model"])
            for name, run in values["runs"].items()
        ]
        study = Study([str(name) for name in values["variants"]], runs)
    except OSError as error:
        raise InputError(
            f"{path}: cannot be read: {error.strerror}", hint="dit4sr train --study writes it"
        ) from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{path}: not a study: {type(error).__name__} {error}") from error
    _check(path, study)
    return study


def _check(path: Path, study: Study) -> None:
    if not study.runs:
        raise InputError(f"{path}: no runs in it")
    for run in study.runs:
        if run.variant not in study.variants:
            raise InputError(f"{path}: {run.name} is of {run.variant}, which is no variant")
        if not run.model.is_dir():
            raise InputError(
                f"{run.model}: no such folder", hint=f"{run.name} has not been trained to its end"
            )
    for variant in study.variants:
        seeds = [run.seed for run in study.runs if run.variant == variant]
        if not seeds or len(seeds) != len(set(seeds)):
            what = "no run" if not seeds else "two runs with one seed"
            raise InputError(f"{path}: {variant} has {what}")


def tabulate(
    study: Study,
    wanted: Comparison,
    *,
    method_of: Callable[[str, Path], Method],
    keep: Keep | None = None,
    observe: events.Observer = events.ignore,
) -> Tabulated:
    """Evaluate every run's model, one after another.

    Args:
        study: of `read_study`.
        wanted: inputs, references and metrics; its methods and outputs are more rows.
        method_of: a model as a method, by a name and its folder.
        keep: as of `evaluate`.
        observe: hears which picture it is at.
    """
    from dataclasses import replace

    methods = [method_of(run.name, run.model) for run in study.runs]
    comparison = replace(wanted, methods=[*methods, *wanted.methods])
    return Tabulated(study, evaluate(comparison, keep=keep, observe=observe))


# ---------------------------------------------------------------- as text


def rendered(found: Tabulated, format: str) -> str:
    """The study in one of `tables.FORMATS`."""
    if format == "json":
        return json.dumps({"schema": SCHEMA, **as_dict(found)}, indent=2)
    if format == "csv":
        return _csv(found)
    render = tables.latex if format == "latex" else tables.markdown
    lines = [*_orders(found), *(f"- {key}: {text}" for key, text in found.report.about.items())]
    mark = "% " if format == "latex" else ""
    parts = [render(_means(found)), render(_differences(found))]
    return "\n\n".join([*parts, "\n".join(mark + line for line in lines)])


def as_dict(found: Tabulated) -> dict[str, Any]:
    """The same for a program, with the report of each run in it."""
    return {
        "variants": list(found.study.variants),
        "standings": [
            {
                "variant": one.variant,
                "metric": one.metric.name,
                "mean": _as_dict(one.mean),
                "to_full": None if one.difference is None else _as_dict(one.difference),
                "seeds": {
                    str(seed): number(value)
                    for seed, value in found.by_seed(one.variant, one.metric).items()
                },
            }
            for one in found.standings()
        ],
        "order": {m.name: found.order(m) for m in _ranking(found)},
        "published_order": {
            metric: published_order(found.study.variants, metric) for metric in _published_metrics()
        },
        "runs": to_dict(found.report),
    }


def published_order(variants: Sequence[str], metric: str) -> list[str]:
    """These variants as the paper's figures on RealLQ250 rank them, the best first."""
    known = benchmarks.published_ablations()
    there = [variant for variant in variants if _published_name(variant) in known]
    return sorted(there, key=lambda variant: -known[_published_name(variant)][metric])


def agreement(found: Sequence[str], published: Sequence[str]) -> tuple[int, int]:
    """Of the pairs that both rank, how many stand in the same order."""
    both = [variant for variant in found if variant in published]
    pairs = [(a, b) for i, a in enumerate(both) for b in both[i + 1 :]]
    return sum(published.index(a) < published.index(b) for a, b in pairs), len(pairs)


def _published_name(variant: str) -> str:
    return _SAME.get(variant.lower(), variant.lower())


def _published_metrics() -> list[str]:
    return list(benchmarks.published_ablations()[FULL])


def _ranking(found: Tabulated) -> list[Metric]:
    return [metric for metric in found.report.metrics if metric.direction]


def _means(found: Tabulated) -> tables.Table:
    metrics = found.report.metrics
    published = benchmarks.published_ablations()
    values, rows = [], []
    for variant in found.study.variants:
        means = [interval(list(found.by_seed(variant, m).values())) for m in metrics]
        values.append([one.mean for one in means])
        cells = [_within(m, one) for m, one in zip(metrics, means, strict=True)]
        paper = published.get(_published_name(variant), {})
        more = [f"{paper[name]:.3f}" if paper else "" for name in _published_metrics()]
        rows.append([variant, str(max(one.n for one in means)), *cells, *more])
    head = ["variant", "seeds", *tables.headings(metrics)]
    head += [f"paper, {name.upper()}" for name in _published_metrics()]
    marks = {
        (row, column + 1): mark for (row, column), mark in tables.marked(metrics, values).items()
    }
    return tables.Table(head, rows, marks=marks)


def _differences(found: Tabulated) -> tables.Table:
    metrics = found.report.metrics
    standing = {(one.variant, one.metric.name): one.difference for one in found.standings()}
    rows = []
    for variant in found.study.variants:
        gaps = [standing[variant, metric.name] for metric in metrics]
        if any(gap is not None for gap in gaps):
            cells = [
                "" if gap is None else _within(metric, gap, tables.signed)
                for metric, gap in zip(metrics, gaps, strict=True)
            ]
            rows.append([variant, *cells])
    return tables.Table([f"less {FULL}, by seed", *tables.headings(metrics)], rows)


def _within(
    metric: Metric, one: Interval, text: Callable[[Metric, float], str] = tables.as_text
) -> str:
    if one.low is None:
        return text(metric, one.mean)
    return f"{text(metric, one.mean)} ± {one.mean - one.low:.{metric.digits}f}"


def _orders(found: Tabulated) -> list[str]:
    lines = ["- ±: 95 % interval by Student's t over the seeds; one seed has none"]
    published = {name: published_order(found.study.variants, name) for name in _published_metrics()}
    for name, order in published.items():
        lines.append(f"- the paper's order, {name.upper()} on RealLQ250: {' > '.join(order)}")
    for metric in _ranking(found):
        order = found.order(metric)
        lines.append(f"- order found, {metric.title}: {' > '.join(order)}")
        for name, known in published.items():
            same, pairs = agreement(order, known)
            lines.append(f"  ({same} of {pairs} pairs as in the paper's {name.upper()})")
    return lines


def _as_dict(one: Interval) -> Mapping[str, float | int | None]:
    values = {"mean": one.mean, "low": one.low, "high": one.high}
    return {**{key: number(value) for key, value in values.items()}, "n": one.n}


def _csv(found: Tabulated) -> str:
    lines = ["variant,metric,mean,low,high,seeds,to_full,to_full_low,to_full_high"]
    for one in found.standings():
        gap = one.difference or Interval(math.nan, None, None, 0)
        cells = [one.mean.mean, one.mean.low, one.mean.high, one.mean.n]
        cells += [None if math.isnan(gap.mean) else gap.mean, gap.low, gap.high]
        texts = ("" if cell is None else str(cell) for cell in cells)
        lines.append(",".join([one.variant, one.metric.name, *texts]))
    return "\n".join(lines)
