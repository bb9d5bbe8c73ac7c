"""Decides where a result goes, and refuses what cannot work before any model is loaded."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from dit4sr_cli.core.errors import InputError, OutputError, UsageError
from dit4sr_cli.core.settings import (
    MAX_SCALE,
    MIN_SCALE,
    CaptionSettings,
    ModelSettings,
    OutputSettings,
    UpscaleSettings,
)
from dit4sr_cli.core.types import Precision
from dit4sr_cli.core.words import did_you_mean
from dit4sr_cli.imaging import formats

if TYPE_CHECKING:
    from dit4sr_cli.imaging.picture import Picture

STDOUT = Path("-")
_MOST_NAMES = 2000  # of a folder, to look for the one that was meant
_TIFF_SUFFIXES = (".tif", ".tiff")


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One picture to enlarge: what, how, with which weights, to where."""

    source: Path | bytes
    upscale: UpscaleSettings = field(default_factory=UpscaleSettings)
    caption: CaptionSettings = field(default_factory=CaptionSettings)
    model: ModelSettings = field(default_factory=ModelSettings)
    output: OutputSettings = field(default_factory=OutputSettings)

    @property
    def name(self) -> str:
        """What messages call the input."""
        return "stdin" if isinstance(self.source, bytes) else str(self.source)


def check_source(source: Path | bytes) -> None:
    """Refuse a picture that is not there; what is in it, the reader finds out."""
    if isinstance(source, bytes):
        return
    try:
        mode = source.stat().st_mode
    except FileNotFoundError:
        raise InputError(f"{source}: no such file", hint=_near(source)) from None
    except OSError as error:
        raise InputError(f"{source}: {error.strerror}") from error
    if stat.S_ISDIR(mode):
        raise InputError(f"{source}: is a folder, not a picture")


def _near(source: Path) -> str:
    """A file beside it whose name was meant."""
    try:
        names = [path.name for path in islice(source.parent.iterdir(), _MOST_NAMES)]
    except OSError:
        return ""
    return did_you_mean(source.name, names)


def choose_model(model: ModelSettings, upscale: UpscaleSettings) -> ModelSettings:
    """What the dial and the preset say of the model, where that is left open.

    For model `auto` the weights that fit a place on the dial, if there is a choice; for precision
    `auto`, with a preset that asks for speed, whatever the processor is faster with.

    Raises:
        UsageError: the dial has no such place, or there is no such preset.
    """
    from dit4sr_cli.fidelity.dial import weights_of
    from dit4sr_cli.jobs.presets import prefers_16_bits
    from dit4sr_cli.weights.resolve import AUTO, installed

    if model.precision is Precision.AUTO and prefers_16_bits(upscale):
        model = replace(model, precision=Precision.FAST)
    if upscale.fidelity is None:
        return model
    try:
        name = weights_of(upscale.fidelity, [found.name for found in installed()])
    except ValueError as error:
        raise UsageError(f"--fidelity: {error}") from error
    return replace(model, model=name) if name and model.model == AUTO else model


def open_target(output: str | os.PathLike[str] | None) -> Path | None:
    """The output as a path; a name that ends with a slash is a folder, made if need be."""
    if output is None:
        return None
    text = os.fspath(output)
    if not text:
        raise UsageError("the output has an empty name")
    path = Path(text)
    if text.endswith(("/", os.sep)):
        _make_folder(path)
    return path


def plan_target(request: Request) -> Path | None:
    """Name the output file and check that it may be written; None is standard output."""
    from dit4sr_cli.imaging.writer import check_target

    try:
        target = _named_target(request)
        if target is None:
            return None
        _refuse_source(request.source, target)
    except OSError as error:  # a name too long, a loop of links
        raise OutputError(f"{request.output.target}: {error.strerror}") from error
    check_target(target, overwrite=request.output.overwrite)
    return target


def plan_format(request: Request, target: Path | None, source_format: str = "png") -> str:
    """The output's format: --format, else the name's, else (on standard output) the input's."""
    return formats.format_of(target, request.output.format, source_format)


def check_size(picture: Picture, request: Request, format: str) -> None:
    """Refuse a result out of the model's range or its format's, before it is computed."""
    width, height = picture.width, picture.height
    factor, edge = request.upscale.scale, request.upscale.long_edge
    if edge is not None:
        factor = edge / max(width, height)
        if not MIN_SCALE <= factor <= MAX_SCALE:
            raise UsageError(
                f"--long-edge {edge} is {factor:.3g} times {picture.name} ({width}x{height}), "
                f"and must be {MIN_SCALE:g} to {MAX_SCALE:g} times"
            )
    formats.check_size(format, round(width * factor), round(height * factor))


def _named_target(request: Request) -> Path | None:
    source, target = request.source, request.output.target
    if target == STDOUT or (target is None and isinstance(source, bytes)):
        return None
    if target is None:
        return Path(request.name).with_name(_default_name(request))
    return target / _default_name(request) if target.is_dir() else target


def _default_name(request: Request) -> str:
    """photo.jpg -> photo_x4.png, scan.tif -> scan_x4.tif, with --long-edge photo_6000px.png."""
    settings = request.upscale
    size = f"{settings.long_edge}px" if settings.long_edge else f"x{settings.scale:g}"
    source = Path(request.name)
    return f"{source.stem}_{size}{_default_suffix(request, source.suffix)}"


def _default_suffix(request: Request, source_suffix: str) -> str:
    if request.output.format:
        return formats.extension_of(plan_format(request, None))
    return source_suffix if source_suffix.lower() in _TIFF_SUFFIXES else ".png"


def _refuse_source(source: Path | bytes, target: Path) -> None:
    if isinstance(source, Path) and target.exists() and source.samefile(target):
        raise OutputError(
            f"{target}: is the input itself, which is never overwritten",
            hint="choose another name with -o",
        )


def _make_folder(path: Path) -> None:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except FileExistsError as error:
        raise OutputError(f"{path}: is a file, not a folder") from error
    except OSError as error:
        raise OutputError(f"{path}: {error.strerror}") from error
