"""`dit4sr data`: what training needs before it starts."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dit4sr_cli.cli import options
from dit4sr_cli.cli.console import console

app = typer.Typer(no_args_is_help=True, help="Get what training needs.")

Folder = Annotated[Path, typer.Argument(metavar="FOLDER", help="Where the photographs go.")]
Debs = Annotated[
    Path | None,
    typer.Option(metavar="FOLDER", help="Debian packages already here, in place of apt-get."),
]


@app.callback()
def main() -> None:
    """Get what training needs."""


@app.command()
def photos(
    folder: Folder,
    debs: Debs = None,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
    json: options.Json = False,
) -> None:
    """Fetch the photographs that nano is made of, from Debian packages (about 1 GB)."""
    from dit4sr_cli.training.photos import fetch

    console.open(quiet=quiet, verbose=verbose, as_json=json)
    paths = fetch(folder, debs=debs, observe=console.detail)
    console.result(
        f"{len(paths)} photographs in {folder}",
        {"command": "data photos", "folder": str(folder), "photographs": len(paths)},
    )
