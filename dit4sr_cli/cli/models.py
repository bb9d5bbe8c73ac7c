"""`dit4sr models`: which weights are there, and where they are looked for."""

from __future__ import annotations

import typer

from dit4sr_cli.cli import options
from dit4sr_cli.cli.console import console

app = typer.Typer(help="See which models there are.")


@app.command("list")
def list_models(
    quiet: options.Quiet = False, verbose: options.Verbose = False, json: options.Json = False
) -> None:
    """List the models that --model takes by name."""
    from dit4sr_cli.weights.resolve import installed, resolve

    console.open(quiet=quiet, verbose=verbose, as_json=json)
    models = installed()
    auto = resolve().name
    width = max(len(model.name) for model in models)
    console.result(
        "\n".join(f"{model.name:<{width}}  {model.folder}" for model in models),
        {
            "command": "models list",
            "auto": auto,
            "models": [{"name": model.name, "folder": str(model.folder)} for model in models],
        },
    )


@app.command()
def path(
    quiet: options.Quiet = False, verbose: options.Verbose = False, json: options.Json = False
) -> None:
    """Print the folder in which models are looked for by name."""
    from dit4sr_cli.core.paths import models_dir

    console.open(quiet=quiet, verbose=verbose, as_json=json)
    folder = str(models_dir())
    console.result(folder, {"command": "models path", "folder": folder})
