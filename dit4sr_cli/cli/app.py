"""The `dit4sr` command: its subcommands and its global options; importing it stays cheap."""

from __future__ import annotations

from typing import Annotated

import typer

from dit4sr_cli import __version__
from dit4sr_cli.cli import (
    batch,
    bench,
    caption,
    check,
    compare,
    complete,
    data,
    doctor,
    evaluate,
    help,
    info,
    inspect,
    models,
    plan,
    preview,
    rerun,
    streams,
    study,
    train,
    ui,
    upscale,
    verify,
    watch,
)

# Plain help: drawing boxes would import rich and double the start-up time.
app = typer.Typer(
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    add_completion=False,  # its scripts miss zsh's first TAB and wrap help: ours are in complete.py
    context_settings={"max_content_width": 100},
)
app.command()(upscale.upscale)
app.command(cls=preview.Command)(preview.preview)
app.command()(batch.batch)
app.command()(plan.plan)
app.command()(watch.watch)
app.command()(ui.ui)
app.command()(caption.caption)
app.command()(check.check)
app.command()(compare.compare)
app.command()(info.info)
app.command()(verify.verify)
app.command()(rerun.rerun)
app.command("eval")(evaluate.evaluate)
app.add_typer(study.app, name="study")
app.command()(train.train)
app.add_typer(data.app, name="data")
app.add_typer(inspect.app, name="inspect")
app.command()(bench.bench)
app.command()(doctor.doctor)
app.add_typer(models.app, name="models")
app.command()(help.help)
app.command()(complete.completion)
app.command("complete", hidden=True)(complete.complete)


def _print_version(wanted: bool) -> None:
    if wanted:
        streams.write_text(f"dit4sr {__version__}\n")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def main(
    ctx: typer.Context,
    version: Annotated[
        bool,
        typer.Option(
            "--version", is_eager=True, callback=_print_version, help="Show the version and exit."
        ),
    ] = False,
) -> None:
    """Enlarge and restore photographs x4 with a diffusion transformer."""
    if ctx.invoked_subcommand is None:
        streams.write_text(f"{ctx.get_help()}\n")
