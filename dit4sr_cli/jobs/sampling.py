"""Settings to choices: what the user gave, the dial, and the model's defaults for the rest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from enum import Enum
from typing import TYPE_CHECKING, TypeVar

from dit4sr_cli.captions.prompts import NEGATIVE_PROMPT, compose
from dit4sr_cli.core.errors import UsageError
from dit4sr_cli.core.settings import MAX_SCALE, MIN_SCALE, UpscaleSettings
from dit4sr_cli.core.shortcuts import NO_SHORTCUTS, Shortcuts
from dit4sr_cli.core.sizes import MULTIPLE, working_size
from dit4sr_cli.core.types import Box, ColorFix, Grid, Size, Solver, StartPoint
from dit4sr_cli.jobs.presets import with_preset

if TYPE_CHECKING:
    from dit4sr_cli.pipeline.restore import Sampling
    from dit4sr_cli.tiles.grid import Tiling
    from dit4sr_cli.weights.spec import ModelSpec

T = TypeVar("T")
_GRIDS = {False: Grid.EVEN, True: Grid.REFERENCE}
Choice = TypeVar("Choice", bound=Enum)


def or_default(value: T | None, default: T) -> T:
    """The value, if one was given."""
    return default if value is None else value


def dialled(settings: UpscaleSettings, spec: ModelSpec) -> tuple[UpscaleSettings, float]:
    """What the dial stands for, after what is given by name; and how hard to hold the result.

    Raises:
        UsageError: the dial has no such position.
    """
    if settings.fidelity is None:
        return settings, 0.0
    from dit4sr_cli.fidelity.dial import settings_of

    try:
        dial = settings_of(settings.fidelity, spec)
    except ValueError as error:
        raise UsageError(f"--fidelity: {error}") from error
    guidance = or_default(settings.guidance, dial.guidance)
    start = or_default(settings.start, dial.start)
    return replace(settings, guidance=guidance, start=start), dial.projection


def sampling_of(
    settings: UpscaleSettings,
    spec: ModelSpec,
    prompts: Sequence[str],
    suffix: str | None,
    *,
    plain: bool = False,
) -> Sampling:
    """The settings with the model's defaults filled in.

    Args:
        settings: as given.
        spec: of the model.
        prompts: what each picture shows.
        suffix: what follows the prompts; None: the words that the weights were tuned with.
        plain: tiles lie as in the released implementation.

    Raises:
        UsageError: a setting makes no sense.
    """
    from dit4sr_cli.pipeline.restore import Sampling

    settings = with_preset(settings, spec)
    sampling = Sampling(
        steps=or_default(settings.steps, spec.steps),
        guidance=or_default(settings.guidance, spec.guidance),
        seed=settings.seed,
        prompts=tuple(compose(prompt, suffix) if spec.text else "" for prompt in prompts),
        negative_prompt=or_default(settings.negative_prompt, NEGATIVE_PROMPT) if spec.text else "",
        start=_choice(StartPoint, or_default(settings.start, spec.start), "--start"),
        color_fix=_choice(ColorFix, or_default(settings.color_fix, spec.color_fix), "--color-fix"),
        tiling=tiling_of(settings, spec, plain=plain),
        shift=or_default(settings.shift, spec.shift),
        shortcuts=shortcuts_of(settings, spec),
    )
    if sampling.steps < 1:
        raise UsageError(f"--steps: {sampling.steps} is below 1")
    if sampling.guidance < 0:
        raise UsageError(f"--guidance: {sampling.guidance:g} is below 0")
    if sampling.shift <= 0:
        raise UsageError(f"--shift: {sampling.shift:g} is not above 0")
    if sampling.seed < 0:
        raise UsageError(f"--seed: {sampling.seed} is below 0")
    # Without text both halves of guidance are the same picture: one will do.
    return sampling if spec.text else replace(sampling, guidance=1.0)


def _choice(kind: type[Choice], value: Choice | str, option: str) -> Choice:
    """A choice by itself or, from Python, by its name."""
    try:
        return kind(value)
    except ValueError:
        names = ", ".join(str(one.value) for one in kind)
        raise UsageError(f"{option}: {value!r} is none of {names}") from None


def shortcuts_of(settings: UpscaleSettings, spec: ModelSpec) -> Shortcuts:
    """What a result may differ by, for speed.

    Raises:
        UsageError: a setting makes no sense.
    """
    settings = with_preset(settings, spec)
    given = {name: getattr(settings, name) for name in ("guidance_from", "guidance_to", "reuse")}
    if spec.codec == "vae":  # half of nano's latents is no smaller picture
        given["coarse"] = settings.coarse
    given = {name: float(value) for name, value in given.items() if value is not None}
    for name, value in given.items():
        if not 0 <= value <= 1:
            raise UsageError(f"--{name.replace('_', '-')}: {value:g} is outside 0 to 1")
    return Shortcuts(
        solver=_choice(Solver, or_default(settings.solver, Solver.EULER), "--solver"), **given
    )


def tiling_of(settings: UpscaleSettings, spec: ModelSpec, *, plain: bool = False) -> Tiling:
    """How the latents are cut.

    Raises:
        UsageError: tile and overlap do not fit each other.
    """
    from dit4sr_cli.tiles.grid import Tiling

    settings = with_preset(settings, spec)
    grid = _choice(Grid, or_default(settings.grid, _GRIDS[plain]), "--grid")
    tile = or_default(settings.tile, spec.tile)
    own = spec.reference_overlap if grid is Grid.REFERENCE else spec.overlap
    overlap = or_default(settings.overlap, own * tile // spec.tile)
    try:
        return Tiling(tile, overlap, grid)
    except ValueError as error:
        raise UsageError(f"--tile, --overlap: {error}") from error


def output_size(size: Size, settings: UpscaleSettings) -> tuple[float, Size]:
    """The factor and the result's size.

    Raises:
        UsageError: the factor is out of the range.
    """
    if settings.long_edge is None:
        scale, what = settings.scale, "--scale"
    else:
        scale, what = settings.long_edge / max(size.width, size.height), "--long-edge"
    if not MIN_SCALE <= scale <= MAX_SCALE:
        raise UsageError(
            f"{what}: a factor of {scale:.3g} is outside {MIN_SCALE:g} to {MAX_SCALE:g}",
            hint=f"the picture is {size} pixels",
        )
    return scale, Size(max(1, round(size.width * scale)), max(1, round(size.height * scale)))


def model_size(size: Size, factor: float, spec: ModelSpec) -> Size:
    """The size at which the model works on a picture of this size, before any padding."""
    if spec.native_scale:
        return Size(size.width * spec.native_scale, size.height * spec.native_scale)
    return Size(*working_size((size.width, size.height), factor, spec.process_size))


def tiles_of(size: Size, factor: float, settings: UpscaleSettings, spec: ModelSpec) -> list[Box]:
    """The tiles of a picture of this size, in latent cells: padded to whole cells, and a tile.

    Raises:
        UsageError: tile and overlap do not fit each other.
    """
    return tiles_in(model_size(size, factor, spec), tiling_of(settings, spec), spec)


def tiles_in(work: Size, tiling: Tiling, spec: ModelSpec) -> list[Box]:
    """The tiles of a picture at the size at which the model works on it."""
    from dit4sr_cli.tiles.grid import cover

    width, height = (max(spec.min_cells, -(-s // MULTIPLE)) for s in (work.width, work.height))
    return cover(width, height, tiling)


def passes_of(settings: UpscaleSettings, spec: ModelSpec) -> float:
    """How often each tile goes through the transformer; what reuse saves is not foreseen."""
    settings = with_preset(settings, spec)
    steps = or_default(settings.steps, spec.steps)
    shortcuts = shortcuts_of(settings, spec)
    has_halves = spec.text and or_default(settings.guidance, spec.guidance) > 1
    if shortcuts == NO_SHORTCUTS:
        return steps * (1 + has_halves)
    from dit4sr_cli.model.flow import sigmas

    passes = 0.0
    for step, sigma in enumerate(sigmas(steps, or_default(settings.shift, spec.shift))[:-1]):
        size = 0.25 if step < shortcuts.coarse_steps(steps) else 1.0
        passes += size * (2 if has_halves and shortcuts.guides(float(sigma)) else 1)
    return passes
