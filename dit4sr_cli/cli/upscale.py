"""`dit4sr upscale`: options to a request, the outcome to one line or one JSON object."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from dit4sr_cli.cli import consent, options, streams
from dit4sr_cli.cli.console import console
from dit4sr_cli.cli.progress import Progress
from dit4sr_cli.core.errors import UsageError
from dit4sr_cli.core.settings import (
    DEFAULT_MAX_MEGAPIXELS,
    DEFAULT_SCALE,
    DEFAULT_SEEDS,
    CaptionSettings,
    ModelSettings,
    OutputSettings,
    UpscaleSettings,
)
from dit4sr_cli.core.types import CaptionChoice, DeviceChoice, Precision

if TYPE_CHECKING:
    from dit4sr_cli.core.events import Observer
    from dit4sr_cli.jobs.upscaler import Upscaler

_EMBEDDED_NOTE = (
    "using the small embedded model nano; `dit4sr models pull` fetches the full one, or pass the "
    "folder of yours with --model FOLDER"
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
    device: options.Device = DeviceChoice.AUTO,
    dtype: options.Dtype = Precision.AUTO,
    no_t5: options.NoT5 = False,
    low_memory: options.LowMemory = False,
    pull: options.Pull = False,
    accept_licence: options.AcceptLicence = False,
    format: options.Format = None,
    quality: options.Quality = 95,
    overwrite: options.Overwrite = False,
    max_megapixels: options.MaxMegapixels = DEFAULT_MAX_MEGAPIXELS,
    sidecar: options.Sidecar = False,
    no_record: options.NoRecord = False,
    map: options.DisagreementMap = None,
    seeds: options.NumSeeds = DEFAULT_SEEDS,
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
    if prompt is not None and prompt_file is not None:
        raise UsageError("--prompt and --prompt-file exclude each other", hint="give one of them")
    output = "-" if output in streams.STDOUT_NAMES else output
    is_stream = streams.is_stream(source)
    stdout = _open_stdout(output, is_stream=is_stream, wants_json=json)
    picture = streams.read_stream(source) if is_stream else Path(source)
    plan.check_source(picture)
    if pull:
        pull_model(model, are_licences_accepted=accept_licence)
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
            fidelity=fidelity,
        ),
        caption=CaptionSettings(
            prompt_file=prompt_file,
            prompts=prompts,
            caption=caption,
            captioner=captioner,
            suffix=suffix,
        ),
        model=plan.choose_weights(
            ModelSettings(
                model=model, device=device, precision=dtype, t5=not no_t5, low_memory=low_memory
            ),
            fidelity,
        ),
        output=OutputSettings(
            target=plan.open_target(output),
            format=format,
            quality=quality,
            overwrite=overwrite,
            max_megapixels=max_megapixels,
            record=not no_record,
            sidecar=sidecar,
            map=map,
            seeds=seeds,
        ),
    )
    with Progress(request.name) as progress:
        outcome = job.run(request, load=load, observe=progress, stdout=stdout)
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


def pull_model(model: str, *, are_licences_accepted: bool) -> None:
    """What `--pull` asks for; nothing if the model is here."""
    from dit4sr_cli.cli.transfer import Transfer
    from dit4sr_cli.weights.pull import ensure

    with Transfer() as transfer:
        ensure(model, accept=consent.licences(are_accepted=are_licences_accepted), observe=transfer)


def load(settings: ModelSettings, observe: Observer) -> Upscaler:
    """The model; a user who did not choose hears that it is the small one."""
    from dit4sr_cli.jobs.upscale import load_upscaler
    from dit4sr_cli.weights.resolve import AUTO, NANO

    upscaler = load_upscaler(settings, observe)
    if settings.model == AUTO and upscaler.name == NANO:
        console.note(_EMBEDDED_NOTE)
    return upscaler
