"""Runs methods over a folder of small pictures and measures them against the originals.

A method is a function; this module loads no model, so that it serves any.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
from PIL import Image as PilImage

from dit4sr_cli.core import events
from dit4sr_cli.core.errors import InputError, OutputError, UsageError
from dit4sr_cli.evaluation import report, sheet
from dit4sr_cli.evaluation.metrics import BASIC, Image, Measure, choose
from dit4sr_cli.evaluation.pairs import Pair, finished, match
from dit4sr_cli.evaluation.report import Report, Row
from dit4sr_cli.imaging import reader, resize

BASELINE = "bicubic"
_RESERVED = (BASELINE, "input", "reference")

Method: TypeAlias = Callable[[Image, float], Image]
"""(small picture, scale) -> large picture, both [H, W, 3] uint8."""


@dataclass(frozen=True, slots=True)
class Keep:
    """What stays of a comparison besides its figures.

    Args:
        folder: gets METHOD/NAME.png, report.md and report.json.
        sheet: PNG to look at.
        crop: side of the squares on the sheet, from the middle; None shows all of a picture.
    """

    folder: Path | None = None
    sheet: Path | None = None
    crop: int | None = 256


def evaluate(
    inputs: Path,
    references: Path,
    *,
    load_methods: Callable[[], Mapping[str, Method]] = dict,
    outputs: Mapping[str, Path] | None = None,
    metrics: Sequence[str] = BASIC,
    keep: Keep | None = None,
    observe: events.Observer = events.ignore,
) -> Report:
    """Bicubic, then methods, then the finished folders `outputs`: each measured on each pair.

    Args:
        inputs: folder of small pictures.
        references: folder of the originals.
        load_methods: called once the folders turn out to be in order; a model takes its time.
        outputs: results made elsewhere, by the name they get.
        metrics: names from METRICS, or `all`.
        keep: what to write besides.
        observe: told which picture it is at.
    """
    keep = keep or Keep()
    # 1. Find fault before anyone waits.
    chosen = choose(metrics)
    pairs = match(inputs, references)
    folders = {name: finished(path, pairs) for name, path in (outputs or {}).items()}
    measures = {metric.name: metric.load() for metric in chosen}
    methods = load_methods()
    _check_names([*methods, *folders])
    runs = {BASELINE: bicubic, **methods}
    # 2. Picture by picture, so that only one is in memory.
    rows: list[Row] = []
    sheet_rows: list[sheet.SheetRow] = []
    for number, pair in enumerate(pairs, 1):
        observe(events.PhaseStarted(f"{pair.name} ({number}/{len(pairs)})"))
        small, original = load(pair.picture), load(pair.reference)
        results: dict[str, Image] = {}
        for name, pixels, seconds in _results(pair, small, original, runs, folders):
            _check_size(pixels, original, f"{pair.name} by {name}")
            rows.append(Row(pair.name, name, _measured(measures, pixels, original), seconds))
            results[name] = pixels
        if keep.folder:
            _save_all(results, keep.folder, pair.name)
        if keep.sheet:
            row = sheet.make_row(pair.name, small, results, original, crop=keep.crop)
            sheet_rows.append(row)
    # 3. Put it together.
    found = Report(chosen, rows)
    if keep.folder:
        _write_text(keep.folder / "report.md", report.to_markdown(found, with_pictures=True))
        _write_text(keep.folder / "report.json", report.to_json(found))
    if keep.sheet:
        _save(sheet.make_sheet(sheet_rows), keep.sheet)
    return found


def bicubic(small: Image, scale: float) -> Image:
    """The baseline: the kernel that every viewer enlarges with."""
    height, width = small.shape[:2]
    return resize.bicubic(small, (round(width * scale), round(height * scale)))


def load(path: Path) -> Image:
    """The first page of a picture as [H, W, 3] uint8 sRGB; grey becomes three equal channels."""
    pixels = reader.read(path, name=str(path))[0].pixels
    if pixels.dtype == np.uint16:
        pixels = ((pixels.astype(np.uint32) + 128) // 257).astype(np.uint8)
    return np.ascontiguousarray(np.broadcast_to(pixels, (*pixels.shape[:2], 3)))


def _check_names(names: Sequence[str]) -> None:
    """A name stands for one row of the table and one folder of what is kept."""
    for index, name in enumerate(names):
        if name in _RESERVED or name in names[:index]:
            raise UsageError(f"the name {name} is taken", hint="give the outputs another name")
        if name in ("", ".", "..") or "/" in name or "\\" in name:
            raise UsageError(f"{name!r} is no name for outputs", hint="use one without slashes")


def _results(
    pair: Pair,
    small: Image,
    original: Image,
    runs: Mapping[str, Method],
    folders: Mapping[str, Mapping[str, Path]],
) -> Iterator[tuple[str, Image, float | None]]:
    """Name, result and seconds of each method."""
    scale = original.shape[1] / small.shape[1]
    if round(small.shape[0] * scale) != original.shape[0]:
        raise InputError(
            f"{pair.name}: {_size(small)} is not {_size(original)} made smaller",
            hint="input and reference must have the same proportions",
        )
    for name, method in runs.items():
        started = time.perf_counter()
        pixels = method(small, scale)
        yield name, pixels, time.perf_counter() - started
    for name, paths in folders.items():
        yield name, load(paths[pair.name]), None


def _measured(measures: Mapping[str, Measure], result: Image, original: Image) -> dict[str, float]:
    return {name: measure(result, original) for name, measure in measures.items()}


def _check_size(result: Image, original: Image, label: str) -> None:
    if result.shape != original.shape:
        raise InputError(f"{label}: {_size(result)}, but the reference has {_size(original)}")


def _size(image: Image) -> str:
    return f"{image.shape[1]}x{image.shape[0]}"


def _save_all(results: Mapping[str, Image], folder: Path, name: str) -> None:
    for method, pixels in results.items():
        _save(PilImage.fromarray(pixels), folder / method / f"{name}.png")


def _save(image: PilImage.Image, path: Path) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        image.save(path, "PNG")
    except OSError as error:
        raise OutputError(f"{path}: cannot be written: {error.strerror or error}") from error


def _write_text(path: Path, text: str) -> None:
    try:
        path.write_text(text + "\n", encoding="utf-8")
    except OSError as error:
        raise OutputError(f"{path}: cannot be written: {error.strerror or error}") from error
