"""Runs methods over a folder of small pictures and measures what they make, a picture at a time.

Methods come one after another, so that only one model is in memory. With a folder to keep them,
results and figures are taken from an earlier run wherever nothing that decides about them changed.
"""

from __future__ import annotations

import gc
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from PIL import Image as PilImage

from dit4sr_cli.core import events
from dit4sr_cli.core.errors import InputError, OutputError, UsageError
from dit4sr_cli.evaluation import benchmarks, sheet, tables
from dit4sr_cli.evaluation.loaded import Loaded
from dit4sr_cli.evaluation.methods import BICUBIC, Finished, Method, bicubic, load_picture
from dit4sr_cli.evaluation.metrics import Metric, Needs, choose, load_all
from dit4sr_cli.evaluation.pairs import Case, finished, match
from dit4sr_cli.evaluation.pixels import BORDER, COLOURS, Image
from dit4sr_cli.evaluation.report import Report, Row
from dit4sr_cli.evaluation.scores import Scores, digest_of, digest_of_set, scores

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


@dataclass(frozen=True, slots=True)
class _Plan:
    cases: Sequence[Case]
    metrics: Sequence[Metric]
    loaded: Mapping[str, Loaded]
    digests: Mapping[str, str]
    """Of pictures and references, by path."""


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
        plan = _Plan(cases, metrics, loaded, _digests(cases))
        # 2. Method by method, picture by picture.
        rows: list[Row] = []
        shown: dict[str, dict[str, Image]] = {}
        for entry in entries:
            for case, pixels, row in _rows(entry, plan, store, folder, wanted.scale, observe):
                rows.append(row)
                if keep.sheet:
                    shown.setdefault(case.name, {})[entry.name] = sheet.middle(
                        pixels(), keep.crop
                    ).copy()
        sets = _of_sets(entries, plan, folder, observe)
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
    return {str(path): _digest(path) for path in paths}


def _digest(path: Path) -> str:
    try:
        return digest_of(path)
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from error


# ---------------------------------------------------------------- picture by picture


def _rows(
    entry: Method | Finished,
    plan: _Plan,
    store: Scores,
    folder: Path | None,
    scale: float,
    observe: events.Observer,
) -> Iterator[tuple[Case, Callable[[], Image], Row]]:
    """Each case with its result, which is read only if somebody asks, and its figures."""
    enlarge = None
    for number, case in enumerate(plan.cases, 1):
        progress = f"{entry.name}: {case.name} ({number}/{len(plan.cases)})"
        observe(events.PhaseStarted(progress))
        pixels: Callable[[], Image]
        seconds: float | None = None
        if isinstance(entry, Finished):
            finished_file = entry.files[case.name]
            digest = _digest(finished_file)
            pixels = _once(partial(load_picture, finished_file))
        else:
            path = (folder / entry.name / f"{case.name}.png") if folder else None
            key, picture = entry.key(case), plan.digests[str(case.picture)]
            known = store.made(f"{entry.name} {key} x{scale:g}", picture) if key else None
            if known and path and path.is_file() and _digest(path) == known[0]:
                digest, seconds = known
                pixels = _once(partial(load_picture, path))
            else:
                enlarge = enlarge or entry.load(plan.cases[number - 1 :])
                small = load_picture(case.picture)
                started = time.perf_counter()
                made = enlarge(case, small, _scale_of(case, small, scale))
                seconds = time.perf_counter() - started
                pixels = _once(partial(_same, made))
                digest = ""
                if path is not None:
                    save(PilImage.fromarray(made), path)
                    digest = _digest(path)
                    store.add_made(f"{entry.name} {key} x{scale:g}", picture, digest, seconds)
        values = _values(case, pixels, digest, f"{case.name} by {entry.name}", plan, store, scale)
        yield case, pixels, Row(case.name, entry.name, values, seconds)
    del enlarge
    gc.collect()


def _values(
    case: Case,
    pixels: Callable[[], Image],
    digest: str,
    label: str,
    plan: _Plan,
    store: Scores,
    scale: float,
) -> dict[str, float]:
    """The figures of one result: those that are known, and the others."""
    original = _once(partial(load_picture, case.reference)) if case.reference else None
    reference = plan.digests[str(case.reference)] if case.reference else ""
    values: dict[str, float] = {}
    is_checked = False
    for metric in plan.metrics:
        if metric.needs is Needs.SETS:
            continue
        one = plan.loaded[metric.name]
        against = reference if metric.needs is Needs.REFERENCE else ""
        known = store.value(digest, against, metric.name, one.version) if digest else None
        if known is None:
            if not is_checked:
                _check_size(case, pixels(), original() if original else None, label, scale)
                is_checked = True
            pictures = [pixels()]
            if metric.needs is Needs.REFERENCE:
                assert original is not None  # choose() saw to it
                pictures.append(original())
            known = _measured(metric, one, pictures, label)
            if digest:
                store.add_value(digest, against, metric.name, one.version, known)
        values[metric.name] = known
    return values


def _measured(metric: Metric, one: Loaded, pictures: Sequence[Image], label: str) -> float:
    try:
        return one.measure(*pictures)
    except InputError as error:
        raise InputError(f"{label}: {error.message}", hint=error.hint) from error
    except (ValueError, AssertionError) as error:  # a picture that is too small for a package
        raise InputError(f"{label}: {metric.name} cannot be measured: {error}") from error


def _scale_of(case: Case, small: Image, scale: float) -> float:
    if case.reference is None:
        return scale
    original = load_picture(case.reference)
    factor = original.shape[1] / small.shape[1]
    if round(small.shape[0] * factor) != original.shape[0]:
        raise InputError(
            f"{case.name}: {_size(small)} is not {_size(original)} made smaller",
            hint="input and reference must have the same proportions",
        )
    return factor


def _check_size(
    case: Case, result: Image, original: Image | None, label: str, scale: float
) -> None:
    if original is not None:
        if result.shape != original.shape:
            raise InputError(f"{label}: {_size(result)}, but the reference has {_size(original)}")
        return
    small = load_picture(case.picture)
    wanted = round(small.shape[1] * scale), round(small.shape[0] * scale)
    if (result.shape[1], result.shape[0]) != wanted:
        raise InputError(
            f"{label}: {_size(result)}, "
            f"but x{scale:g} of {_size(small)} is {wanted[0]}x{wanted[1]}",
            hint="say another factor with --scale",
        )


def _of_sets(
    entries: Sequence[Method | Finished],
    plan: _Plan,
    folder: Path | None,
    observe: events.Observer,
) -> dict[tuple[str, str], float]:
    """Figures of all results at once; the files are linked side by side, as pyiqa takes them."""
    found: dict[tuple[str, str], float] = {}
    for metric in plan.metrics:
        if metric.needs is not Needs.SETS:
            continue
        with tempfile.TemporaryDirectory(prefix="dit4sr-sets-") as place:
            originals = _linked(
                Path(place) / "r", {c.name: c.reference for c in plan.cases if c.reference}
            )
            for number, entry in enumerate(entries):
                observe(events.PhaseStarted(f"{metric.name} of {entry.name}"))
                files = (
                    entry.files
                    if isinstance(entry, Finished)
                    else {c.name: _kept(folder, entry.name, c.name) for c in plan.cases}
                )
                results = _linked(Path(place) / str(number), files)
                measure = plan.loaded[metric.name].measure
                found[entry.name, metric.name] = measure(results, originals)
    return found


def _kept(folder: Path | None, method: str, name: str) -> Path:
    assert folder is not None  # sets are kept, if only for the run
    return folder / method / f"{name}.png"


def _linked(folder: Path, files: Mapping[str, Path]) -> Path:
    folder.mkdir()
    for name, path in files.items():
        (folder / f"{name}{path.suffix.lower()}").symlink_to(path.resolve())
    return folder


# ---------------------------------------------------------------- after


def _about(
    layout: benchmarks.Layout, plan: _Plan, paper: str | None, wanted: Comparison
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


def _same(pixels: Image) -> Image:
    return pixels


def _once(read: Callable[[], Image]) -> Callable[[], Image]:
    """Read at the first call, and remember."""
    found: list[Image] = []

    def get() -> Image:
        if not found:
            found.append(read())
        return found[0]

    return get


def _size(image: Image) -> str:
    return f"{image.shape[1]}x{image.shape[0]}"


def save(image: PilImage.Image, path: Path) -> None:
    """Write a PNG beside its place and rename it."""
    part = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        image.save(part, "PNG")
        part.replace(path)
    except OSError as error:
        raise OutputError(f"{path}: cannot be written: {error.strerror or error}") from error
    finally:
        part.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a text beside its place and rename it."""
    part = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_text(text + "\n", encoding="utf-8")
        part.replace(path)
    except OSError as error:
        raise OutputError(f"{path}: cannot be written: {error.strerror or error}") from error
    finally:
        part.unlink(missing_ok=True)
