"""`dit4sr study`: a blind page that asks people, and what their votes say."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from typer.core import TyperGroup

from dit4sr_cli.cli import options
from dit4sr_cli.cli.console import console
from dit4sr_cli.cli.progress import Progress
from dit4sr_cli.core.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from typer import Context

    from dit4sr_cli.report.study.page import Made

_CROP = 768


class _PageFirst(TyperGroup):
    """`study A B` is `study page A B`: what is no command begins what `page` takes."""

    def parse_args(self, ctx: Context, args: list[str]) -> list[str]:  # type: ignore[override]
        """Name the command that was left out."""
        if args and args[0] not in (*self.commands, *ctx.help_option_names):
            args = ["page", *args]
        return super().parse_args(ctx, args)


app = typer.Typer(
    cls=_PageFirst,
    help="Ask people which of two results they prefer. As in: study A B --lr FOLDER.",
)

First = Annotated[
    str,
    typer.Argument(metavar="A", help="Folder of results, NAME=FOLDER to call it otherwise."),
]
Second = Annotated[str, typer.Argument(metavar="B", help="The other one, NAME=FOLDER or FOLDER.")]
Lr = Annotated[
    Path, typer.Option(metavar="FOLDER", help="The inputs, matched by name without extension.")
]
Page = Annotated[
    Path, typer.Option("--output", "-o", metavar="FILE.html", help="The page to be written.")
]
Crop = Annotated[
    int,
    typer.Option(
        min=0,
        metavar="PX",
        help="Show no more than this of a result's sides, from its middle; 0 shows all of it.",
    ),
]
Seed = Annotated[
    int,
    typer.Option(
        "--seed", "-s", min=0, max=2**32 - 1, metavar="N", help="Same seed, same order and sides."
    ),
]
Votes = Annotated[list[Path], typer.Argument(metavar="VOTES.json...", help="Files of votes.")]
OfPage = Annotated[
    Path | None,
    typer.Option("--page", metavar="FILE.html", help="Count votes of this page's study alone."),
]


@app.command()
def page(
    first: First,
    second: Second,
    lr: Lr,
    output: Page = Path("study.html"),
    crop: Crop = _CROP,
    seed: Seed = 0,
    overwrite: options.Overwrite = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
    json: options.Json = False,
) -> None:
    """Write the page; the word may be left out."""
    from dit4sr_cli.report.study import page as study

    console.open(quiet=quiet, verbose=verbose, as_json=json)
    if output.suffix.lower() not in (".html", ".htm"):
        raise UsageError(f"{output}: a page ends with .html")
    folders = dict(map(_named, (first, second)))
    with Progress("study") as progress:
        made = study.make(
            folders,
            lr,
            output,
            seed=seed,
            crop=crop or None,
            overwrite=overwrite,
            observe=progress,
        )
    _say(made, crop)
    console.result(
        "",
        {
            "command": "study",
            "page": str(made.path),
            "id": made.key.page,
            "methods": list(made.key.methods),
            "pictures": made.pictures,
            "cropped": made.cropped,
            "equal": list(made.equal),
            "bytes": made.num_bytes,
            "seed": seed,
            "crop": crop or None,
        },
    )


@app.command()
def tally(
    votes: Votes,
    page: OfPage = None,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
    json: options.Json = False,
) -> int:
    """Count files of votes: win rates and their intervals."""
    from dit4sr_cli.report.study import figures
    from dit4sr_cli.report.study import tally as study
    from dit4sr_cli.report.study.votes import count

    console.open(quiet=quiet, verbose=verbose, as_json=json)
    counted = count(votes, page)
    for problem in counted.problems:
        console.warn(f"{problem.message}: left out")
    for note in counted.notes:
        console.note(note)
    found = study.tally(counted)
    record = {
        "command": "study tally",
        "study": counted.key.study,
        **figures.to_dict(found),
        "left_out": [problem.message for problem in counted.problems],
        "replaced": list(counted.notes),
    }
    console.result(figures.to_markdown(found), record)
    return ExitCode.PARTIAL if counted.problems else ExitCode.OK


def _named(text: str) -> tuple[str, Path]:
    """`NAME=FOLDER`, or a folder that gives its own name."""
    name, separator, folder = text.partition("=")
    if separator and name and folder and not Path(text).is_dir():
        return name, Path(folder)
    return Path(text).resolve().name, Path(text)


def _say(made: Made, crop: int) -> None:
    if made.cropped:
        console.note(
            f"{made.cropped} of {made.pictures} results are larger than {crop} pixels: "
            "their middle is shown (--crop)"
        )
    if made.equal:
        more = f" and {len(made.equal) - 1} more" if len(made.equal) > 1 else ""
        console.warn(f"both results of {made.equal[0]}{more} are the same where they are shown")
    first, second = made.key.methods
    console.summary(
        f"{made.path}: {made.pictures} pictures, {first} against {second}, "
        f"{made.num_bytes / 1e6:.1f} MB, seed {made.key.seed}"
    )
