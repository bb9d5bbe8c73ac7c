"""Runs methods over a folder of small pictures and measures what they make, a picture at a time.

Methods come one after another, so that only one model is in memory. With a folder to keep them,
results and figures are taken from an earlier run wherever nothing that decides about them changed.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from dit4sr_cli.core import events
from dit4sr_cli.core.errors import UsageError
from dit4sr_cli.evaluation import benchmarks, sheet, tables
from dit4sr_cli.evaluation.figures import figures, of_sets
from dit4sr_cli.evaluation.files import digest, save, write_text
from dit4sr_cli.evaluation.methods import BICUBIC, Finished, Method, bicubic, load_picture
from dit4sr_cli.evaluation.metrics import Needs, choose, load_all
from dit4sr_cli.evaluation.pairs import Case, finished, match
from dit4sr_cli.evaluation.pixels import BORDER, COLOURS, Image
from dit4sr_cli.evaluation.plan import Plan
from dit4sr_cli.evaluation.report import Report, Row
from dit4sr_cli.evaluation.results import results
from dit4sr_cli.evaluation.scores import digest_of_set, scores

_RESERVED = (BICUBIC, "input", "reference")
DEFAULT = ("default",)


@dataclass(frozen=True, slots=True)
class Keep:
    """What stays of a comparison besides its figures.

    Args:
        folder: gets METHOD/NAME.png, the scores, report.md and report.json.
        sheet: PNG to look at.
        crop: side of the squares on the sheet, from the middle; None shows all of a picture.
    """

    folder: Path | None = None
    sheet: Path | None = None
    crop: int | None = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """What is compared on what.

    Args:
        inputs: folder of small pictures, or of a benchmark.
        references: folder of the originals; None: as the benchmark's layout says, or none.
        methods: what enlarges, besides bicubic.
        outputs: results made elsewhere, by the name they get.
        metrics: names from METRICS, or groups of them.
        scale: where there are no references to say it.
        benchmark: one of the paper's, whatever the folder is called.
        paper: whose published figures to show; None: the benchmark's, if it is known.
        against: the method that others have to beat; None: bicubic.
        fetch: pyiqa may fetch weights.
    """

    inputs: Path
    references: Path | None = None
    methods: Sequence[Method] = ()
    outputs: Mapping[str, Path] = field(default_factory=dict)
    metrics: Sequence[str] = DEFAULT
    scale: float = 4.0
    benchmark: str | None = None
    paper: str | None = None
    against: str | None = None
    fetch: bool = False
    with_bicubic: bool = True


def evaluate(
    wanted: Comparison, *, keep: Keep | None = None, observe: events.Observer = events.ignore
) -> Report:
    """Bicubic, then methods, then finished folders: each measured on each picture.

    Raises:
        InputError: a picture is missing, cannot be read, or has another size than it should.
        UsageError: names clash, or a metric cannot be measured.
        OutputError: what is to be kept cannot be written.
    """
    keep = keep or Keep()
    # 1. Find fault before anyone waits.
    layout = benchmarks.find(wanted.inputs, wanted.references, named=wanted.benchmark)
    cases = match(layout.inputs, layout.references)
    has_references = layout.references is not None
    chosen = choose(wanted.metrics, has_references=has_references)
    entries = _entries(wanted, cases)
    names = [entry.name for entry in entries]
    _check_against(wanted.against, names)
    is_default = tuple(wanted.metrics) == DEFAULT
    loaded = load_all(chosen, fetch=wanted.fetch, quietly=is_default, observe=observe)
    metrics = [metric for metric in chosen if metric.name in loaded]
    _warn_of_size(layout.benchmark, cases, observe)
    with ExitStack() as stack:
        store = stack.enter_context(scores(keep.folder))
        folder = keep.folder
        if folder is None and any(metric.needs is Needs.SETS for metric in metrics):
            made = stack.enter_context(tempfile.TemporaryDirectory(prefix="dit4sr-eval-"))
            folder = Path(made)
        plan = Plan(cases, metrics, loaded, _digests(cases), store, folder, wanted.scale)
        # 2. Method by method, picture by picture.
        rows: list[Row] = []
        shown: dict[str, dict[str, Image]] = {}
        for entry in entries:
            for result in results(entry, plan, observe):
                name, values = result.case.name, figures(result, plan)
                rows.append(Row(name, entry.name, values, result.seconds))
                if keep.sheet:
                    crop = sheet.middle(result.pixels(), keep.crop).copy()
                    shown.setdefault(name, {})[entry.name] = crop
        sets = of_sets(entries, plan, observe)
    # 3. Put it together.
    paper = wanted.paper or (layout.benchmark.name if layout.benchmark else None)
    found = Report(
        metrics,
        rows,
        about=_about(layout, plan, paper, wanted),
        sets=sets,
        published=benchmarks.published(paper) if paper else {},
        against=wanted.against or "",
    )
    if keep.folder:
        text = tables.rendered(found, "md", with_pictures=True)
        write_text(keep.folder / "report.md", text)
        write_text(keep.folder / "report.json", tables.rendered(found, "json"))
    if keep.sheet:
        _write_sheet(keep.sheet, cases, shown, keep.crop)
    return found


# ---------------------------------------------------------------- before


def _entries(wanted: Comparison, cases: Sequence[Case]) -> list[Method | Finished]:
    _check_names([*(method.name for method in wanted.methods), *wanted.outputs])
    others = [Finished(name, finished(path, cases)) for name, path in wanted.outputs.items()]
    first = [bicubic()] if wanted.with_bicubic else []
    return [*first, *wanted.methods, *others]


def _check_names(names: Sequence[str]) -> None:
    """A name stands for one row of the table and one folder of what is kept."""
    for index, name in enumerate(names):
        if name in _RESERVED or name in names[:index]:
            raise UsageError(f"the name {name} is taken", hint="give it another: NAME=...")
        if name in ("", ".", "..") or "/" in name or "\\" in name:
            raise UsageError(f"{name!r} is no name for outputs", hint="use one without slashes")


def _check_against(against: str | None, names: Sequence[str]) -> None:
    if against is not None and against not in names:
        raise UsageError(f"--against {against}: no such row", hint=f"there are {', '.join(names)}")


def _warn_of_size(
    benchmark: benchmarks.Benchmark | None, cases: Sequence[Case], observe: events.Observer
) -> None:
    if benchmark is not None and len(cases) != benchmark.pictures:
        counts = f"{benchmark.name} has {benchmark.pictures} pictures, and {len(cases)} are here"
        observe(events.Warned(f"{counts}: published figures are of another set"))


def _digests(cases: Sequence[Case]) -> dict[str, str]:
    paths = [path for case in cases for path in (case.picture, case.reference) if path]
    return {str(path): digest(path) for path in paths}


# ---------------------------------------------------------------- after


def _about(
    layout: benchmarks.Layout, plan: Plan, paper: str | None, wanted: Comparison
) -> dict[str, str]:
    """All that another person needs to come to the same figures."""
    inputs = {case.name: plan.digests[str(case.picture)] for case in plan.cases}
    about = {"inputs": f"{len(inputs)} pictures, sha256 {digest_of_set(inputs)}"}
    originals = {c.name: plan.digests[str(c.reference)] for c in plan.cases if c.reference}
    if originals:
        about["references"] = f"{len(originals)} pictures, sha256 {digest_of_set(originals)}"
    if layout.benchmark:
        about["benchmark"] = layout.benchmark.name
        about["protocol"] = benchmarks.PROTOCOL
    if paper:
        about["published"] = f"{benchmarks.source()}, {paper}"
    if any(metric.name in ("psnr", "ssim") for metric in plan.metrics):
        about["border"] = f"{BORDER} pixels left out on each side by PSNR-Y and SSIM-Y, else none"
    about["colours"] = COLOURS
    for metric in plan.metrics:
        about[metric.title] = f"{metric.name}, {plan.loaded[metric.name].version}"
    if any(metric.name == "maniqa" for metric in plan.metrics):
        about["MANIQA"] += " (trained on KonIQ-10k; maniqa-pipal is the other one)"
    terms = dict.fromkeys(one.licence for one in plan.loaded.values() if one.licence)
    if terms:
        about["licence"] = "; ".join(terms)
    return about


def _write_sheet(
    path: Path,
    cases: Sequence[Case],
    shown: Mapping[str, Mapping[str, Image]],
    crop: int | None,
) -> None:
    rows = []
    for case in cases:
        small = load_picture(case.picture)
        original = load_picture(case.reference) if case.reference else None
        rows.append(sheet.make_row(case.name, small, shown[case.name], original, crop=crop))
    save(sheet.make_sheet(rows), path)
