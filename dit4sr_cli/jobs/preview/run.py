"""The recipe of a preview: read, choose places, caption, enlarge boxes, draw the sheet, write."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from dit4sr_cli.core import events
from dit4sr_cli.core.settings import CaptionSettings, ModelSettings, UpscaleSettings
from dit4sr_cli.core.types import Box, DeviceChoice, Precision, Quantize, Size
from dit4sr_cli.imaging.picture import Picture, Pixels
from dit4sr_cli.jobs import plan, steps
from dit4sr_cli.jobs.preview import making, places, placing, sheet, variations
from dit4sr_cli.jobs.preview.making import Look
from dit4sr_cli.jobs.preview.records import Outcome, Request
from dit4sr_cli.jobs.preview.variations import Variation
from dit4sr_cli.jobs.upscale import Loader, load_upscaler

if TYPE_CHECKING:
    from dit4sr_cli.captions.source import Caption
    from dit4sr_cli.weights.spec import ModelSpec


def preview(
    path: str | os.PathLike[str],
    output: str | os.PathLike[str] | None = None,
    *,
    at: Sequence[tuple[float, float]] = (),
    size: int | tuple[int, int] = places.DEFAULT_SIZE.width,
    grid: Mapping[str, Sequence[Any]] | None = None,
    model: str = "auto",
    device: str = "auto",
    dtype: str = "auto",
    t5: bool = True,
    low_memory: bool = False,
    quantize: str = "none",
    caption: CaptionSettings | None = None,
    overwrite: bool = False,
    observe: events.Observer = events.ignore,
    **settings: Any,
) -> Outcome:
    """`preview("a.jpg", at=[(0.3, 0.6)], grid={"steps": [20, 40]})`.

    Args:
        path: the picture.
        output: the sheet; None: beside the picture.
        at: middles of what is looked at; none: where most detail is.
        size: of that, one side or (width, height), in pixels of the picture.
        grid: settings and the values that they take in turn.
        model: as for `upscale`, like what follows it.
        device: where to compute.
        dtype: arithmetic of the transformer.
        t5: with the third text encoder.
        low_memory: one block of the transformer at a time.
        quantize: the transformer in fewer bits.
        caption: where the caption comes from.
        overwrite: whether an existing sheet may be replaced.
        observe: hears of phases, tiles and warnings.
        settings: further fields of UpscaleSettings.
    """
    width, height = (size, size) if isinstance(size, int) else size
    request = Request(
        source=Path(path),
        points=tuple(at),
        size=places.size_of(f"{width}x{height}"),
        axes=tuple(variations.axes_of(grid or {})),
        upscale=UpscaleSettings(**settings),
        model=ModelSettings(
            model=model,
            device=DeviceChoice(device),
            precision=Precision(dtype),
            t5=t5,
            low_memory=low_memory,
            quantize=Quantize(quantize),
        ),
        caption=caption or CaptionSettings(),
        target=plan.open_target(output),
        overwrite=overwrite,
    )
    return run(request, observe=observe)


def run(
    request: Request,
    *,
    load: Loader = load_upscaler,
    observe: events.Observer = events.ignore,
    stdout: BinaryIO | None = None,
) -> Outcome:
    """Enlarge boxes of a picture in every combination of settings; write the sheet whole or not.

    Raises:
        UsageError: a setting makes no sense; found before any model is loaded.
        InputError, OutputError, ModelError: as for the whole picture.
    """
    started = time.monotonic()
    warned: list[str] = []
    observe = _once(observe, warned)
    plan.check_source(request.source)
    varied = variations.combined(
        request.axes, request.upscale, request.model, request.caption.suffix
    )
    target = placing.target_of(request)
    observe(events.PhaseStarted("reading"))
    page = _read(request, observe)
    boxes = places.boxes_at(request.points, request.size, page.pixels)
    varied = [replace(one, model=_plainest(one.model)) for one in varied]
    models = _checked(varied, page)
    captions = _captions(request, varied, page, models, observe)
    looks = [Look(box, one, captions[one.model]) for box in boxes for one in varied]
    for model in models:
        observe(events.PhaseStarted("loading the model"))
        mine = [look for look in looks if look.variation.model == model]
        making.make(load(model, observe), mine, page.pixels, observe)
    last = request.axes[-1].values if request.axes else ("",)
    pixels, cells, inputs = sheet.draw(
        Path(request.name).name,
        _plain(page.pixels, boxes, varied[0].upscale),
        [look.cell for look in looks if look.cell],
        len(last),
    )
    observe(events.PhaseStarted("writing"))
    placing.write(pixels, target, request, stdout)
    return Outcome(
        input="-" if isinstance(request.source, bytes) else request.name,
        output="-" if target is None else str(target),
        sheet=pixels,
        cells=tuple(cells),
        inputs=tuple(inputs),
        input_size=Size(page.width, page.height),
        seconds=round(time.monotonic() - started, 3),
        warnings=tuple(warned),
    )


def _read(request: Request, observe: events.Observer) -> Picture:
    from dit4sr_cli.imaging import reader

    pages = reader.read(request.source, name=request.name, max_megapixels=request.max_megapixels)
    page = pages[0]
    if len(pages) > 1:
        observe(events.Warned(f"{request.name}: only the first of {len(pages)} pages is shown"))
    for text in page.warnings:
        observe(events.Warned(text))
    if page.alpha is not None:
        observe(events.Noted(f"{request.name}: transparency is not shown"))
    return page


def _plainest(model: ModelSettings) -> ModelSettings:
    """The same model; a preset that asks for speed where there is none to be had needs no other."""
    from dit4sr_cli.pipeline.device import pick_device, pick_dtype

    device = pick_device(model.device)
    auto = replace(model, precision=Precision.AUTO)
    is_same = pick_dtype(model.precision, device) == pick_dtype(Precision.AUTO, device)
    return auto if is_same else model


def _checked(varied: Sequence[Variation], page: Picture) -> dict[ModelSettings, ModelSpec]:
    """The models that are needed, each once, in order; all settings are tried on them."""
    from dit4sr_cli.jobs.sampling import dialled, output_size, sampling_of
    from dit4sr_cli.weights.resolve import resolve

    models: dict[ModelSettings, ModelSpec] = {}
    for one in varied:
        if one.model not in models:
            models[one.model] = resolve(one.model.model).spec
        settings, _ = dialled(one.upscale, models[one.model])
        sampling_of(settings, models[one.model], [""], one.suffix)
        output_size(Size(page.width, page.height), settings)
    return models


def _captions(
    request: Request,
    varied: Sequence[Variation],
    page: Picture,
    models: Mapping[ModelSettings, ModelSpec],
    observe: events.Observer,
) -> dict[ModelSettings, Caption]:
    """What the whole picture shows, by model; nobody is asked if every combination says it."""
    from dit4sr_cli.captions.source import NO_CAPTION

    captions: dict[bool, Caption] = {}
    for spec in models.values():
        if spec.text in captions:
            continue
        if spec.text and all(one.upscale.prompt is not None for one in varied):
            captions[spec.text] = NO_CAPTION
            continue
        asked = plan.Request(
            source=request.source,
            upscale=request.upscale,
            caption=request.caption,
            model=request.model,
        )
        [captions[spec.text]] = steps.captions_of([page], asked, spec, observe)
    return {model: captions[spec.text] for model, spec in models.items()}


def _plain(pixels: Pixels, boxes: Sequence[Box], settings: UpscaleSettings) -> dict[Box, Pixels]:
    from dit4sr_cli.jobs.preview.window import bicubic_of
    from dit4sr_cli.jobs.sampling import output_size

    _, wanted = output_size(Size(pixels.shape[1], pixels.shape[0]), settings)
    return {box: bicubic_of(pixels, box, wanted) for box in boxes}


def _once(observe: events.Observer, warned: list[str]) -> events.Observer:
    """An observer that says each warning once and keeps it: cells have the same to say."""

    def tell(event: events.Event) -> None:
        if isinstance(event, events.Warned):
            if event.message in warned:
                return
            warned.append(event.message)
        observe(event)

    return tell
