"""What a person chooses on the page, and what that means for a job."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from dit4sr_cli.core.errors import UsageError
from dit4sr_cli.core.settings import (
    DEFAULT_SCALE,
    MAX_SCALE,
    MIN_SCALE,
    CaptionSettings,
    ModelSettings,
    OutputSettings,
    UpscaleSettings,
)
from dit4sr_cli.core.types import Preset
from dit4sr_cli.imaging.formats import WRITABLE
from dit4sr_cli.jobs import plan
from dit4sr_cli.jobs.plan import Request
from dit4sr_cli.ui.desk import Photo

LIMITS = {
    "scale": (MIN_SCALE, MAX_SCALE),
    "steps": (1, 1000),
    "guidance": (0, 100),
    "seed": (0, 2**32 - 1),
    "fidelity": (0, 1),
    "quality": (1, 100),
}
"""As on the command line."""
_WHOLE = ("steps", "seed", "quality")


@dataclass(frozen=True, slots=True, kw_only=True)
class Choices:
    """The fields of the page; None is as the model says, or as the picture's kind has it."""

    model: str = "auto"
    preset: str | None = None
    fidelity: float | None = None
    scale: float | None = DEFAULT_SCALE
    steps: float | None = None
    guidance: float | None = None
    seed: float | None = 0
    format: str | None = None
    quality: float | None = 95

    def checked(self) -> Choices:
        """The same, if every figure is one that the command line would take.

        Raises:
            UsageError: one is not; it names the field.
        """
        for name, (least, most) in LIMITS.items():
            value = getattr(self, name)
            if value is None:
                if name in ("scale", "seed", "quality"):
                    raise UsageError(f"{name} is missing")
            elif not least <= value <= most or (name in _WHOLE and value != int(value)):
                kind = "a whole number " if name in _WHOLE else ""
                raise UsageError(f"{name} has to be {kind}from {least:g} to {most:g}")
        if self.preset not in (None, *Preset) or self.format not in (None, *WRITABLE):
            raise UsageError("there is no such preset or format")
        return self


@dataclass(frozen=True, slots=True, kw_only=True)
class Fixed:
    """What the command line has said for all pictures: the machine's part, and limits."""

    model: ModelSettings
    caption: CaptionSettings
    max_megapixels: float


def request_for(photo: Photo, choices: Choices, fixed: Fixed, target: Path) -> Request:
    """What `dit4sr upscale` with these settings would be asked for.

    Raises:
        UsageError: the settings make no sense.
        ModelError: there is no such model.
    """
    from dit4sr_cli.weights.resolve import resolve

    choices = choices.checked()
    reads_text = resolve(choices.model).spec.text
    upscale = UpscaleSettings(
        scale=float(choices.scale or DEFAULT_SCALE),
        steps=_whole(choices.steps),
        guidance=choices.guidance,
        seed=int(choices.seed or 0),
        prompt=prompt_of(photo) if reads_text else None,
        fidelity=choices.fidelity,
        preset=choices.preset and Preset(choices.preset),
    )
    return Request(
        source=photo.source,
        upscale=upscale,
        caption=fixed.caption,
        model=plan.choose_model(replace(fixed.model, model=choices.model), upscale),
        output=OutputSettings(
            target=target,
            format=choices.format,
            quality=int(choices.quality or 95),
            max_megapixels=fixed.max_megapixels,
        ),
    )


def prompt_of(photo: Photo) -> str | None:
    """What the person says of the picture; None: what a captioner says, if there is one.

    Words of the captioner that nobody has changed are left to it: it says them again, from memory,
    and the record tells who said them.
    """
    text = photo.caption.strip()
    is_said = photo.said is not None and text == photo.said.text
    return None if is_said or not text else text


def in_words(choices: Choices) -> str:
    """`x4, balanced, 20 steps`: what is not as the model has it."""
    said: dict[str, Any] = {
        "{}": choices.preset,
        "{:g} steps": choices.steps,
        "guidance {:g}": choices.guidance,
        "fidelity {:g}": choices.fidelity,
        "seed {:g}": choices.seed or None,
    }
    parts = [form.format(value) for form, value in said.items() if value is not None]
    return ", ".join([f"x{choices.scale:g}", *parts])


def _whole(value: float | None) -> int | None:
    return None if value is None else int(value)
