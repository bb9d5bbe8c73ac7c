"""`dit4sr batch`: words to a list of pictures, options to a request, outcomes to an exit code."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dit4sr_cli.cli import options, outcomes
from dit4sr_cli.cli import upscale as single
from dit4sr_cli.cli.console import console
from dit4sr_cli.cli.groups import Given, enlarging, has, pulling, writing
from dit4sr_cli.cli.settings import (
    caption_settings,
    model_settings,
    output_settings,
    upscale_settings,
)
from dit4sr_cli.cli.stop import Stopped
from dit4sr_cli.core.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from dit4sr_cli.jobs.batch import Request, Summary
    from dit4sr_cli.jobs.discover import Discovery

_REPORTS = (".html", ".json")

DryRun = Annotated[bool, typer.Option("--dry-run", help="Show what would be done, and do nothing.")]
Jobs = Annotated[
    int,
    typer.Option(
        "--jobs",
        "-j",
        min=0,
        max=16,
        metavar="N",
        help="Pictures read ahead, and written behind, while one is made; 0: none.",
    ),
]
Limit = Annotated[
    int | None, typer.Option(min=1, metavar="N", help="Make this many at most, in this run.")
]
FailFast = Annotated[bool, typer.Option("--fail-fast", help="End with the first that fails.")]
Report = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE.html|.json", help="Write down what became of each file, as a page or data."
    ),
]


@has(enlarging, pulling, writing)
def batch(
    inputs: options.Inputs,
    output: options.ResultsFolder,
    output_template: options.OutputTemplate = None,
    include: options.Include = None,
    exclude: options.Exclude = None,
    skip_existing: options.SkipExisting = False,
    overwrite: options.Overwrite = False,
    dry_run: DryRun = False,
    jobs: Jobs = 1,
    ray: options.Ray = None,
    limit: Limit = None,
    fail_fast: FailFast = False,
    report: Report = None,
    *,
    given: Given,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
    json: options.Json = False,
) -> int:
    """Enlarge many pictures. The same command again goes on where it was ended."""
    from dit4sr_cli.jobs import naming
    from dit4sr_cli.jobs.batch import Request

    console.open(quiet=quiet, verbose=verbose, as_json=json)
    settings = upscale_settings(given)
    captions = caption_settings(given)
    if skip_existing and overwrite:
        raise UsageError("--skip-existing and --overwrite exclude each other")
    if report is not None and report.suffix.lower() not in _REPORTS:
        raise UsageError(f"--report {report}: its name ends with .html or .json")
    found = _discover(inputs, include or [], exclude or [], output)
    targets = naming.targets(
        found.files,
        output=output,
        template=output_template,
        format=given["format"],
        settings=settings,
    )
    request = Request(
        targets=targets,
        refused=found.skipped,
        folder=output,
        upscale=settings,
        caption=captions,
        model=model_settings(given, settings),
        output=output_settings(given),
        skip_existing=skip_existing,
        threads=jobs,
        limit=limit,
        fail_fast=fail_fast,
        ray=ray,
    )
    if dry_run:
        _foretell(request)
        return ExitCode.OK
    if given["pull"]:
        single.pull_model(given["model"], are_licences_accepted=given["accept_licence"])
    summary = _run(request)
    if report is not None:
        _report(summary, request, report)
    return summary.exit_code


def _discover(inputs: list[str], include: list[str], exclude: list[str], folder: Path) -> Discovery:
    from dit4sr_cli.jobs.discover import discover

    return discover(inputs, include=include, exclude=exclude, listing=sys.stdin, output=folder)


def _run(request: Request) -> Summary:
    """Do the work; when it is stopped, say how to go on."""
    from dit4sr_cli.cli import live
    from dit4sr_cli.jobs import batch as job

    try:
        with live.Live() as view:
            summary = job.run(request, load=single.load, observe=view, explain=outcomes.explain)
    except Stopped:
        console.note(f"{view.counts()}; the same command goes on with the rest")
        raise
    live.close(summary)
    return summary


def _foretell(request: Request) -> None:
    """What `dit4sr plan` shows, of what is not done yet."""
    from dit4sr_cli.cli import plan
    from dit4sr_cli.jobs.batch import missing
    from dit4sr_cli.jobs.estimate import estimate

    foretold = estimate(
        missing(request),
        upscale=request.upscale,
        caption=request.caption,
        model=request.model,
        output=request.output,
        skip_existing=request.skip_existing,
    )
    plan.show(foretold, request.refused)


def _report(summary: Summary, request: Request, path: Path) -> None:
    from dit4sr_cli.report.record import write

    asked = (request.upscale, request.model, request.caption)
    settings = {name: value for part in asked for name, value in asdict(part).items()}
    write(summary.outcomes, path, settings=settings)
