"""Frozen settings with their defaults; the Python API, the command line and the docs read these.

`None` means "as the model says": steps, guidance, start, colour fix and tiles are the weights' own.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from dit4sr_cli.core.types import (
    CaptionChoice,
    ColorFix,
    DeviceChoice,
    Grid,
    Precision,
    Preset,
    Quantize,
    Solver,
    StartPoint,
)

DEFAULT_SCALE = 4.0
MIN_SCALE, MAX_SCALE = 1.0, 8.0
DEFAULT_SEEDS = 4
"""Samples that are compared to see what is invented."""
DEFAULT_MAX_MEGAPIXELS = 400.0
"""Largest input that is read without being asked for: a guard against decompression bombs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UpscaleSettings:
    """What the sampler is asked for. `tile` and `overlap` are in latent cells (8 output pixels).

    `fidelity`, 0 to 1, and `preset` stand for several of the others; see `fidelity.dial` and
    `jobs.presets`. From `solver` on, `core.shortcuts` says what they mean.
    """

    scale: float = DEFAULT_SCALE
    long_edge: int | None = None
    steps: int | None = None
    guidance: float | None = None
    seed: int = 0
    prompt: str | None = None
    negative_prompt: str | None = None
    start: StartPoint | str | None = None
    color_fix: ColorFix | str | None = None
    tile: int | None = None
    overlap: int | None = None
    fidelity: float | None = None
    preset: Preset | str | None = None
    grid: Grid | str | None = None
    shift: float | None = None
    solver: Solver | str | None = None
    guidance_from: float | None = None
    guidance_to: float | None = None
    reuse: float | None = None
    coarse: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSettings:
    """Which weights, where, in what precision, and with how much memory."""

    model: str = "auto"
    device: DeviceChoice = DeviceChoice.AUTO
    precision: Precision = Precision.AUTO
    t5: bool = True
    low_memory: bool = False
    quantize: Quantize = Quantize.NONE


@dataclass(frozen=True, slots=True, kw_only=True)
class CaptionSettings:
    """Where the caption comes from, if it is not given, and what follows it.

    Args:
        prompt_file: a file with the caption.
        prompts: a folder of captions, named after the pictures.
        caption: whether a captioner is asked where no caption is written down.
        captioner: `auto`, `none`, a name, or a folder.
        suffix: how the picture should look; None: as the weights were tuned with.
    """

    prompt_file: Path | None = None
    prompts: Path | None = None
    caption: CaptionChoice = CaptionChoice.AUTO
    captioner: str = "auto"
    suffix: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputSettings:
    """Where the result goes. `target` None means "beside the input"; `-` is standard output.

    `record`: say in its XMP how it was made; `sidecar`: and in JSON beside it. `map`: where a
    picture goes of what `seeds` samples disagree about.
    """

    target: Path | None = None
    format: str | None = None
    quality: int = 95
    overwrite: bool = False
    max_megapixels: float = DEFAULT_MAX_MEGAPIXELS
    record: bool = True
    sidecar: bool = False
    map: Path | None = None
    seeds: int = DEFAULT_SEEDS

    @property
    def is_recorded(self) -> bool:
        """Whether it has to be known how the result was made."""
        return self.record or self.sidecar
