"""`--preset`: how much time a picture may take, as a few settings at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from dit4sr_cli.core.errors import UsageError
from dit4sr_cli.core.settings import UpscaleSettings
from dit4sr_cli.core.types import Grid, Preset, Solver

if TYPE_CHECKING:
    from dit4sr_cli.weights.spec import ModelSpec

_SHARES = {Preset.BEST: 1.0, Preset.BALANCED: 0.5, Preset.DRAFT: 0.2}
"""Of the model's own steps; a model of one step keeps it."""
_SHORTCUTS: Mapping[Preset, Mapping[str, Any]] = {
    Preset.BEST: {"grid": Grid.REFERENCE},
    Preset.BALANCED: {"solver": Solver.DPM, "guidance_from": 0.4, "reuse": 0.1},
    Preset.DRAFT: {"solver": Solver.DPM, "guidance_from": 0.5, "reuse": 0.2, "coarse": 0.4},
}
_IN_16_BITS = (Preset.BALANCED, Preset.DRAFT)


def with_preset(settings: UpscaleSettings, spec: ModelSpec) -> UpscaleSettings:
    """What the preset stands for, after what is given by name.

    Raises:
        UsageError: there is no such preset.
    """
    preset = preset_of(settings)
    if preset is None:
        return settings
    values = {"steps": max(1, round(_SHARES[preset] * spec.steps)), **_SHORTCUTS[preset]}
    left_open = {name: v for name, v in values.items() if getattr(settings, name) is None}
    return replace(settings, **left_open)


def prefers_16_bits(settings: UpscaleSettings) -> bool:
    """Whether speed goes before the last digits, where a processor is faster so."""
    return preset_of(settings) in _IN_16_BITS


def preset_of(settings: UpscaleSettings) -> Preset | None:
    """The preset, by itself or, from Python, by its name.

    Raises:
        UsageError: there is no such preset.
    """
    try:
        return None if settings.preset is None else Preset(settings.preset)
    except ValueError:
        names = ", ".join(preset.value for preset in Preset)
        raise UsageError(f"--preset: {settings.preset!r} is none of {names}") from None
