"""Options of upscale, batch, watch and plan to frozen settings; what contradicts itself is refused.

Typer wants every option in the signature of its command: what they mean together is said here.
"""

from __future__ import annotations

from pathlib import Path

from dit4sr_cli.core.errors import UsageError
from dit4sr_cli.core.settings import (
    DEFAULT_SCALE,
    DEFAULT_SEEDS,
    CaptionSettings,
    ModelSettings,
    OutputSettings,
    UpscaleSettings,
)
from dit4sr_cli.core.types import (
    CaptionChoice,
    ColorFix,
    DeviceChoice,
    Precision,
    Quantize,
    StartPoint,
)


def upscale_settings(
    *,
    scale: float | None,
    long_edge: int | None,
    steps: int | None,
    guidance: float | None,
    prompt: str | None,
    tile: int | None,
    overlap: int | None,
    seed: int = 0,
    negative_prompt: str | None = None,
    start: StartPoint | None = None,
    color_fix: ColorFix | None = None,
    fidelity: float | None = None,
) -> UpscaleSettings:
    """What the sampler is asked for; those with a default do not matter to `dit4sr plan`.

    Raises:
        UsageError: two sizes are given, or tiles that are all overlap.
    """
    if scale is not None and long_edge is not None:
        raise UsageError("--scale and --long-edge exclude each other", hint="give one of them")
    if tile is not None and overlap is not None and overlap >= tile:
        raise UsageError(f"--overlap {overlap} must be smaller than --tile {tile}")
    return UpscaleSettings(
        scale=DEFAULT_SCALE if scale is None else scale,
        long_edge=long_edge,
        steps=steps,
        guidance=guidance,
        seed=seed,
        prompt=prompt,
        negative_prompt=negative_prompt,
        start=start,
        color_fix=color_fix,
        tile=tile,
        overlap=overlap,
        fidelity=fidelity,
    )


def caption_settings(
    *,
    prompt: str | None,
    prompt_file: Path | None,
    prompts: Path | None,
    caption: CaptionChoice,
    captioner: str,
    suffix: str | None,
) -> CaptionSettings:
    """Where the caption comes from; `prompt`, which the sampler gets, only must not contradict it.

    Raises:
        UsageError: the prompt is given twice.
    """
    if prompt is not None and prompt_file is not None:
        raise UsageError("--prompt and --prompt-file exclude each other", hint="give one of them")
    return CaptionSettings(
        prompt_file=prompt_file,
        prompts=prompts,
        caption=caption,
        captioner=captioner,
        suffix=suffix,
    )


def model_settings(
    *,
    model: str,
    device: DeviceChoice,
    dtype: Precision,
    no_t5: bool,
    low_memory: bool,
    fidelity: float | None,
    quantize: Quantize = Quantize.NONE,
) -> ModelSettings:
    """Which weights, and how; with model `auto`, of those that are here, by `fidelity`.

    Raises:
        UsageError: the dial has no such place, or options contradict each other.
    """
    from dit4sr_cli.jobs.plan import choose_weights

    if low_memory and quantize is not Quantize.NONE:
        raise UsageError("--low-memory and --quantize exclude each other", hint="give one of them")
    settings = ModelSettings(
        model=model,
        device=device,
        precision=dtype,
        t5=not no_t5,
        low_memory=low_memory,
        quantize=quantize,
    )
    return choose_weights(settings, fidelity)


def output_settings(
    *,
    format: str | None,
    quality: int,
    overwrite: bool,
    max_megapixels: float,
    sidecar: bool,
    no_record: bool,
    target: Path | None = None,
    map: Path | None = None,
    seeds: int = DEFAULT_SEEDS,
) -> OutputSettings:
    """How results are written; those with a default are for one picture alone."""
    return OutputSettings(
        target=target,
        format=format,
        quality=quality,
        overwrite=overwrite,
        max_megapixels=max_megapixels,
        record=not no_record,
        sidecar=sidecar,
        map=map,
        seeds=seeds,
    )
