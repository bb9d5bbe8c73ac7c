"""Options of upscale, batch, watch and plan to frozen settings; what contradicts itself is refused.

Typer wants every option in the signature of its command. A command hands over all it was given, by
name, and each kind of settings takes what is its own: what they mean together is said here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from dit4sr_cli.core.errors import UsageError
from dit4sr_cli.core.settings import (
    DEFAULT_SCALE,
    CaptionSettings,
    ModelSettings,
    OutputSettings,
    UpscaleSettings,
)
from dit4sr_cli.core.types import Quantize


def upscale_settings(given: Mapping[str, Any]) -> UpscaleSettings:
    """What the sampler is asked for, of the options that a command has.

    Raises:
        UsageError: two sizes are given, or tiles that are all overlap.
    """
    values = _of(UpscaleSettings, given)
    scale, tile, overlap = (values.get(name) for name in ("scale", "tile", "overlap"))
    if scale is not None and values.get("long_edge") is not None:
        raise UsageError("--scale and --long-edge exclude each other", hint="give one of them")
    if tile is not None and overlap is not None and overlap >= tile:
        raise UsageError(f"--overlap {overlap} must be smaller than --tile {tile}")
    return UpscaleSettings(**values | {"scale": DEFAULT_SCALE if scale is None else scale})


def caption_settings(given: Mapping[str, Any]) -> CaptionSettings:
    """Where the caption comes from.

    Raises:
        UsageError: the prompt is given twice.
    """
    if given.get("prompt") is not None and given.get("prompt_file") is not None:
        raise UsageError("--prompt and --prompt-file exclude each other", hint="give one of them")
    return CaptionSettings(**_of(CaptionSettings, given))


def model_settings(given: Mapping[str, Any], upscale: UpscaleSettings) -> ModelSettings:
    """Which weights, and how; what is left open, as the dial and the preset say.

    Raises:
        UsageError: the dial has no such place, or options contradict each other.
    """
    from dit4sr_cli.jobs.plan import choose_model

    values = _of(ModelSettings, given) | {"precision": given["dtype"]}
    if values.get("low_memory") and values.get("quantize") is not Quantize.NONE:
        raise UsageError("--low-memory and --quantize exclude each other", hint="give one of them")
    settings = ModelSettings(**values, t5=not given.get("no_t5", False))
    return choose_model(settings, upscale)


def output_settings(given: Mapping[str, Any], **more: Any) -> OutputSettings:
    """How results are written."""
    values = _of(OutputSettings, given) | {"record": not given.get("no_record", False)}
    return OutputSettings(**values | more)


def _of(kind: type, given: Mapping[str, Any]) -> dict[str, Any]:
    names = {field.name for field in fields(kind)}
    return {name: value for name, value in given.items() if name in names}
