"""`dit4sr preview`: options to a request; the sheet to a file and, on `--show`, to the terminal."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand

from dit4sr_cli.cli import options, streams, terminal_pictures
from dit4sr_cli.cli.console import console
from dit4sr_cli.cli.groups import Given, enlarging, has, pulling
from dit4sr_cli.cli.progress import Progress
from dit4sr_cli.cli.settings import caption_settings, model_settings, upscale_settings
from dit4sr_cli.cli.terminal_pictures import Show
from dit4sr_cli.cli.upscale import load, open_stdout, pull_model
from dit4sr_cli.core.settings import DEFAULT_MAX_MEGAPIXELS, UpscaleSettings

if TYPE_CHECKING:
    from dit4sr_cli.jobs.preview import Outcome

_WAYS = tuple(way.value for way in Show)
_SETTING = re.compile(r"[A-Za-z][\w-]*=")

Source = Annotated[
    str, typer.Argument(metavar="FILE", help="The picture, or - for standard input.")
]
At = Annotated[
    list[str] | None,
    typer.Option(
        metavar="X,Y",
        help="The middle of what is looked at: parts of the sides, 0.3,0.6, or pixels, 1200,800; "
        "may be repeated. [default: where most detail is]",
    ),
]
Size = Annotated[
    str,
    typer.Option("--size", metavar="N|WxH", help="How much is looked at, in pixels of the input."),
]
Vary = Annotated[
    list[str] | None,
    typer.Option(
        "--grid",
        metavar="NAME=VALUE,VALUE...",
        help="Settings side by side, in all combinations: any option of upscale that changes the "
        "picture; several follow each other, as in --grid guidance=4,6,8 steps=20,40.",
    ),
]
Sheet = Annotated[
    str | None,
    typer.Option(
        "--output",
        "-o",
        metavar="FILE|FOLDER|-",
        help="Where the contact sheet goes. [default: beside the input, NAME_preview.png]",
    ),
]
ShowAs = Annotated[
    Show | None,
    typer.Option(
        "--show",
        help="Show the sheet in the terminal, too: auto asks which way of kitty, iterm (iTerm2, "
        "WezTerm) and sixel it knows.",
    ),
]


class Command(TyperCommand):
    """Lets `--grid A=1 B=2` stand for `--grid A=1 --grid B=2`, and `--show` for `--show auto`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Write out what is left out, then parse."""
        return super().parse_args(ctx, _spelled_out(args))


def _spelled_out(args: list[str]) -> list[str]:
    done: list[str] = []
    is_in_grid = False
    for at, arg in enumerate(args):
        if arg == "--":
            return done + args[at:]
        if arg == "--show" and (args[at + 1 : at + 2] or [""])[0] not in _WAYS:
            done += [f"--show={Show.AUTO.value}"]
            is_in_grid = False
            continue
        is_setting = bool(_SETTING.match(arg)) and not _is_there(arg)
        follows = is_setting and is_in_grid and args[at - 1] != "--grid"
        done += ["--grid", arg] if follows else [arg]
        is_in_grid = arg == "--grid" or arg.startswith("--grid=") or (is_in_grid and is_setting)
    return done


def _is_there(name: str) -> bool:
    """Whether it is a file; a prompt may be longer than any file's name."""
    try:
        return Path(name).exists()
    except (OSError, ValueError):
        return False


@has(enlarging, pulling)
def preview(
    source: Source,
    at: At = None,
    size: Size = "128",
    grid: Vary = None,
    output: Sheet = None,
    show: ShowAs = None,
    *,
    given: Given,
    overwrite: options.Overwrite = False,
    max_megapixels: options.MaxMegapixels = DEFAULT_MAX_MEGAPIXELS,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
    json: options.Json = False,
) -> None:
    """Try settings on a small part of a picture."""
    given = {**given, "grid": None}  # the grid of tiles is another thing
    from dit4sr_cli.jobs import plan
    from dit4sr_cli.jobs import preview as job
    from dit4sr_cli.jobs.preview import places, variations

    console.open(quiet=quiet, verbose=verbose, as_json=json)
    settings = upscale_settings(given)
    captions = caption_settings(given)
    points = tuple(places.point_of(text) for text in at or ())
    shape, axes = places.size_of(size), tuple(variations.axis_of(text) for text in grid or ())
    output = "-" if output in streams.STDOUT_NAMES else output
    is_stream = streams.is_stream(source)
    stdout = open_stdout(output, is_stream=is_stream, wants_json=json)
    picture = streams.read_stream(source) if is_stream else Path(source)
    plan.check_source(picture)
    if given["pull"]:
        pull_model(given["model"], are_licences_accepted=given["accept_licence"])
    request = job.Request(
        source=picture,
        points=points,
        size=shape,
        axes=axes,
        upscale=settings,
        model=model_settings(given, UpscaleSettings()),  # each combination chooses for itself
        caption=captions,
        target=plan.open_target(output),
        overwrite=overwrite,
        max_megapixels=max_megapixels,
    )
    with Progress(request.name) as progress:
        outcome = job.run(request, load=load, observe=progress, stdout=stdout)
    _report(outcome, show)


def _report(outcome: Outcome, show: Show | None) -> None:
    where = "standard output" if outcome.output == "-" else outcome.output
    if show is not None:
        terminal_pictures.show(outcome.sheet, show, where)
    console.summary(outcome.summary())
    for cell in outcome.cells:
        console.detail(cell.summary())
    if console.is_json:
        console.json({"command": "preview", **outcome.as_json()})
