"""Every option of the command line, once: its name, its range and its help."""

from __future__ import annotations

from typing import Annotated

import typer

from dit4sr_cli.core.settings import (
    DEFAULT_SCALE,
    MAX_SCALE,
    MIN_SCALE,
)
from dit4sr_cli.core.types import ColorFix, DeviceChoice, Precision, StartPoint

_AS_MODEL = "default: the model's"


def complete_model(incomplete: str) -> list[str]:
    """Names that --model takes, for shell completion."""
    from dit4sr_cli.weights.resolve import AUTO, installed

    names = [AUTO, *(model.name for model in installed())]
    return [name for name in names if name.startswith(incomplete)]


# Input and output

Source = Annotated[
    str, typer.Argument(metavar="FILE", help="The picture, or - for standard input.")
]
Output = Annotated[
    str | None,
    typer.Option(
        "--output",
        "-o",
        metavar="FILE|FOLDER|-",
        help="Where the result goes; a folder that does not exist yet ends with /. "
        "[default: beside the input, as NAME_x4.png, or .tif for TIFF]",
    ),
]
Format = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="Write png, jpeg, tiff, webp or avif. [default: by the output's name]",
    ),
]
Quality = Annotated[
    int, typer.Option(min=1, max=100, metavar="1..100", help="Quality of JPEG, WebP and AVIF.")
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace an existing output.")]
MaxMegapixels = Annotated[
    float,
    typer.Option(
        min=0.0001, metavar="N", help="Refuse larger inputs: a guard against decompression bombs."
    ),
]

# Size

Scale = Annotated[
    float | None,
    typer.Option(
        min=MIN_SCALE,
        max=MAX_SCALE,
        metavar="FACTOR",
        help=f"Enlarge by this factor. [default: {DEFAULT_SCALE:g}]",
    ),
]
LongEdge = Annotated[
    int | None,
    typer.Option(min=1, metavar="PX", help="Length of the result's long edge, instead of --scale."),
]

# Sampling

Model = Annotated[
    str,
    typer.Option(
        metavar="NAME|FOLDER",
        help="auto, nano (embedded), a name from `dit4sr models list`, or a folder with weights.",
        autocompletion=complete_model,
    ),
]
Steps = Annotated[
    int | None,
    typer.Option(min=1, max=1000, metavar="N", help=f"Sampling steps. [{_AS_MODEL}]"),
]
Guidance = Annotated[
    float | None,
    typer.Option(min=0, max=100, metavar="X", help=f"Classifier-free guidance. [{_AS_MODEL}]"),
]
Seed = Annotated[
    int,
    typer.Option(
        "--seed", "-s", min=0, max=2**32 - 1, metavar="N", help="Same seed, same picture."
    ),
]
Prompt = Annotated[
    str | None, typer.Option(metavar="TEXT", help="What the picture shows, if the model reads.")
]
NegativePrompt = Annotated[
    str | None, typer.Option(metavar="TEXT", help="What it must not look like.")
]
Start = Annotated[
    StartPoint | None,
    typer.Option(help=f"Sample from noise, or from the input plus noise. [{_AS_MODEL}]"),
]
Colors = Annotated[
    ColorFix | None,
    typer.Option("--color-fix", help=f"How colours are held to the input's. [{_AS_MODEL}]"),
]
Tile = Annotated[
    int | None,
    typer.Option(
        min=8, metavar="CELLS", help=f"Tile side, in cells of 8 output pixels. [{_AS_MODEL}]"
    ),
]
Overlap = Annotated[
    int | None, typer.Option(min=0, metavar="CELLS", help=f"Overlap of tiles. [{_AS_MODEL}]")
]
Device = Annotated[DeviceChoice, typer.Option(help="Where to compute.")]
Dtype = Annotated[Precision, typer.Option(help="Arithmetic of the transformer.")]

# Talk

Quiet = Annotated[
    bool, typer.Option("--quiet", "-q", help="No warnings, notes or progress; errors remain.")
]
Verbose = Annotated[
    bool, typer.Option("--verbose", "-v", help="Say more; show a traceback after an error.")
]
Json = Annotated[bool, typer.Option("--json", help="Print the result as one JSON object.")]
