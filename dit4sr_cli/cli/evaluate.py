"""`dit4sr evaluate`: folders of pictures to a table of figures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dit4sr_cli.cli import options
from dit4sr_cli.cli.console import console
from dit4sr_cli.cli.progress import Progress
from dit4sr_cli.core.errors import UsageError
from dit4sr_cli.core.events import PhaseStarted
from dit4sr_cli.core.settings import ModelSettings
from dit4sr_cli.core.types import DeviceChoice, Precision

if TYPE_CHECKING:
    from dit4sr_cli.core.events import Observer
    from dit4sr_cli.evaluation.metrics import Image
    from dit4sr_cli.evaluation.run import Method

Inputs = Annotated[Path, typer.Argument(metavar="LR_DIR", help="Folder of small pictures.")]
Reference = Annotated[
    Path, typer.Option(metavar="HR_DIR", help="Folder of the originals, matched by name.")
]
Outputs = Annotated[
    list[str] | None,
    typer.Option(metavar="NAME=DIR", help="Results made elsewhere, as one more row. Repeatable."),
]
Metrics = Annotated[
    str,
    typer.Option(
        metavar="A,B",
        help="psnr, ssim, sharpness, stlpips, stlpips-vgg, dss, haarpsi, gmsd, or all; "
        "those after sharpness need the extra dit4sr[eval].",
    ),
]
Save = Annotated[
    Path | None, typer.Option(metavar="DIR", help="Keep the results and a report of each picture.")
]
Sheet = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Write a PNG that shows them side by side.")
]
SheetCrop = Annotated[
    int,
    typer.Option(min=0, metavar="PX", help="Side of the squares on the sheet; 0 shows everything."),
]
NoModel = Annotated[
    bool, typer.Option("--no-model", help="Compare bicubic and --outputs only; run no model.")
]


def evaluate(
    inputs: Inputs,
    reference: Reference,
    outputs: Outputs = None,
    metrics: Metrics = "psnr,ssim,sharpness",
    save: Save = None,
    sheet: Sheet = None,
    sheet_crop: SheetCrop = 256,
    no_model: NoModel = False,
    model: options.Model = "auto",
    steps: options.Steps = None,
    guidance: options.Guidance = None,
    seed: options.Seed = 0,
    color_fix: options.Colors = None,
    tile: options.Tile = None,
    overlap: options.Overlap = None,
    device: options.Device = DeviceChoice.AUTO,
    dtype: options.Dtype = Precision.AUTO,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
    json: options.Json = False,
) -> None:
    """Measure a model against bicubic and the originals, on a folder of pictures."""
    from dit4sr_cli.evaluation import report, run

    console.open(quiet=quiet, verbose=verbose, as_json=json)
    folders = _parse_outputs(outputs or [])
    wanted = ModelSettings(model=model, device=device, precision=dtype)
    settings: dict[str, Any] = {
        "steps": steps,
        "guidance": guidance,
        "seed": seed,
        "color_fix": color_fix,
        "tile": tile,
        "overlap": overlap,
    }
    with Progress("evaluate") as progress:

        def load_methods() -> dict[str, Method]:
            return {} if no_model else _load(wanted, settings, progress)

        found = run.evaluate(
            inputs,
            reference,
            load_methods=load_methods,
            outputs=folders,
            metrics=[name.strip() for name in metrics.split(",") if name.strip()],
            keep=run.Keep(folder=save, sheet=sheet, crop=sheet_crop or None),
            observe=progress,
        )
    console.result(report.to_markdown(found), {"command": "evaluate", **report.to_dict(found)})


def _parse_outputs(texts: Sequence[str]) -> dict[str, Path]:
    folders: dict[str, Path] = {}
    for text in texts:
        name, separator, folder = text.partition("=")
        if not (name and separator and folder):
            raise UsageError(f"--outputs {text} is not NAME=DIR", hint="as in --outputs other=DIR")
        if name in folders:
            raise UsageError(f"--outputs names {name} twice", hint="give each its own name")
        folders[name] = Path(folder)
    return folders


def _load(wanted: ModelSettings, settings: dict[str, Any], observe: Observer) -> dict[str, Method]:
    from dit4sr_cli.jobs.upscale import load_upscaler

    observe(PhaseStarted("load model"))
    upscaler = load_upscaler(wanted)

    def enlarge(small: Image, scale: float) -> Image:
        pixels: Image = upscaler.upscale(small, scale=scale, observe=observe, **settings).pixels
        return pixels

    return {upscaler.name: enlarge}
