"""Joins what each picture takes and what will go wrong."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from dit4sr_cli.core.errors import Dit4srError, ModelError
from dit4sr_cli.core.settings import (
    CaptionSettings,
    ModelSettings,
    OutputSettings,
    UpscaleSettings,
)
from dit4sr_cli.core.types import Size
from dit4sr_cli.jobs.estimate import problems
from dit4sr_cli.jobs.estimate.needs import BASE_MEMORY, BYTES_A_PIXEL, cells_of, needs_of
from dit4sr_cli.jobs.estimate.records import Estimate, Expected, FileEstimate
from dit4sr_cli.jobs.estimate.speeds import speed_of
from dit4sr_cli.jobs.sampling import output_size

if TYPE_CHECKING:
    from dit4sr_cli.weights.spec import ModelSpec


def estimate(
    targets: Mapping[Path, Path],
    *,
    upscale: UpscaleSettings,
    caption: CaptionSettings,
    model: ModelSettings,
    output: OutputSettings,
    skip_existing: bool = False,
) -> Estimate:
    """What a run would take, and what would go wrong.

    Args:
        targets: from `naming.targets`.
        upscale: as the run gets it, and what follows, too.
        caption: where prompts come from, to see which are missing.
        model: which; if it is not here, that is a problem of the whole.
        output: format, and what may be overwritten.
        skip_existing: leave out pictures whose result is there.
    """
    spec, found = _spec(model)
    speed, is_measured = speed_of(spec, model)
    has_captioner = True
    if spec.text:
        has_captioner, missing = problems.find_captioner(caption)
        found += missing
    files = []
    for source, target in targets.items():
        if skip_existing and target.exists():
            files.append(FileEstimate(source=source, target=target, is_skipped=True))
            continue
        try:
            file = needs_of(source, target, spec, upscale, output, speed)
            wrong = problems.target_problems(target, output)
            if not has_captioner and not problems.has_caption(source, upscale, caption):
                wrong += ("no prompt, and nobody to describe it",)
        except Dit4srError as error:
            wrong = (problems.said(error),)
            files.append(FileEstimate(source=source, target=target, problems=wrong))
        else:
            files.append(replace(file, problems=wrong))
    whole = Estimate(
        files=tuple(files),
        model=spec.name,
        is_measured=is_measured,
        free=problems.free_at(targets.values()),
    )
    return replace(whole, problems=(*found, *problems.shortages(whole)))


def expect(size: Size, spec: ModelSpec, upscale: UpscaleSettings, model: ModelSettings) -> Expected:
    """What an 8-bit colour picture of a size would take; there need not be one."""
    factor, result = output_size(size, upscale)
    num_tiles, cells = cells_of(size, factor, upscale, spec)
    speed, is_measured = speed_of(spec, model)
    return Expected(
        output_size=(result.width, result.height),
        tiles=num_tiles,
        seconds=cells * speed,
        memory=round(BASE_MEMORY + BYTES_A_PIXEL * result.pixels),
        is_measured=is_measured,
    )


def _spec(model: ModelSettings) -> tuple[ModelSpec, tuple[str, ...]]:
    """The model's, or, if it is not here, what is known of it and the problem."""
    from dit4sr_cli.weights.catalog import MODELS
    from dit4sr_cli.weights.resolve import catalog_spec, resolve
    from dit4sr_cli.weights.spec import ModelSpec

    try:
        return resolve(model.model).spec, ()
    except ModelError as error:
        name = model.model
        spec = catalog_spec(name) if name in MODELS else ModelSpec(name=name)
        return spec, (problems.said(error),)
