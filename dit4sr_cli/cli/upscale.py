"""`dit4sr upscale`: options to a request, the outcome to one line or one JSON object."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO

import typer

from dit4sr_cli.cli import consent, options, streams
from dit4sr_cli.cli.console import console
from dit4sr_cli.cli.groups import Given, enlarging, has, pulling, writing
from dit4sr_cli.cli.progress import Progress
from dit4sr_cli.cli.settings import (
    caption_settings,
    model_settings,
    output_settings,
    upscale_settings,
)
from dit4sr_cli.core.errors import UsageError
from dit4sr_cli.core.settings import DEFAULT_SEEDS

if TYPE_CHECKING:
    from dit4sr_cli.core.events import Observer
    from dit4sr_cli.core.settings import ModelSettings
    from dit4sr_cli.jobs.upscaler import Upscaler

_EMBEDDED_NOTE = (
    "using the small embedded model nano; `dit4sr models pull` fetches the full one, or pass the "
    "folder of yours with --model FOLDER"
)

Source = Annotated[
    str, typer.Argument(metavar="FILE", help="The picture, or - for standard input.")
]
Output = Annotated[
    str | None,
    typer.Option(
        "--output",
        "-o",
        metavar="FILE|FOLDER|-",
        help="Where the result goes; a folder that does not exist yet ends with /. "
        "[default: beside the input, as NAME_x4.png, or .tif for TIFF]",
    ),
]
DisagreementMap = Annotated[
    Path | None,
    typer.Option(
        "--map",
        metavar="FILE.png",
        help="Write a picture of what was made up: where the samples of --seeds disagree.",
    ),
]
NumSeeds = Annotated[
    int,
    typer.Option("--seeds", min=2, max=64, metavar="N", help="Samples for --map."),
]


@has(enlarging, pulling, writing)
def upscale(
    source: Source,
    output: Output = None,
    *,
    given: Given,
    map: DisagreementMap = None,
    seeds: NumSeeds = DEFAULT_SEEDS,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
    json: options.Json = False,
) -> None:
    """Enlarge and restore one picture."""
    from dit4sr_cli.jobs import plan
    from dit4sr_cli.jobs import upscale as job

    console.open(quiet=quiet, verbose=verbose, as_json=json)
    settings = upscale_settings(given)
    captions = caption_settings(given)
    output = "-" if output in streams.STDOUT_NAMES else output
    is_stream = streams.is_stream(source)
    stdout = open_stdout(output, is_stream=is_stream, wants_json=json)
    picture = streams.read_stream(source) if is_stream else Path(source)
    plan.check_source(picture)
    if given["pull"]:
        pull_model(given["model"], are_licences_accepted=given["accept_licence"])
    request = plan.Request(
        source=picture,
        upscale=settings,
        caption=captions,
        model=model_settings(given, settings),
        output=output_settings(given, target=plan.open_target(output)),
    )
    with Progress(request.name) as progress:
        outcome = job.run(request, load=load, observe=progress, stdout=stdout)
    console.summary(outcome.summary())
    if json:
        console.json({"command": "upscale", **outcome.as_json()})


def open_stdout(output: str | None, *, is_stream: bool, wants_json: bool) -> BinaryIO | None:
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
