"""`dit4sr compare`: a picture and what was made of it on one page, for the eye."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dit4sr_cli.cli import options
from dit4sr_cli.cli.console import console
from dit4sr_cli.cli.progress import Progress
from dit4sr_cli.core.errors import UsageError
from dit4sr_cli.core.settings import DEFAULT_MAX_MEGAPIXELS

if TYPE_CHECKING:
    from dit4sr_cli.report.compare.page import Made

_PAGE, _STRIP = (".html", ".htm"), (".png",)

Source = Annotated[Path, typer.Argument(metavar="SOURCE", help="The picture as it was.")]
Results = Annotated[
    list[str],
    typer.Argument(
        metavar="RESULT...", help="What was made of it; NAME=FILE to call it otherwise. Up to 8."
    ),
]
Page = Annotated[
    Path | None,
    typer.Option(
        "--output", "-o", metavar="FILE.html", help="The page; else beside the first result."
    ),
]
Strip = Annotated[
    Path | None,
    typer.Option(
        "--png", metavar="FILE.png", help="Also the worst places at 100 % as one picture."
    ),
]
ReduceTo = Annotated[
    float,
    typer.Option(
        "--reduce-to",
        min=0.1,
        max=400,
        metavar="MEGAPIXELS",
        help="Show larger pictures reduced to so many; the worst places stay as they are.",
    ),
]


def compare(
    source: Source,
    results: Results,
    output: Page = None,
    png: Strip = None,
    reduce_to: ReduceTo = 16,
    overwrite: options.Overwrite = False,
    max_megapixels: options.MaxMegapixels = DEFAULT_MAX_MEGAPIXELS,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
    json: options.Json = False,
) -> None:
    """Show a picture and what was made of it on one page."""
    from dit4sr_cli.report.compare import page

    console.open(quiet=quiet, verbose=verbose, as_json=json)
    named = _named(results)
    first = next(iter(named.values()))
    output = output or first.with_name(f"{first.name}.html")
    for path, endings in ((output, _PAGE), (png, _STRIP)):
        if path is not None and path.suffix.lower() not in endings:
            raise UsageError(f"{path}: its name should end with {endings[0]}")
    with Progress("compare") as progress:
        made = page.make(
            source,
            named,
            output,
            strip=png,
            megapixels=reduce_to,
            overwrite=overwrite,
            max_megapixels=max_megapixels,
            observe=progress,
        )
    _say(made, reduce_to)
    console.result(
        "",
        {
            "command": "compare",
            "source": str(source),
            "page": str(made.page),
            "png": None if made.strip is None else str(made.strip),
            "bytes": made.num_bytes,
            "reduced": list(made.reduced),
            "results": [
                {"name": name, "file": str(named[name]), **check.as_json()}
                for name, check in made.checks.items()
            ],
        },
    )


def _named(texts: list[str]) -> dict[str, Path]:
    """Each result by its own name, by as much of its path as tells it apart, or as it is called."""
    called = [_split(text) for text in texts]
    paths = [path for _, path in called]
    if repeated := next((path for path in paths if paths.count(path) > 1), None):
        raise UsageError(f"{repeated}: is named twice")
    own = [path.name for path in paths]
    named: dict[str, Path] = {}
    for name, path in called:
        label = name or (path.name if own.count(path.name) == 1 else str(path))
        if label in named:
            raise UsageError(f"two results are called {label}", hint="give each another: NAME=FILE")
        named[label] = path
    return named


def _split(text: str) -> tuple[str, Path]:
    name, separator, file = text.partition("=")
    if separator and name and file and not Path(text).exists():
        return name, Path(file)
    return "", Path(text)


def _say(made: Made, reduce_to: float) -> None:
    if made.reduced:
        console.note(
            f"shown reduced to {reduce_to:g} megapixels, but for the worst places: "
            f"{', '.join(made.reduced)} (--reduce-to)"
        )
    for name, check in made.checks.items():
        console.summary(f"{name} is {check.summary()}")
    strip = "" if made.strip is None else f", {made.strip}"
    console.summary(f"{made.page}{strip}: {made.num_bytes / 1e6:.1f} MB")
