"""A record against what is here: has anything changed, and does it come out the same again?"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from dit4sr_cli.captions.source import NO_CAPTION, Caption
from dit4sr_cli.core import events
from dit4sr_cli.core.errors import ExitCode, InputError, ModelError, OutputError, UsageError
from dit4sr_cli.core.settings import (
    CaptionSettings,
    ModelSettings,
    OutputSettings,
    UpscaleSettings,
)
from dit4sr_cli.core.types import (
    ColorFix,
    DeviceChoice,
    Grid,
    Precision,
    Preset,
    Quantize,
    Solver,
    StartPoint,
)
from dit4sr_cli.imaging import fingerprint, formats, vips
from dit4sr_cli.imaging.picture import Pixels
from dit4sr_cli.jobs import plan, provenance, steps
from dit4sr_cli.jobs import upscale as job
from dit4sr_cli.jobs.plan import Request
from dit4sr_cli.jobs.provenance import Found, Provenance
from dit4sr_cli.jobs.record import Outcome
from dit4sr_cli.jobs.upscale import Loader

if TYPE_CHECKING:
    from dit4sr_cli.weights.resolve import Resolved

_PRECISIONS = {"float32": "fp32", "float16": "fp16", "bfloat16": "bf16"}
_ENUMS = {
    "start": StartPoint,
    "color_fix": ColorFix,
    "preset": Preset,
    "grid": Grid,
    "solver": Solver,
}


class State(str, Enum):
    """What became of one thing that the record names."""

    SAME = "same"
    CHANGED = "changed"
    UNKNOWN = "not compared"


@dataclass(frozen=True, slots=True)
class Check:
    """One comparison: `record`, `pixels`, `source` or `weights`, and what was found."""

    what: str
    state: State
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """Between two results, in levels of the first one's samples; `psnr` None: they are equal."""

    same: bool
    max_level: int
    mean_level: float
    psnr: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Replayed:
    """A run again, what of its conditions was not as before, and how far off the result is."""

    outcome: Outcome
    difference: Difference
    notes: tuple[str, ...] = ()


def load(path: Path) -> Found:
    """The record of a picture; its pixels are not decoded.

    Raises:
        InputError: it has none, or cannot be read.
    """
    with _explained(path):
        data, kind = _contents(path)
        return provenance.find(path, data, kind)


# ------------------------------------------------------------------------- verify


def verify(
    path: Path, source: Path | None = None, observe: events.Observer = events.ignore
) -> list[Check]:
    """Compare a picture, its source and the weights that are here with its record.

    Raises:
        InputError: there is no record, or a file cannot be read.
    """
    found = load(path)
    observe(events.PhaseStarted("reading"))
    return [
        _check_record(found),
        _check_pixels(found.record, _samples(path)),
        _check_source(found.record, source),
        _check_weights(found.record, None, observe)[0],
    ]


def exit_code(checks: list[Check]) -> ExitCode:
    """3 if the picture, its record or its source is another; 5 if only the weights are."""
    changed = {check.what for check in checks if check.state is State.CHANGED}
    if changed - {"weights"}:
        return ExitCode.INPUT
    return ExitCode.MODEL if changed else ExitCode.OK


def _check_record(found: Found) -> Check:
    record = found.record
    if provenance.checksum(record) != record["checksum"]:
        return Check("record", State.CHANGED, "it was edited: its checksum is wrong")
    expected = provenance.mirrors(record, 1)
    edited = [name for name, value in found.mirrors.items() if expected.get(name) != value]
    if edited:
        return Check("record", State.CHANGED, f"edited beside it: {', '.join(sorted(edited))}")
    return Check("record", State.SAME, f"in its {found.place}")


def _check_pixels(record: Provenance, pages: list[Pixels]) -> Check:
    expected = [page["pixels"] for page in record["output"]["pages"]]
    actual = [fingerprint.of_pixels(page) for page in pages]
    if len(actual) != len(expected):
        return Check("pixels", State.CHANGED, f"{len(actual)} pages, not {len(expected)}")
    pairs = enumerate(zip(actual, expected, strict=True), start=1)
    other = [str(number) for number, (found, wanted) in pairs if found != wanted]
    if not other:
        return Check("pixels", State.SAME)
    where = f" on page {', '.join(other)}" if len(expected) > 1 else ""
    return Check("pixels", State.CHANGED, f"they are not those that were written{where}")


def _check_source(record: Provenance, source: Path | None) -> Check:
    expected = record["source"]
    if source is None:
        return Check("source", State.UNKNOWN, f"{expected['name']}: pass --source to compare")
    plan.check_source(source)
    if not expected["sha256"]:
        return Check("source", State.UNKNOWN, "it came through a pipe that was not kept")
    with _explained(source):
        actual = provenance.hash_source(source)
    if actual == expected["sha256"]:
        return Check("source", State.SAME, expected["name"])
    return Check("source", State.CHANGED, f"{source.name} is not the file that was read")


def _check_weights(
    record: Provenance, model: str | None, observe: events.Observer
) -> tuple[Check, Resolved | None]:
    """Whether the weights under this name are those that were used."""
    from dit4sr_cli.weights.identity import weight_digests
    from dit4sr_cli.weights.resolve import resolve

    name, expected = record["model"]["name"], record["model"]["weights"]
    try:
        found = resolve(model or name)
        actual = weight_digests(found, t5=record["machine"].get("t5", True), observe=observe)
    except ModelError as error:
        return Check("weights", State.UNKNOWN, error.message), None
    if actual == expected:
        return Check("weights", State.SAME, name), found
    parts = sorted(k for k in actual.keys() | expected.keys() if actual.get(k) != expected.get(k))
    detail = f"{found.name} has other weights here: {', '.join(parts)}"
    return Check("weights", State.CHANGED, detail), found


# ------------------------------------------------------------------------- rerun


def rerun(
    path: Path,
    source: Path,
    target: Path,
    *,
    model: str | None = None,
    overwrite: bool = False,
    is_forced: bool = False,
    load_model: Loader = job.load_upscaler,
    observe: events.Observer = events.ignore,
) -> Replayed:
    """Make a picture again as its record says, and compare.

    Raises:
        InputError: no record, or not a whole one; another source.
        ModelError: the weights are not here, or others.
        OutputError: the new result cannot be written.
    """
    record = load(path).record
    notes = _conditions(record, source, model, observe, is_forced=is_forced)
    _check_place(path, target)
    request = _request(record, path, source, target, model, overwrite=overwrite)
    opened = steps.open_source(request, observe)
    captions = _captions(record, path, len(opened.pages))
    observe(events.PhaseStarted("loading the model"))
    upscaler = load_model(request.model, opened.noting(observe))
    upscaler.learn([caption.text for caption in captions], suffix=request.caption.suffix)
    made = steps.enlarge(opened, captions, upscaler, observe)
    outcome = steps.finish(opened, made, observe)
    observe(events.PhaseStarted("comparing"))
    return Replayed(
        outcome=outcome,
        difference=difference(_samples(path), _samples(opened.target or target)),
        notes=(*notes, *_format_note(record, outcome)),
    )


def _check_place(path: Path, target: Path) -> None:
    if target == plan.STDOUT:
        raise UsageError("the new result is compared: it cannot go to standard output")
    if target.exists() and path.samefile(target):
        raise OutputError(f"{target}: is the picture that it is compared to")


def difference(before: list[Pixels], after: list[Pixels]) -> Difference:
    """How far results are apart; of several pages the worst.

    Raises:
        InputError: they have not the same size.
    """
    if [page.shape for page in before] != [page.shape for page in after]:
        raise InputError(
            "the new result has another size, channels or pages: it cannot be compared",
            hint="write the format of the first one",
        )
    pairs = zip(before, after, strict=True)
    found = [_page_difference(one, other) for one, other in pairs]
    return max(found, key=lambda d: (not d.same, d.max_level, d.mean_level))


def _page_difference(before: Pixels, after: Pixels) -> Difference:
    if before.dtype != after.dtype:
        after = (after // 257 if before.itemsize == 1 else after.astype(np.uint16) * 257).astype(
            before.dtype
        )
    largest, total, squares = 0, 0.0, 0.0
    for one, other in zip(before, after, strict=True):  # by rows: pictures may be large
        gap = np.abs(one.astype(np.int64) - other.astype(np.int64))
        largest = max(largest, int(gap.max()))
        total, squares = total + float(gap.sum()), squares + float((gap**2).sum())
    if not largest:
        return Difference(same=True, max_level=0, mean_level=0.0, psnr=None)
    top = np.iinfo(before.dtype).max
    psnr = 10 * math.log10(top**2 / (squares / before.size))
    mean = round(total / before.size, 6)
    return Difference(same=False, max_level=largest, mean_level=mean, psnr=round(psnr, 2))


def _conditions(
    record: Provenance,
    source: Path,
    model: str | None,
    observe: events.Observer,
    *,
    is_forced: bool,
) -> list[str]:
    """What is not as it was; refused unless forced, but for what cannot be known before."""
    notes: list[str] = []
    force = "pass --force to go on all the same"
    check = _check_source(record, source)
    if check.state is State.CHANGED:
        if not is_forced:
            raise InputError(f"{source}: is not the source of this picture", hint=force)
        notes.append(f"source: {check.detail}")
    check, found = _check_weights(record, model, observe)
    if found is None:
        where = "name its folder with --model"
        raise ModelError(check.detail, hint=where)
    if check.state is State.CHANGED:
        if not is_forced:
            raise ModelError(check.detail, hint=force)
        notes.append(f"weights: {check.detail}")
    return [*notes, *_other_libraries(record)]


def _format_note(record: Provenance, outcome: Outcome) -> list[str]:
    was = record["output"]["format"]
    return [] if was == outcome.format else [f"written as {outcome.format}, was {was}"]


def _other_libraries(record: Provenance) -> list[str]:
    here, was = provenance.libraries(), record["libraries"]
    return [f"{k} {here.get(k, 'is missing')}, was {v}" for k, v in was.items() if here.get(k) != v]


def _request(
    record: Provenance,
    path: Path,
    source: Path,
    target: Path,
    model: str | None,
    *,
    overwrite: bool,
) -> Request:
    machine, output = record["machine"], record["output"]
    try:
        return Request(
            source=source,
            upscale=_upscale_settings(record),
            model=ModelSettings(
                model=model or record["model"]["name"],
                device=DeviceChoice(machine["device"].partition(":")[0]),
                precision=Precision(_PRECISIONS.get(machine["dtype"], "auto")),
                t5=bool(machine.get("t5", True)),
                low_memory=bool(machine.get("low_memory", False)),
                quantize=Quantize(machine.get("quantize", "none")),
            ),
            caption=CaptionSettings(suffix=record["prompt"].get("suffix")),
            output=OutputSettings(target=target, quality=output["quality"], overwrite=overwrite),
        )
    except (ValueError, TypeError) as error:
        raise InputError(f"{path}: its record is damaged ({error})") from error


def _upscale_settings(record: Provenance) -> UpscaleSettings:
    values = {**record["settings"], "negative_prompt": record["prompt"].get("negative")}
    known = {field.name for field in fields(UpscaleSettings)}
    if unknown := values.keys() - known:
        raise ValueError(f"settings that this version does not know: {', '.join(sorted(unknown))}")
    return UpscaleSettings(
        **{k: _ENUMS[k](v) if k in _ENUMS and v is not None else v for k, v in values.items()}
    )


def _captions(record: Provenance, path: Path, num_pages: int) -> list[Caption]:
    """Those of the record: no file is read for them, and no captioner asked."""
    lacking = [name for name in record.get("omitted", ()) if name != "prompt.text"]
    if lacking:
        raise InputError(
            f"{path}: its record was too long for jpeg and lacks {', '.join(lacking)}",
            hint="put its sidecar beside it",
        )
    prompt = record["prompt"]
    texts, origin = prompt.get("captions"), prompt["origin"]
    if not isinstance(texts, list) or len(texts) != num_pages:
        raise InputError(f"{path}: its record is not of {num_pages} pages")
    if origin == NO_CAPTION.origin:
        return [NO_CAPTION] * num_pages
    return [Caption(str(text), origin) for text in texts]


# ------------------------------------------------------------------------- files


def _samples(path: Path) -> list[Pixels]:
    with _explained(path):
        data, kind = _contents(path)
        return fingerprint.samples(data, kind)


def _contents(path: Path) -> tuple[memoryview, str]:
    data = memoryview(path.read_bytes())
    kind = formats.sniff(bytes(data[:256]))
    if kind not in formats.WRITABLE:
        raise InputError(f"{path}: is not a picture that dit4sr writes")
    return data, str(kind)


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from error
    except (vips.Error, ValueError, SyntaxError) as error:
        raise InputError(f"{path}: damaged or truncated ({vips.reason(error)})") from error
