"""The recipe for one picture: check, read, caption, upscale, restore metadata, write."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, TypeAlias

from dit4sr_cli.core import events
from dit4sr_cli.core.settings import (
    DEFAULT_MAX_MEGAPIXELS,
    CaptionSettings,
    ModelSettings,
    OutputSettings,
    UpscaleSettings,
)
from dit4sr_cli.core.types import DeviceChoice, Precision, Quantize
from dit4sr_cli.jobs import plan, steps
from dit4sr_cli.jobs.plan import Request
from dit4sr_cli.jobs.record import Outcome

if TYPE_CHECKING:
    from dit4sr_cli.jobs.upscaler import Upscaler

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
    quantize: str = "none",
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
    upscale_settings = UpscaleSettings(**settings)
    request = Request(
        source=source,
        upscale=upscale_settings,
        model=plan.choose_model(
            ModelSettings(
                model=model,
                device=DeviceChoice(device),
                precision=Precision(dtype or "auto"),
                t5=t5,
                low_memory=low_memory,
                quantize=Quantize(quantize),
            ),
            upscale_settings,
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


def load_upscaler(
    settings: ModelSettings, observe: events.Observer = events.ignore, *, plain: bool = False
) -> Upscaler:
    """The model, ready to work; `plain`: in the released implementation's order."""
    from dit4sr_cli.jobs.upscaler import Upscaler

    precision = settings.precision
    return Upscaler.load(
        settings.model,
        device=settings.device.value,
        dtype=None if precision is Precision.AUTO else precision.value,
        t5=settings.t5,
        low_memory=settings.low_memory,
        quantize=settings.quantize,
        plain=plain,
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
    opened = steps.open_source(request, observe)
    # Before the model is loaded: a captioner needs the room.
    captions = steps.describe(opened, observe)
    observe(events.PhaseStarted("loading the model"))
    upscaler = load(request.model, opened.noting(observe))
    if opened.model.spec.text:
        observe(events.PhaseStarted("encoding text"))
    upscaler.learn(
        [caption.text for caption in captions],
        suffix=request.caption.suffix,
        negative_prompt=request.upscale.negative_prompt,
        guidance=request.upscale.guidance,
    )
    made = steps.enlarge(opened, captions, upscaler, observe)
    return steps.finish(opened, made, observe, stdout)
