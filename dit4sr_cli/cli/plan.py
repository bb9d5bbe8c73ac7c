"""`dit4sr plan`: what `batch` would do with the same words, as a table or one JSON object."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dit4sr_cli.cli import options
from dit4sr_cli.cli.console import console, one_line
from dit4sr_cli.cli.groups import Given, enlarging, has, writing
from dit4sr_cli.cli.settings import (
    caption_settings,
    model_settings,
    output_settings,
    upscale_settings,
)
from dit4sr_cli.core.words import as_size, as_time

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from dit4sr_cli.jobs.estimate import Estimate, FileEstimate

_HEADINGS = ("FILE", "SIZE", "RESULT", "SIZE", "TILES", "MEMORY", "DISK", "TIME")

OutputFolder = Annotated[
    Path | None,
    typer.Option(
        "--output",
        "-o",
        metavar="FOLDER",
        help="Where results go, in folders as the inputs are. [default: each beside its picture]",
    ),
]


@has(enlarging, writing)
def plan(
    inputs: options.Inputs,
    output: OutputFolder = None,
    output_template: options.OutputTemplate = None,
    include: options.Include = None,
    exclude: options.Exclude = None,
    skip_existing: options.SkipExisting = False,
    overwrite: options.Overwrite = False,
    *,
    given: Given,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
    json: options.Json = False,
) -> None:
    """Show what a batch would do and take. Nothing is loaded or made."""
    from dit4sr_cli.jobs import naming
    from dit4sr_cli.jobs.discover import discover
    from dit4sr_cli.jobs.estimate import estimate

    console.open(quiet=quiet, verbose=verbose, as_json=json)
    settings = upscale_settings(given)
    captions = caption_settings(given)
    found = discover(
        inputs, include=include or (), exclude=exclude or (), listing=sys.stdin, output=output
    )
    targets = naming.targets(
        found.files,
        output=output,
        template=output_template,
        format=given["format"],
        settings=settings,
    )
    foretold = estimate(
        targets,
        upscale=settings,
        caption=captions,
        model=model_settings(given, settings),
        output=output_settings(given),
        skip_existing=skip_existing,
    )
    show(foretold, found.skipped)


def show(foretold: Estimate, left_out: Sequence[tuple[Path, str]] = ()) -> None:
    """The table and the totals on stdout, problems on stderr; or one JSON object."""
    record = {
        "command": "plan",
        **foretold.as_json(),
        "left_out": [{"file": str(path), "reason": reason} for path, reason in left_out],
    }
    console.result("\n".join(_lines(foretold)), record)
    for path, reason in left_out:
        console.detail(f"left out: {path}: {reason}")
    if left_out:
        console.note(f"{len(left_out)} left out that are no pictures to enlarge; -v names them")
    for problem in foretold.problems:
        console.warn(problem)
    for file in foretold.files:
        for problem in file.problems:
            console.warn(problem if str(file.source) in problem else f"{file.source}: {problem}")


def _lines(foretold: Estimate) -> Iterator[str]:
    rows = [_HEADINGS, *(_row(file) for file in foretold.files)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(_HEADINGS))]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        yield "  ".join(cells).rstrip()
    yield ""
    yield _total(foretold)


def _row(file: FileEstimate) -> tuple[str, ...]:
    name = one_line(str(file.source))
    if file.is_skipped:
        return name, "", one_line(str(file.target)), "exists", "", "", "", ""
    if file.input_size is None or file.output_size is None:
        return name, "", "cannot be made", "", "", "", "", ""
    pages = f" x{file.pages}" if file.pages > 1 else ""
    return (
        name,
        "{}x{}".format(*file.input_size) + pages,
        one_line(str(file.target)),
        "{}x{}".format(*file.output_size),
        str(file.tiles),
        as_size(file.memory),
        as_size(file.disk),
        as_time(file.seconds),
    )


def _total(foretold: Estimate) -> str:
    num = len(foretold.files)
    parts = [
        f"{num} picture{'' if num == 1 else 's'}",
        f"{foretold.num_bad} with problems" if foretold.num_bad else "",
        f"{foretold.tiles} tiles",
        f"up to {as_size(foretold.memory)} of memory",
        f"{as_size(foretold.disk)} on disk"
        + (f" ({as_size(foretold.free)} free)" if foretold.free is not None else ""),
        f"{as_time(foretold.seconds)} ({'measured' if foretold.is_measured else 'a guess'})",
        foretold.model,
    ]
    return ", ".join(part for part in parts if part)
