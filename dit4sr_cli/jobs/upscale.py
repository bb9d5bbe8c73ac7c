"""The recipe for one picture: check, read, caption, upscale, restore metadata, write."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, TypeAlias

from dit4sr_cli import __version__
from dit4sr_cli.core import events
from dit4sr_cli.core.errors import OutputError
from dit4sr_cli.core.settings import (
    DEFAULT_MAX_MEGAPIXELS,
    CaptionSettings,
    ModelSettings,
    OutputSettings,
    UpscaleSettings,
)
from dit4sr_cli.core.types import DeviceChoice, Precision
from dit4sr_cli.imaging import formats
from dit4sr_cli.jobs import plan
from dit4sr_cli.jobs.plan import Request
from dit4sr_cli.jobs.record import Outcome

if TYPE_CHECKING:
    from dit4sr_cli.captions.source import Caption
    from dit4sr_cli.imaging.picture import Picture
    from dit4sr_cli.jobs.record import Record
    from dit4sr_cli.jobs.upscaler import Upscaler
    from dit4sr_cli.weights.spec import ModelSpec

Loader: TypeAlias = "Callable[[ModelSettings, events.Observer], Upscaler]"


def upscale(
    path: str | os.PathLike[str],
    output: str | os.PathLike[str] | None = None,
    *,
    model: str = "auto",
    device: str = "auto",
    dtype: str = "auto",
    t5: bool = True,
    low_memory: bool = False,
    caption: CaptionSettings | None = None,
    format: str | None = None,
    quality: int = 95,
    overwrite: bool = False,
    max_megapixels: float = DEFAULT_MAX_MEGAPIXELS,
    observe: events.Observer = events.ignore,
    **settings: Any,
) -> Outcome:
    """`upscale("a.jpg", "b.png", scale=2)`; settings are the fields of UpscaleSettings."""
    source = Path(path)
    plan.check_source(source)
    request = Request(
        source=source,
        upscale=UpscaleSettings(**settings),
        model=ModelSettings(
            model=model,
            device=DeviceChoice(device),
            precision=Precision(dtype or "auto"),
            t5=t5,
            low_memory=low_memory,
        ),
        caption=caption or CaptionSettings(),
        output=OutputSettings(
            target=plan.open_target(output),
            format=format,
            quality=quality,
            overwrite=overwrite,
            max_megapixels=max_megapixels,
        ),
    )
    return run(request, observe=observe)


def load_upscaler(settings: ModelSettings, observe: events.Observer = events.ignore) -> Upscaler:
    """The model, ready to work."""
    from dit4sr_cli.jobs.upscaler import Upscaler

    precision = settings.precision
    return Upscaler.load(
        settings.model,
        device=settings.device.value,
        dtype=None if precision is Precision.AUTO else precision.value,
        t5=settings.t5,
        low_memory=settings.low_memory,
        observe=observe,
    )


def run(
    request: Request,
    *,
    load: Loader = load_upscaler,
    observe: events.Observer = events.ignore,
    stdout: BinaryIO | None = None,
) -> Outcome:
    """Enlarge one picture; nothing is written unless all of it succeeds."""
    from dit4sr_cli.imaging import reader
    from dit4sr_cli.weights.resolve import resolve

    started = time.monotonic()
    warned: list[str] = []
    observe = _keeping_warnings(observe, warned)

    # 1. Check the model's name and where the result goes, before anyone waits for it.
    found = resolve(request.model.model)
    observe(events.Noted(f"model {found.name}: {found.folder} ({found.rule})"))
    target = plan.plan_target(request)
    # 2. Read.
    observe(events.PhaseStarted("reading"))
    pages = reader.read(
        request.source, name=request.name, max_megapixels=request.output.max_megapixels
    )
    format = plan.plan_format(request, target, pages[0].format)
    pages = _fit(pages, request, format, observe)
    # 3. Find out what it shows, before the model is loaded: a captioner needs the room.
    captions = _captions(pages, request, found.spec, observe)
    # 4. Load the model.
    observe(events.PhaseStarted("loading the model"))
    upscaler = load(request.model, observe)
    upscaler.learn([caption.text for caption in captions], suffix=request.caption.suffix)
    # 5. Upscale page by page, with alpha and metadata.
    results, records = [], []
    for number, (page, caption) in enumerate(zip(pages, captions, strict=True), start=1):
        told = observe if len(pages) == 1 else _on_page(observe, number, len(pages))
        result, record = _enlarge(page, upscaler, request, caption, told)
        results.append(result)
        records.append(record)
    # 6. Write all pages at once, or none.
    observe(events.PhaseStarted("writing"))
    _write(results, target, request.output, format, stdout)

    made = asdict(records[0]) | {"seconds": round(time.monotonic() - started, 3)}
    return Outcome(
        **made,
        input="-" if isinstance(request.source, bytes) else request.name,
        output="-" if target is None else str(target),
        format=format,
        pages=len(results),
        warnings=tuple(warned),
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


def _captions(
    pages: Sequence[Picture], request: Request, spec: ModelSpec, observe: events.Observer
) -> list[Caption]:
    """What each page shows; nobody is asked for a model that reads no text."""
    from dit4sr_cli.captions.source import NO_CAPTION
    from dit4sr_cli.jobs.caption import finding

    settings = request.caption
    if not spec.text:
        for option in ("prompt_file", "prompts", "suffix"):
            if getattr(settings, option) is not None:
                name = option.replace("_", "-")
                observe(events.Warned(f"{spec.name} reads no text: --{name} is ignored"))
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


def _enlarge(
    page: Picture,
    upscaler: Upscaler,
    request: Request,
    caption: Caption,
    observe: events.Observer,
) -> tuple[Picture, Record]:
    from dit4sr_cli.imaging import metadata, resize

    settings = asdict(request.upscale)
    if caption.origin != "none":
        settings["prompt"] = caption.text
    result = upscaler.upscale(
        page.pixels,
        observe=observe,
        suffix=request.caption.suffix,
        prompt_origin=caption.origin,
        **settings,
    )
    height, width = result.pixels.shape[:2]
    alpha = None if page.alpha is None else resize.bicubic(page.alpha, (width, height))
    renewed = metadata.renew(
        page.metadata,
        width=width,
        height=height,
        software=f"dit4sr {__version__} ({upscaler.name})",
        thumbnail=metadata.make_thumbnail(result.pixels),
    )
    record = result.record
    tiles = f"{record.tiles} tiles of {record.tile} cells, {record.overlap} overlapping"
    observe(events.Noted(f"{record.device}, {record.dtype}, {tiles}, {record.seconds:.1f} s"))
    return replace(page, pixels=result.pixels, alpha=alpha, metadata=renewed), record


def _write(
    pages: list[Picture],
    target: Path | None,
    settings: OutputSettings,
    format: str,
    stdout: BinaryIO | None,
) -> None:
    from dit4sr_cli.imaging import writer

    if target is not None:
        writer.write(
            pages, target, format=format, quality=settings.quality, overwrite=settings.overwrite
        )
        return
    if stdout is None:
        raise OutputError("there is no standard output to write to", hint="name an output file")
    stdout.write(writer.encode(pages, format=format, quality=settings.quality))
    stdout.flush()


def _on_page(observe: events.Observer, number: int, total: int) -> events.Observer:
    def tell(event: events.Event) -> None:
        if isinstance(event, events.PhaseStarted):
            event = replace(event, phase=f"page {number} of {total}, {event.phase}")
        observe(event)

    return tell


def _keeping_warnings(observe: events.Observer, warned: list[str]) -> events.Observer:
    def keep(event: events.Event) -> None:
        if isinstance(event, events.Warned):
            warned.append(event.message)
        observe(event)

    return keep
