"""`dit4sr batch`: words to a list of pictures, options to a request, outcomes to an exit code."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from dit4sr_cli.cli import failures, options
from dit4sr_cli.cli import upscale as single
from dit4sr_cli.cli.console import console
from dit4sr_cli.cli.stop import Stopped
from dit4sr_cli.core.errors import Dit4srError, ExitCode, UsageError
from dit4sr_cli.core.settings import (
    DEFAULT_MAX_MEGAPIXELS,
    DEFAULT_SCALE,
    CaptionSettings,
    ModelSettings,
    OutputSettings,
    UpscaleSettings,
)
from dit4sr_cli.core.types import CaptionChoice, DeviceChoice, Precision

if TYPE_CHECKING:
    from dit4sr_cli.jobs.batch import Request, Summary
    from dit4sr_cli.jobs.discover import Discovery

_REPORTS = (".html", ".json")


def batch(
    inputs: options.Inputs,
    output: options.ResultsFolder,
    output_template: options.OutputTemplate = None,
    include: options.Include = None,
    exclude: options.Exclude = None,
    skip_existing: options.SkipExisting = False,
    overwrite: options.Overwrite = False,
    dry_run: options.DryRun = False,
    jobs: options.BatchJobs = 1,
    limit: options.Limit = None,
    fail_fast: options.FailFast = False,
    report: options.Report = None,
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
    max_megapixels: options.MaxMegapixels = DEFAULT_MAX_MEGAPIXELS,
    sidecar: options.Sidecar = False,
    no_record: options.NoRecord = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
    json: options.Json = False,
) -> int:
    """Enlarge many pictures; the same command again goes on where it was ended."""
    from dit4sr_cli.jobs import naming
    from dit4sr_cli.jobs.batch import Request
    from dit4sr_cli.jobs.plan import choose_weights

    console.open(quiet=quiet, verbose=verbose, as_json=json)
    if scale is not None and long_edge is not None:
        raise UsageError("--scale and --long-edge exclude each other", hint="give one of them")
    if tile is not None and overlap is not None and overlap >= tile:
        raise UsageError(f"--overlap {overlap} must be smaller than --tile {tile}")
    if prompt is not None and prompt_file is not None:
        raise UsageError("--prompt and --prompt-file exclude each other", hint="give one of them")
    if skip_existing and overwrite:
        raise UsageError("--skip-existing and --overwrite exclude each other")
    if report is not None and report.suffix.lower() not in _REPORTS:
        raise UsageError(f"--report {report}: its name ends with .html or .json")
    found = _discover(inputs, include or [], exclude or [], output)
    settings = UpscaleSettings(
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
    )
    targets = naming.targets(
        found.files, output=output, template=output_template, format=format, settings=settings
    )
    request = Request(
        targets=targets,
        refused=found.skipped,
        folder=output,
        upscale=settings,
        caption=CaptionSettings(
            prompt_file=prompt_file,
            prompts=prompts,
            caption=caption,
            captioner=captioner,
            suffix=suffix,
        ),
        model=choose_weights(
            ModelSettings(
                model=model, device=device, precision=dtype, t5=not no_t5, low_memory=low_memory
            ),
            fidelity,
        ),
        output=OutputSettings(
            format=format,
            quality=quality,
            overwrite=overwrite,
            max_megapixels=max_megapixels,
            record=not no_record,
            sidecar=sidecar,
        ),
        skip_existing=skip_existing,
        threads=jobs,
        limit=limit,
        fail_fast=fail_fast,
    )
    if dry_run:
        _foretell(request)
        return ExitCode.OK
    if pull:
        single.pull_model(model, are_licences_accepted=accept_licence)
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
            summary = job.run(request, load=single.load, observe=view, explain=_explain)
    except Stopped:
        console.note(f"{view.counts()}; the same command goes on with the rest")
        raise
    live.close(summary)
    return summary


def _explain(error: Exception) -> Dit4srError:
    known = failures.translate(error)
    if known is not None:
        return known
    return Dit4srError(f"unexpected {type(error).__name__}: {error}")


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
