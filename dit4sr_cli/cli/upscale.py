"""`dit4sr upscale`: options to a request, the outcome to one line or one JSON object."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from dit4sr_cli.cli import options, streams
from dit4sr_cli.cli.console import console
from dit4sr_cli.cli.progress import Progress
from dit4sr_cli.core.errors import UsageError
from dit4sr_cli.core.settings import (
    DEFAULT_MAX_MEGAPIXELS,
    DEFAULT_SCALE,
    ModelSettings,
    OutputSettings,
    UpscaleSettings,
)
from dit4sr_cli.core.types import DeviceChoice, Precision

if TYPE_CHECKING:
    from dit4sr_cli.jobs.upscaler import Upscaler

_EMBEDDED_NOTE = (
    "no full weights found, using the small embedded model nano; for the full one put the "
    "published DiT4SR weights in a folder and pass --model FOLDER (`dit4sr models path` prints "
    "where models are looked for by name)"
)


def upscale(
    source: options.Source,
    output: options.Output = None,
    scale: options.Scale = None,
    long_edge: options.LongEdge = None,
    model: options.Model = "auto",
    steps: options.Steps = None,
    guidance: options.Guidance = None,
    seed: options.Seed = 0,
    prompt: options.Prompt = None,
    negative_prompt: options.NegativePrompt = None,
    start: options.Start = None,
    color_fix: options.Colors = None,
    tile: options.Tile = None,
    overlap: options.Overlap = None,
    device: options.Device = DeviceChoice.AUTO,
    dtype: options.Dtype = Precision.AUTO,
    format: options.Format = None,
    quality: options.Quality = 95,
    overwrite: options.Overwrite = False,
    max_megapixels: options.MaxMegapixels = DEFAULT_MAX_MEGAPIXELS,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
    json: options.Json = False,
) -> None:
    """Enlarge and restore one picture."""
    from dit4sr_cli.jobs import plan
    from dit4sr_cli.jobs import upscale as job

    console.open(quiet=quiet, verbose=verbose, as_json=json)
    if scale is not None and long_edge is not None:
        raise UsageError("--scale and --long-edge exclude each other", hint="give one of them")
    if tile is not None and overlap is not None and overlap >= tile:
        raise UsageError(f"--overlap {overlap} must be smaller than --tile {tile}")
    output = "-" if output in streams.STDOUT_NAMES else output
    is_stream = streams.is_stream(source)
    stdout = _open_stdout(output, is_stream=is_stream, wants_json=json)
    picture = streams.read_stream(source) if is_stream else Path(source)
    plan.check_source(picture)
    request = plan.Request(
        source=picture,
        upscale=UpscaleSettings(
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
        ),
        model=ModelSettings(model=model, device=device, precision=dtype),
        output=OutputSettings(
            target=plan.open_target(output),
            format=format,
            quality=quality,
            overwrite=overwrite,
            max_megapixels=max_megapixels,
        ),
    )
    with Progress(request.name) as progress:
        outcome = job.run(request, load=_load, observe=progress, stdout=stdout)
    console.summary(outcome.summary())
    if json:
        console.json({"command": "upscale", **outcome.as_json()})


def _open_stdout(output: str | None, *, is_stream: bool, wants_json: bool) -> BinaryIO | None:
    """Standard output if the picture goes there: asked for, or the end of a pipe without -o."""
    if output != "-" and not (output is None and is_stream):
        return None
    if wants_json:
        raise UsageError(
            "the picture and --json both want standard output", hint="name a file with -o"
        )
    return streams.picture_stdout()


def _load(settings: ModelSettings) -> Upscaler:
    from dit4sr_cli.jobs.upscale import load_upscaler
    from dit4sr_cli.weights.resolve import AUTO, NANO

    upscaler = load_upscaler(settings)
    if settings.model == AUTO and upscaler.name == NANO:
        console.note(_EMBEDDED_NOTE)
    return upscaler
