"""`dit4sr rerun`: a picture made again as its record says, and how far off it is."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from dit4sr_cli.cli import options
from dit4sr_cli.cli.console import console
from dit4sr_cli.cli.progress import Progress

if TYPE_CHECKING:
    from dit4sr_cli.jobs import replay


def rerun(
    file: options.Made,
    source: options.FromSource,
    output: options.Again,
    model: options.OtherModel = None,
    force: options.Force = False,
    overwrite: options.Overwrite = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
    json: options.Json = False,
) -> None:
    """Make a picture again as its record says, and compare."""
    from dit4sr_cli.jobs import replay

    console.open(quiet=quiet, verbose=verbose, as_json=json)
    with Progress(str(source)) as progress:
        done = replay.rerun(
            file,
            source,
            output,
            model=model,
            overwrite=overwrite,
            is_forced=force,
            observe=progress,
        )
    for note in done.notes:
        console.note(note)
    console.result(
        f"{output}: {_in_words(done.difference)}",
        {
            "command": "rerun",
            "file": str(file),
            "difference": asdict(done.difference),
            "notes": list(done.notes),
            **done.outcome.as_json(),
        },
    )


def _in_words(difference: replay.Difference) -> str:
    if difference.same:
        return "the same pixels"
    return (
        f"differs by at most {difference.max_level} levels, {difference.mean_level:g} on average, "
        f"PSNR {difference.psnr:.1f} dB"
    )
