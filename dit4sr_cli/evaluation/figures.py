"""The figures of results: of each on its own, and of all that a method made together."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from dit4sr_cli.core import events
from dit4sr_cli.core.errors import InputError
from dit4sr_cli.evaluation.methods import Finished, Method, load_picture
from dit4sr_cli.evaluation.metrics import Metric, Needs
from dit4sr_cli.evaluation.pixels import Image, size
from dit4sr_cli.evaluation.plan import Plan
from dit4sr_cli.evaluation.results import Result


def figures(result: Result, plan: Plan) -> dict[str, float]:
    """By metric: those that an earlier run measured, and the others measured now.

    Raises:
        InputError: the result has another size than it should, or is too small for a metric.
    """
    metrics = [metric for metric in plan.metrics if metric.needs is not Needs.SETS]
    values: dict[str, float] = {}
    for metric in metrics if result.digest else []:
        known = plan.store.value(*_key(metric, result, plan))
        if known is not None:
            values[metric.name] = known
    if len(values) < len(metrics):
        reference = result.case.reference
        original = load_picture(reference) if reference else None
        _check_size(result, original, plan.scale)
        for metric in metrics:
            if metric.name not in values:
                values[metric.name] = _measured(metric, plan, result, original)
    return {metric.name: values[metric.name] for metric in metrics}


def of_sets(
    entries: Sequence[Method | Finished], plan: Plan, observe: events.Observer
) -> dict[tuple[str, str], float]:
    """Figures of all results at once, by method and metric; as pyiqa takes folders, of links."""
    found: dict[tuple[str, str], float] = {}
    for metric in plan.metrics:
        if metric.needs is not Needs.SETS:
            continue
        measure = plan.loaded[metric.name].measure
        with tempfile.TemporaryDirectory(prefix="dit4sr-sets-") as place:
            references = {c.name: c.reference for c in plan.cases if c.reference}
            originals = _linked(Path(place) / "r", references)
            for number, entry in enumerate(entries):
                observe(events.PhaseStarted(f"{metric.name} of {entry.name}"))
                results = _linked(Path(place) / str(number), _files(entry, plan))
                found[entry.name, metric.name] = measure(results, originals)
    return found


def _key(metric: Metric, result: Result, plan: Plan) -> tuple[str, str, str, str]:
    """By what a figure is found again."""
    against = ""
    if metric.needs is Needs.REFERENCE:
        against = plan.digests[str(result.case.reference)]
    return result.digest, against, metric.name, plan.loaded[metric.name].version


def _measured(metric: Metric, plan: Plan, result: Result, original: Image | None) -> float:
    """Measured now, and stored."""
    label = f"{result.case.name} by {result.method}"
    pictures = [result.pixels()]
    if metric.needs is Needs.REFERENCE:
        assert original is not None  # choose() saw to it
        pictures.append(original)
    try:
        value = plan.loaded[metric.name].measure(*pictures)
    except InputError as error:
        raise InputError(f"{label}: {error.message}", hint=error.hint) from error
    except (ValueError, AssertionError) as error:  # a picture that is too small for a package
        raise InputError(f"{label}: {metric.name} cannot be measured: {error}") from error
    if result.digest:
        plan.store.add_value(*_key(metric, result, plan), value)
    return value


def _check_size(result: Result, original: Image | None, scale: float) -> None:
    label, made = f"{result.case.name} by {result.method}", result.pixels()
    if original is not None:
        if made.shape != original.shape:
            raise InputError(f"{label}: {size(made)}, but the reference has {size(original)}")
        return
    small = load_picture(result.case.picture)
    wanted = round(small.shape[1] * scale), round(small.shape[0] * scale)
    if (made.shape[1], made.shape[0]) != wanted:
        raise InputError(
            f"{label}: {size(made)}, but x{scale:g} of {size(small)} is {wanted[0]}x{wanted[1]}",
            hint="say another factor with --scale",
        )


def _files(entry: Method | Finished, plan: Plan) -> Mapping[str, Path]:
    if isinstance(entry, Finished):
        return entry.files
    places = {case.name: plan.place(entry.name, case) for case in plan.cases}
    return {name: path for name, path in places.items() if path}  # sets are kept for the run


def _linked(folder: Path, files: Mapping[str, Path]) -> Path:
    folder.mkdir()
    for name, path in files.items():
        (folder / f"{name}{path.suffix.lower()}").symlink_to(path.resolve())
    return folder
