"""The steps of one picture's way: open, describe, enlarge, finish; `upscale` and `batch` walk them.

Each takes what the one before it made, so that steps of different pictures can overlap.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from dit4sr_cli import __version__
from dit4sr_cli.core import events
from dit4sr_cli.core.errors import OutputError
from dit4sr_cli.core.types import Size
from dit4sr_cli.imaging import formats
from dit4sr_cli.jobs import plan, provenance
from dit4sr_cli.jobs.plan import Request
from dit4sr_cli.jobs.record import Outcome, Record

if TYPE_CHECKING:
    from dit4sr_cli.captions.source import Caption
    from dit4sr_cli.imaging.picture import Picture, Pixels
    from dit4sr_cli.jobs.upscaler import Result, Upscaler
    from dit4sr_cli.weights.resolve import Resolved
    from dit4sr_cli.weights.spec import ModelSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """A picture that was read, and that can be written once it is made.

    Args:
        request: what was asked for.
        model: what will be used.
        target: where the result goes; None is standard output.
        format: of the result.
        pages: what was read, and fits the format.
        source_sha256: of the bytes that were read, for the record.
        is_large: its pixels are on disk, and are worked on by strips; see `large`.
        warnings: gathered on the whole way.
        started: on the monotonic clock.
    """

    request: Request
    model: Resolved
    target: Path | None
    format: str
    pages: list[Picture]
    source_sha256: str = ""
    is_large: bool = False
    warnings: list[str] = field(default_factory=list)
    started: float

    def noting(self, observe: events.Observer) -> events.Observer:
        """An observer that also keeps warnings for the outcome."""
        return _keeping_warnings(observe, self.warnings)


@dataclass(frozen=True, slots=True)
class Made:
    """The enlarged pages, with alpha and metadata, how each was made, and what was invented."""

    pages: list[Picture]
    records: list[Record]
    map: Pixels | None = None


def open_source(request: Request, observe: events.Observer = events.ignore) -> Opened:
    """Check the model's name and where the result goes, then read.

    Raises:
        InputError, OutputError, UsageError, ModelError: nothing has been done.
    """
    from dit4sr_cli.imaging import reader, writer
    from dit4sr_cli.jobs import large
    from dit4sr_cli.weights.resolve import resolve

    is_large = large.suits(request)
    started = time.monotonic()
    warned: list[str] = []
    observe = _keeping_warnings(observe, warned)
    found = resolve(request.model.model)
    observe(events.Noted(f"model {found.name}: {found.folder} ({found.rule})"))
    target = plan.plan_target(request)
    if request.output.map is not None:
        writer.check_target(request.output.map, overwrite=request.output.overwrite)
    if request.output.sidecar:
        provenance.check_sidecar(target, overwrite=request.output.overwrite)
    observe(events.PhaseStarted("reading"))
    if is_large:
        pages = [large.read(request, target)]
    else:
        pages = reader.read(
            request.source, name=request.name, max_megapixels=request.output.max_megapixels
        )
    format = plan.plan_format(request, target, pages[0].format)
    return Opened(
        request=request,
        model=found,
        target=target,
        format=format,
        pages=_fit(pages, request, format, observe),
        source_sha256=provenance.hash_source(request.source) if request.output.is_recorded else "",
        is_large=is_large,
        warnings=warned,
        started=started,
    )


def describe(opened: Opened, observe: events.Observer = events.ignore) -> list[Caption]:
    """What each page shows, by whoever knows; see `jobs.caption`."""
    return captions_of(opened.pages, opened.request, opened.model.spec, opened.noting(observe))


def enlarge(
    opened: Opened,
    captions: Sequence[Caption],
    upscaler: Upscaler,
    observe: events.Observer = events.ignore,
) -> Made:
    """Upscale page by page, with alpha and metadata."""
    observe = opened.noting(observe)
    pages, records = [], []
    for number, (page, caption) in enumerate(zip(opened.pages, captions, strict=True), start=1):
        told = observe if len(captions) == 1 else numbered(observe, number, len(captions))
        [result] = _upscale([page], [caption], opened, upscaler, told)
        enlarged, record = _complete(page, result, opened, told)
        pages.append(enlarged)
        records.append(record)
    if opened.request.output.map is None:
        return Made(pages, records)
    return Made(pages, records, _invented(opened, pages[0], captions[0], upscaler, observe))


def enlarge_together(
    several: Sequence[Opened],
    captions: Sequence[Caption],
    upscaler: Upscaler,
    observe: events.Observer = events.ignore,
) -> list[Made]:
    """Upscale pictures of one page, one size and the same settings, through the model at once."""
    first = several[0]
    for opened in several:
        observe = opened.noting(observe)
    pages = [opened.pages[0] for opened in several]
    results = _upscale(pages, captions, first, upscaler, observe)
    made = []
    for opened, page, result in zip(several, pages, results, strict=True):
        enlarged, record = _complete(page, result, opened, opened.noting(events.ignore))
        made.append(Made([enlarged], [record]))
    return made


def finish(
    opened: Opened,
    made: Made,
    observe: events.Observer = events.ignore,
    stdout: BinaryIO | None = None,
) -> Outcome:
    """Write all pages at once, or none.

    Raises:
        OutputError: it cannot be written; what was there before still is.
    """
    observe = opened.noting(observe)
    with provenance.recorded(opened, made, observe) as pages:
        observe(events.PhaseStarted("writing"))
        _write(pages, opened, stdout)
    _write_map(opened, made)
    seconds = round(time.monotonic() - opened.started, 3)
    return Outcome(
        **(asdict(made.records[0]) | {"seconds": seconds}),
        input="-" if isinstance(opened.request.source, bytes) else opened.request.name,
        output="-" if opened.target is None else str(opened.target),
        format=opened.format,
        pages=len(made.pages),
        warnings=tuple(opened.warnings),
    )


def _fit(
    pages: Sequence[Picture], request: Request, format: str, observe: events.Observer
) -> list[Picture]:
    """Keep what the output format can hold, and say what it cannot."""
    from dit4sr_cli.imaging import writer

    kept = list(pages)
    if len(kept) > 1 and not formats.can_hold_pages(format):
        kept = kept[:1]
        text = f"{request.name}: only the first of {len(pages)} pages is kept, {format} holds one"
        observe(events.Warned(text))
    for page in kept:
        size = f"{page.width}x{page.height}"
        observe(events.Noted(f"{page.name}: {page.format} {size}, {page.mode}, {page.bits} bits"))
        for text in (*page.warnings, *writer.losses(page, format)):
            observe(events.Warned(text))
        plan.check_size(page, request, format)
    return kept


def captions_of(
    pages: Sequence[Picture], request: Request, spec: ModelSpec, observe: events.Observer
) -> list[Caption]:
    """What each page shows; nobody is asked for a model that reads no text."""
    from dit4sr_cli.captions.source import NO_CAPTION
    from dit4sr_cli.jobs.caption import finding
    from dit4sr_cli.weights.resolve import AUTO, NONE

    settings = request.caption
    if not spec.text:
        for option in ("prompt_file", "prompts", "suffix"):
            if getattr(settings, option) is not None:
                name = option.replace("_", "-")
                observe(events.Warned(f"{spec.name} reads no text: --{name} is ignored"))
        if settings.captioner not in (AUTO, NONE):
            observe(events.Warned(f"{spec.name} reads no text: --captioner is ignored"))
        return [NO_CAPTION] * len(pages)
    source = request.source if isinstance(request.source, Path) else None
    with finding(
        prompt=request.upscale.prompt,
        settings=settings,
        device=request.model.device,
        precision=request.model.precision,
        seed=request.upscale.seed,
        observe=observe,
    ) as find:
        return [find(source, page.pixels) for page in pages]


def _upscale(
    pages: Sequence[Picture],
    captions: Sequence[Caption],
    opened: Opened,
    upscaler: Upscaler,
    observe: events.Observer,
    seed: int | None = None,
) -> list[Result]:
    from dit4sr_cli.jobs import large, whole

    request = opened.request
    settings = request.upscale if seed is None else replace(request.upscale, seed=seed)
    return upscaler.upscale_many(
        [page.pixels for page in pages],
        settings,
        captions=captions,
        suffix=request.caption.suffix,
        enlarge=large.enlarging(opened.target) if opened.is_large else whole.enlarge,
        observe=observe,
    )


def _complete(
    page: Picture, result: Result, opened: Opened, observe: events.Observer
) -> tuple[Picture, Record]:
    """The enlarged page with alpha and metadata, and the record with its fidelity."""
    from dit4sr_cli.imaging import metadata

    record = replace(result.record, fidelity=_checked(page, result.pixels, observe))
    size = Size(*record.output_size)
    renewed = metadata.renew(
        page.metadata,
        width=size.width,
        height=size.height,
        software=f"dit4sr {__version__} ({record.model})",
        thumbnail=_thumbnail(result.pixels, opened),
    )
    tiles = f"{record.tiles} tiles of {record.tile} cells, {record.overlap} overlapping"
    observe(events.Noted(f"{record.device}, {record.dtype}, {tiles}, {record.seconds:.1f} s"))
    alpha = None if page.alpha is None else _resized(page.alpha, size, opened)
    return replace(page, pixels=result.pixels, alpha=alpha, metadata=renewed), record


def _resized(plane: Pixels, size: Size, opened: Opened) -> Pixels:
    from dit4sr_cli.imaging import resize
    from dit4sr_cli.jobs import large

    if opened.is_large:
        return large.resized(plane, size, opened.target)
    return resize.bicubic(plane, (size.width, size.height))


def _thumbnail(pixels: Pixels, opened: Opened) -> bytes | None:
    from dit4sr_cli.imaging import metadata, strips

    if not opened.is_large:
        return metadata.make_thumbnail(pixels)
    # TIFF keeps none, and making it means to read all of the result.
    return None if opened.format == "tiff" else strips.thumbnail(pixels)


def _checked(page: Picture, result: Pixels, observe: events.Observer) -> dict[str, Any] | None:
    """How faithful the result is, for the record; said if it is not."""
    from dit4sr_cli.fidelity.check import check, fits

    size = (result.shape[1], result.shape[0])
    if not fits((page.width, page.height), size):  # a line of pixels has no shape to compare
        return None
    found = check(page.pixels, result)
    told = events.Noted if found.verdict.holds else events.Warned
    observe(told(f"{page.name}: {found.summary()}"))
    return found.as_json()


def _invented(
    opened: Opened,
    first: Picture,
    caption: Caption,
    upscaler: Upscaler,
    observe: events.Observer,
) -> Pixels:
    """Where samples of other seeds disagree with the first page's result."""
    from dit4sr_cli.fidelity.invention import Spread

    output, seed = opened.request.output, opened.request.upscale.seed
    spread = Spread()
    spread.add(first.pixels)
    for number in range(1, output.seeds):
        told = numbered(observe, number + 1, output.seeds, "sample")
        page = opened.pages[0]
        [result] = _upscale([page], [caption], opened, upscaler, told, seed=seed + number)
        spread.add(result.pixels)
    found = spread.result()
    observe(events.Said(found.summary()))
    return found.map


def _write_map(opened: Opened, made: Made) -> None:
    from dit4sr_cli.imaging import writer
    from dit4sr_cli.imaging.picture import Metadata, Picture

    target = opened.request.output.map
    if target is None or made.map is None:
        return
    picture = Picture(made.map, None, Metadata(), target.name, "png", "rgb")
    writer.write([picture], target, format="png", overwrite=opened.request.output.overwrite)


def _write(pages: list[Picture], opened: Opened, stdout: BinaryIO | None) -> None:
    from dit4sr_cli.imaging import writer
    from dit4sr_cli.jobs import large

    target, format, settings = opened.target, opened.format, opened.request.output
    if opened.is_large:
        assert target is not None
        large.write(pages[0], target, format, settings)
    elif target is not None:
        writer.write(
            pages, target, format=format, quality=settings.quality, overwrite=settings.overwrite
        )
    elif stdout is None:
        raise OutputError("there is no standard output to write to", hint="name an output file")
    else:
        stdout.write(writer.encode(pages, format=format, quality=settings.quality))
        stdout.flush()


def numbered(
    observe: events.Observer, number: int, total: int, what: str = "page"
) -> events.Observer:
    """An observer that puts `page 2 of 3` before the names of phases."""

    def tell(event: events.Event) -> None:
        if isinstance(event, events.PhaseStarted):
            event = replace(event, phase=f"{what} {number} of {total}, {event.phase}")
        observe(event)

    return tell


def _keeping_warnings(observe: events.Observer, warned: list[str]) -> events.Observer:
    def keep(event: events.Event) -> None:
        if isinstance(event, events.Warned):
            warned.append(event.message)
        observe(event)

    return keep
