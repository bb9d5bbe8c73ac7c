"""`dit4sr watch`: options to a request, a line for every picture that was handled."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from dit4sr_cli.cli import failures, options
from dit4sr_cli.cli import upscale as single
from dit4sr_cli.cli.console import console
from dit4sr_cli.cli.progress import Progress
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
    from dit4sr_cli.jobs.record import FileOutcome
    from dit4sr_cli.jobs.watch import Watch


def watch(
    folder: options.WatchedFolder,
    output: options.ResultsFolder,
    settle: options.Settle = 2.0,
    once: options.Once = False,
    output_template: options.OutputTemplate = None,
    include: options.Include = None,
    exclude: options.Exclude = None,
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
    format: options.Format = None,
    quality: options.Quality = 95,
    overwrite: options.Overwrite = False,
    max_megapixels: options.MaxMegapixels = DEFAULT_MAX_MEGAPIXELS,
    sidecar: options.Sidecar = False,
    no_record: options.NoRecord = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
    json: options.Json = False,
) -> int:
    """Enlarge pictures as they arrive in a folder, until Ctrl-C."""
    from dit4sr_cli.jobs.plan import choose_weights
    from dit4sr_cli.jobs.watch import Watch

    console.open(quiet=quiet, verbose=verbose, as_json=json)
    if scale is not None and long_edge is not None:
        raise UsageError("--scale and --long-edge exclude each other", hint="give one of them")
    if tile is not None and overlap is not None and overlap >= tile:
        raise UsageError(f"--overlap {overlap} must be smaller than --tile {tile}")
    if prompt is not None and prompt_file is not None:
        raise UsageError("--prompt and --prompt-file exclude each other", hint="give one of them")
    return _watch(
        Watch(
            folder=Path(folder),
            output=output,
            settle=settle,
            is_once=once,
            template=output_template,
            include=tuple(include or ()),
            exclude=tuple(exclude or ()),
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
            model=choose_weights(
                ModelSettings(
                    model=model, device=device, precision=dtype, t5=not no_t5, low_memory=low_memory
                ),
                fidelity,
            ),
            settings=OutputSettings(
                format=format,
                quality=quality,
                overwrite=overwrite,
                max_megapixels=max_megapixels,
                record=not no_record,
                sidecar=sidecar,
            ),
        )
    )


def _watch(request: Watch) -> int:
    from dit4sr_cli.jobs import watch as job

    outcomes: list[tuple[str, int]] = []
    if not request.is_once:
        console.note(f"watching {request.folder}; Ctrl-C ends")
    with Progress(str(request.folder)) as progress:
        try:
            for outcome in job.watch(request, load=single.load, explain=_explain, observe=progress):
                outcomes.append((outcome.status.value, outcome.code))
                _tell(outcome)
        except Stopped:
            console.summary(_counts(outcomes))
            raise
    console.summary(_counts(outcomes))
    return _exit_code(outcomes)


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


def _counts(outcomes: list[tuple[str, int]]) -> str:
    statuses = [status for status, _ in outcomes]
    return ", ".join(f"{statuses.count(word)} {word}" for word in ("done", "skipped", "failed"))


def _exit_code(outcomes: list[tuple[str, int]]) -> int:
    """Some failed: 8; all did: the code of the first."""
    codes = [code for _, code in outcomes]
    failed = [code for code in codes if code]
    if failed and len(failed) == len(codes):
        return failed[0]
    return ExitCode.PARTIAL if failed else ExitCode.OK


def _explain(error: Exception) -> Dit4srError:
    known = failures.translate(error)
    return known or Dit4srError(f"unexpected {type(error).__name__}: {error}")
