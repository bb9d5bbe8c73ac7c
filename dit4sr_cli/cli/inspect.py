"""`dit4sr inspect`: a look inside a model while it works."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from dit4sr_cli.cli import options
from dit4sr_cli.cli.console import console
from dit4sr_cli.cli.progress import Progress
from dit4sr_cli.core.errors import UsageError
from dit4sr_cli.core.settings import ModelSettings, UpscaleSettings
from dit4sr_cli.core.types import DeviceChoice, Precision

app = typer.Typer(no_args_is_help=True, help="Look inside a model while it works.")

Photo = Annotated[Path, typer.Argument(metavar="PHOTO", help="A photograph, as for upscale.")]
Chart = Annotated[
    Path, typer.Option("--output", "-o", metavar="FILE.png", help="The picture to be written.")
]
At = Annotated[
    list[str] | None,
    typer.Option(
        metavar="X,Y", help="Map where this pixel looks; may be repeated. [default: the middle]"
    ),
]
Step = Annotated[
    int, typer.Option(min=1, metavar="N", help="Of the sampler; those before are taken first.")
]
Blocks = Annotated[
    str | None, typer.Option(metavar="0,3,..", help="Look at these alone. [default: all]")
]


@app.callback()
def main() -> None:
    """Look inside a model while it works."""


@app.command()
def attention(
    photo: Photo,
    output: Chart = Path("attention.png"),
    at: At = None,
    step: Step = 1,
    blocks: Blocks = None,
    model: options.Model = "auto",
    steps: options.Steps = None,
    seed: options.Seed = 0,
    prompt: options.Prompt = None,
    tile: options.Tile = None,
    device: options.Device = DeviceChoice.AUTO,
    dtype: options.Dtype = Precision.AUTO,
    low_memory: options.LowMemory = False,
    overwrite: options.Overwrite = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
    json: options.Json = False,
) -> None:
    """Draw how picture, input and text share out the attention of each block."""
    console.open(quiet=quiet, verbose=verbose, as_json=json)
    points = [_point(text) for text in at or ()]
    numbers = None if blocks is None else _numbers(blocks)
    if output.suffix.lower() != ".png":
        raise UsageError(f"{output}: the picture ends with .png")
    from dit4sr_cli.imaging import placing, writer
    from dit4sr_cli.jobs.plan import check_source

    check_source(photo)
    writer.check_target(output, overwrite=overwrite)
    from dit4sr_cli.inspection.attention import as_json, look
    from dit4sr_cli.inspection.chart import draw

    settings = UpscaleSettings(steps=steps, seed=seed, prompt=prompt, tile=tile)
    wanted = ModelSettings(model=model, device=device, precision=dtype, low_memory=low_memory)
    with Progress(photo.name) as progress:
        seen = look(
            photo,
            wanted,
            at=points,
            step=step,
            blocks=numbers,
            settings=settings,
            observe=progress,
        )
    with placing.explained(output), placing.whole_file(output, overwrite=overwrite) as stream:
        draw(seen).save(stream, "PNG")
    if not seen.is_joint:
        console.note(f"{seen.model} attends separately: X and L do not see each other")
    if seen.tiles > 1:
        box = seen.tile
        where = f"{box.width}x{box.height} at {box.x},{box.y}"
        console.note(f"{photo} is cut into {seen.tiles} tiles: this is the one of {where}")
    count = len(seen.blocks)
    console.summary(
        f"{output}: {seen.model}, {count} attention{'' if count == 1 else 's'}, "
        f"step {seen.step} of {seen.steps}"
    )
    console.result("", {"command": "inspect attention", "output": str(output), **as_json(seen)})


def _point(text: str) -> tuple[int, int]:
    try:
        x, y = map(int, text.split(","))
    except ValueError:
        raise UsageError(f"--at {text} is not X,Y", hint="pixels, as in --at 120,80") from None
    return x, y


def _numbers(text: str) -> Sequence[int]:
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise UsageError(f"--blocks {text} is not a list", hint="as in --blocks 0,3,5") from None
