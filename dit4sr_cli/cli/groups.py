"""Groups of options that several commands have: each is written down once, as a signature.

    @has(enlarging, writing)
    def command(source: Source, *, given: Given, quiet: options.Quiet = False) -> None: ...

To the command line, the groups' options stand in the place of `given`; the command gets all values
by name in it, its own included, and its own as parameters, too. What it declares itself, a group
does not declare again.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from functools import wraps
from inspect import Parameter
from typing import Any, TypeAlias, TypeVar

from dit4sr_cli.cli import options
from dit4sr_cli.core.settings import DEFAULT_MAX_MEGAPIXELS
from dit4sr_cli.core.types import CaptionChoice, DeviceChoice, Precision, Quantize

Given: TypeAlias = dict[str, Any]
"""All that a command was given, by the names of its parameters."""
_GIVEN = "given"
R = TypeVar("R")


def has(*groups: Callable[..., None]) -> Callable[[Callable[..., R]], Callable[..., R]]:
    """The command with the options of these groups, as Typer reads it."""

    def decorated(command: Callable[..., R]) -> Callable[..., R]:
        own = inspect.signature(command, eval_str=True)
        kept = own.parameters.keys() - {_GIVEN}
        shown = list(_shown(own, groups))

        @wraps(command)
        def run(**given: Any) -> R:
            return command(**{name: given[name] for name in kept}, given=given)

        # Typer reads the one, and where it meets strings the other.
        run.__signature__ = own.replace(parameters=shown)  # type: ignore[attr-defined]
        run.__annotations__ = {parameter.name: parameter.annotation for parameter in shown}
        return run

    return decorated


def _shown(own: inspect.Signature, groups: tuple[Callable[..., None], ...]) -> Iterator[Parameter]:
    for parameter in own.parameters.values():
        if parameter.name != _GIVEN:
            yield parameter.replace(kind=Parameter.KEYWORD_ONLY)
            continue
        for group in groups:
            for name, shared in inspect.signature(group, eval_str=True).parameters.items():
                if name not in own.parameters:
                    yield shared.replace(kind=Parameter.KEYWORD_ONLY)


def enlarging(
    scale: options.Scale = None,
    long_edge: options.LongEdge = None,
    model: options.Model = "auto",
    steps: options.Steps = None,
    guidance: options.Guidance = None,
    seed: options.Seed = 0,
    prompt: options.Prompt = None,
    prompt_file: options.PromptFile = None,
    prompts: options.Prompts = None,
    caption: options.CaptionMode = CaptionChoice.AUTO,
    captioner: options.CaptionerName = "auto",
    suffix: options.Suffix = None,
    negative_prompt: options.NegativePrompt = None,
    start: options.Start = None,
    color_fix: options.Colors = None,
    fidelity: options.Fidelity = None,
    tile: options.Tile = None,
    overlap: options.Overlap = None,
    grid: options.GridKind = None,
    preset: options.PresetName = None,
    shift: options.Shift = None,
    solver: options.SolverName = None,
    guidance_from: options.GuidanceFrom = None,
    guidance_to: options.GuidanceTo = None,
    reuse: options.Reuse = None,
    coarse: options.Coarse = None,
    device: options.Device = DeviceChoice.AUTO,
    dtype: options.Dtype = Precision.AUTO,
    no_t5: options.NoT5 = False,
    low_memory: options.LowMemory = False,
    quantize: options.QuantizeTo = Quantize.NONE,
) -> None:
    """What decides about the pixels: see `settings.upscale_settings` and those beside it."""


def pulling(
    pull: options.Pull = False,
    accept_licence: options.AcceptLicence = False,
) -> None:
    """Whether a model that is not here is fetched."""


def writing(
    format: options.Format = None,
    quality: options.Quality = 95,
    overwrite: options.Overwrite = False,
    max_megapixels: options.MaxMegapixels = DEFAULT_MAX_MEGAPIXELS,
    sidecar: options.Sidecar = False,
    no_record: options.NoRecord = False,
) -> None:
    """What decides about the files: see `settings.output_settings`."""
