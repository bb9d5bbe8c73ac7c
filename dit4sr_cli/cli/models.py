"""`dit4sr models`: which weights are there, and where they are looked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer

import dit4sr_cli
from dit4sr_cli.cli import options
from dit4sr_cli.cli.console import console
from dit4sr_cli.core.paths import models_dir

app = typer.Typer(help="See which models there are.")


@app.command("list")
def list_models(
    quiet: options.Quiet = False, verbose: options.Verbose = False, json: options.Json = False
) -> None:
    """List the models that --model takes by name."""
    console.open(quiet=quiet, verbose=verbose, as_json=json)
    models = find_models()
    width = max((len(model["name"]) for model in models), default=0)
    lines = (f"{model['name']:<{width}}  {model['folder']}" for model in models)
    console.result("\n".join(lines), {"command": "models list", "models": models})


@app.command()
def path(
    quiet: options.Quiet = False, verbose: options.Verbose = False, json: options.Json = False
) -> None:
    """Print the folder in which models are looked for by name."""
    console.open(quiet=quiet, verbose=verbose, as_json=json)
    folder = str(models_dir())
    console.result(folder, {"command": "models path", "folder": folder})


def find_models() -> list[dict[str, Any]]:
    """The embedded models, then those of the user, by name."""
    embedded = Path(dit4sr_cli.__file__).parent / "embedded"
    return [
        {"name": folder.name, "folder": str(folder), "embedded": root == embedded}
        for root in (embedded, models_dir())
        for folder in _folders_in(root)
    ]


def model_names() -> list[str]:
    """What --model takes by name."""
    return [model["name"] for model in find_models()]


def _folders_in(root: Path) -> list[Path]:
    if not root.is_dir():
        return []
    return sorted(f for f in root.iterdir() if f.is_dir() and f.name[0] not in "._")
