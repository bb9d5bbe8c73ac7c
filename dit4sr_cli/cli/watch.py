"""`dit4sr watch`: options to a request, a line for every picture that was handled."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dit4sr_cli.cli import options, outcomes
from dit4sr_cli.cli import upscale as single
from dit4sr_cli.cli.console import console
from dit4sr_cli.cli.groups import Given, enlarging, has, writing
from dit4sr_cli.cli.progress import Progress
from dit4sr_cli.cli.settings import (
    caption_settings,
    model_settings,
    output_settings,
    upscale_settings,
)
from dit4sr_cli.cli.stop import Stopped

if TYPE_CHECKING:
    from dit4sr_cli.jobs.record import FileOutcome
    from dit4sr_cli.jobs.watch import Watch

Folder = Annotated[
    str, typer.Argument(metavar="FOLDER", help="Where pictures arrive.", show_default=False)
]
Settle = Annotated[
    float,
    typer.Option(
        min=0.0, metavar="SECONDS", help="A file is whole when it has not changed for so long."
    ),
]
Once = Annotated[bool, typer.Option("--once", help="Do what is there, then end.")]


@has(enlarging, writing)
def watch(
    folder: Folder,
    output: options.ResultsFolder,
    settle: Settle = 2.0,
    once: Once = False,
    output_template: options.OutputTemplate = None,
    include: options.Include = None,
    exclude: options.Exclude = None,
    *,
    given: Given,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
    json: options.Json = False,
) -> int:
    """Enlarge pictures as they arrive in a folder, until Ctrl-C."""
    from dit4sr_cli.jobs.watch import Watch

    console.open(quiet=quiet, verbose=verbose, as_json=json)
    settings = upscale_settings(given)
    captions = caption_settings(given)
    request = Watch(
        folder=Path(folder),
        output=output,
        settle=settle,
        is_once=once,
        template=output_template,
        include=tuple(include or ()),
        exclude=tuple(exclude or ()),
        upscale=settings,
        caption=captions,
        model=model_settings(given, settings),
        settings=output_settings(given),
    )
    return _watch(request)


def _watch(request: Watch) -> int:
    from dit4sr_cli.jobs import watch as job
    from dit4sr_cli.jobs.batch import Summary

    started = time.monotonic()
    handled: list[FileOutcome] = []
    if not request.is_once:
        console.note(f"watching {request.folder}; Ctrl-C ends")
    with Progress(str(request.folder)) as progress:
        try:
            for outcome in job.watch(
                request, load=single.load, explain=outcomes.explain, observe=progress
            ):
                # How it was made is told and let go: a watch may go on for months.
                handled.append(replace(outcome, outcome=None))
                _tell(outcome)
        except Stopped:
            console.summary(outcomes.counts(handled))
            raise
    console.summary(outcomes.counts(handled))
    return Summary(tuple(handled), left=0, seconds=time.monotonic() - started).exit_code


def _tell(outcome: FileOutcome) -> None:
    if outcome.outcome is not None:
        console.summary(outcome.outcome.summary())
    elif outcome.code:
        console.error(_about(outcome))
    else:
        console.note(f"skipped: {_about(outcome)}")
    console_json = {
        "command": "watch",
        "input": str(outcome.source),
        "output": None if outcome.target is None else str(outcome.target),
        "status": outcome.status.value,
        "reason": outcome.reason,
        "code": outcome.code,
        "seconds": outcome.seconds,
        "record": outcome.outcome and outcome.outcome.as_json(),
    }
    if console.is_json:
        console.json(console_json)


def _about(outcome: FileOutcome) -> str:
    name = str(outcome.source)
    return outcome.reason if name in outcome.reason else f"{name}: {outcome.reason}"
