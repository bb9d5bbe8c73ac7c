"""Options that commands share, each once: its name, its range and its help.

Most of what one command alone takes is in its own module.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dit4sr_cli.core.settings import (
    DEFAULT_SCALE,
    MAX_SCALE,
    MIN_SCALE,
)
from dit4sr_cli.core.types import (
    CaptionChoice,
    ColorFix,
    DeviceChoice,
    Grid,
    Precision,
    Preset,
    Quantize,
    Solver,
    StartPoint,
)

_AS_MODEL = "default: the model's"


def complete_model(incomplete: str) -> list[str]:
    """Names that --model takes, for shell completion."""
    from dit4sr_cli.core.errors import ModelError
    from dit4sr_cli.weights.resolve import AUTO, NANO, names

    try:
        known = [AUTO, *names()]
    except ModelError:  # a broken models.toml: nothing for the middle of a word
        known = [AUTO, NANO]
    return [name for name in known if name.startswith(incomplete)]


def complete_captioner(incomplete: str) -> list[str]:
    """Names that --captioner takes, for shell completion."""
    from dit4sr_cli.weights.catalog import captioners

    return [name for name in ("auto", *captioners()) if name.startswith(incomplete)]


def complete_format(incomplete: str) -> list[str]:
    """Formats that can be written, for shell completion."""
    from dit4sr_cli.imaging.formats import WRITABLE

    return [name for name in WRITABLE if name.startswith(incomplete)]


def complete_listed(incomplete: str) -> list[str]:
    """Names in `models list`, for shell completion."""
    from dit4sr_cli.weights.catalog import PARTS

    names = dict.fromkeys([*complete_model(""), *PARTS])
    return [name for name in names if name.startswith(incomplete)]


# Input and output

Format = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="Write png, jpeg, tiff, webp or avif. [default: by the output's name]",
        autocompletion=complete_format,
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
Fidelity = Annotated[
    float | None,
    typer.Option(
        min=0,
        max=1,
        metavar="0..1",
        help="From free (0) to faithful (1): sets start, guidance and weights, and holds the "
        "result to its source. What is given by name goes first.",
    ),
]
PresetName = Annotated[
    Preset | None,
    typer.Option(
        "--preset",
        help="How much time it may take: best is the paper's settings, balanced and draft take "
        "shortcuts. What is given by name goes first.",
    ),
]
GridKind = Annotated[
    Grid | None,
    typer.Option("--grid", help="Tiles spread evenly, or as the released code has them. [even]"),
]
Shift = Annotated[
    float | None,
    typer.Option(
        min=0.1, max=20, metavar="X", help=f"More steps at high noise above 1. [{_AS_MODEL}]"
    ),
]
SolverName = Annotated[
    Solver | None,
    typer.Option("--solver", help="euler, or dpm: nearer with fewer steps. [euler]"),
]
GuidanceFrom = Annotated[
    float | None,
    typer.Option(min=0, max=1, metavar="SIGMA", help="No guidance below this noise level. [0]"),
]
GuidanceTo = Annotated[
    float | None,
    typer.Option(min=0, max=1, metavar="SIGMA", help="No guidance above this noise level. [1]"),
]
Reuse = Annotated[
    float | None,
    typer.Option(
        min=0,
        max=1,
        metavar="X",
        help="Take most blocks' work from the step before, where the first block's moved by less "
        "than this. [0: never]",
    ),
]
Coarse = Annotated[
    float | None,
    typer.Option(
        min=0, max=1, metavar="SHARE", help="This share of the steps at half the resolution. [0]"
    ),
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
NoT5 = Annotated[
    bool,
    typer.Option("--no-t5", help="Read prompts without the third text encoder, the largest."),
]
LowMemory = Annotated[
    bool,
    typer.Option(
        "--low-memory", help="Hold one block of the transformer in memory at a time: slower."
    ),
]
QuantizeTo = Annotated[
    Quantize,
    typer.Option(
        "--quantize",
        help="Hold the transformer in fewer bits, for nearly the same picture: int8 (on a CPU also "
        "faster than fp32), int4 (least memory), fp8 (new NVIDIA cards).",
    ),
]
Pull = Annotated[
    bool, typer.Option("--pull", help="Fetch the model first, if it is not here (see models pull).")
]

# Prompt

PromptFile = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Read the prompt from a text file.")
]
Prompts = Annotated[
    Path | None,
    typer.Option(
        metavar="FOLDER",
        help="Folder of prompts named after the pictures: photo.jpg.txt or photo.txt for "
        "photo.jpg. [default: such a file beside the picture, if there is one]",
    ),
]
CaptionMode = Annotated[
    CaptionChoice,
    typer.Option(
        "--caption", help="Without a prompt, ask a captioner if one is installed, or do without."
    ),
]
CaptionerName = Annotated[
    str,
    typer.Option(
        "--captioner",
        metavar="NAME|FOLDER",
        help="Who describes pictures: auto (the best that is installed), a name from `dit4sr "
        "models list`, or a folder with an image-text-to-text model.",
        autocompletion=complete_captioner,
    ),
]
Suffix = Annotated[
    str | None,
    typer.Option(
        metavar="TEXT",
        help=f"What follows the prompt: how the picture should look; '' for nothing. [{_AS_MODEL}]",
    ),
]

# Models

ModelNames = Annotated[
    list[str] | None,
    typer.Argument(metavar="NAME", help="Names from models list.", autocompletion=complete_listed),
]
ModelName = Annotated[
    str,
    typer.Argument(metavar="NAME", help="A name from models list.", autocompletion=complete_listed),
]
OptionalModelName = Annotated[
    str | None,
    typer.Argument(metavar="NAME", help="A name from models list.", autocompletion=complete_listed),
]
WeightDtype = Annotated[
    Precision,
    typer.Option(
        "--dtype",
        help="Which weights, where there are several: fp32, or half the size (auto, fp16, bf16).",
    ),
]
T5 = Annotated[
    bool | None,
    typer.Option(
        "--t5/--no-t5",
        help="With or without the third text encoder, 9.5 GB. [default: as before, or with it]",
    ),
]
PulledCaptioner = Annotated[
    str,
    typer.Option("--captioner", metavar="none|NAME", help="Also pull this captioner."),
]
Revision = Annotated[
    list[str] | None,
    typer.Option(
        metavar="[NAME=]REV",
        help="Branch, tag or commit of what is named; may be repeated as NAME=REV.",
    ),
]
From = Annotated[
    Path | None,
    typer.Option(
        "--from",
        metavar="FOLDER",
        help="Take the files from a copy (a Hugging Face cache, another disk), not the network.",
    ),
]
AcceptLicence = Annotated[
    bool,
    typer.Option("--accept-licence", help="Accept the licences of what is pulled."),
]
Jobs = Annotated[
    int, typer.Option("--jobs", "-j", min=1, max=16, metavar="N", help="Files at a time.")
]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]
WithBase = Annotated[
    bool, typer.Option("--base", help="The shared base too, even if other models need it.")
]

# Talk

Quiet = Annotated[
    bool, typer.Option("--quiet", "-q", help="No warnings, notes or progress; errors remain.")
]
Verbose = Annotated[
    bool, typer.Option("--verbose", "-v", help="Say more; show a traceback after an error.")
]
Json = Annotated[bool, typer.Option("--json", help="Print the result as one JSON object.")]

# Many files

Inputs = Annotated[
    list[str],
    typer.Argument(
        metavar="INPUT...",
        help="Folders, pictures, patterns (quoted, with ** for any folders), @LIST with a path a "
        "line, or - for such a list on standard input.",
        show_default=False,
    ),
]
ResultsFolder = Annotated[
    Path,
    typer.Option(
        "--output",
        "-o",
        metavar="FOLDER",
        help="Where results and the journal go, in folders as the inputs are; made if need be.",
    ),
]
OutputTemplate = Annotated[
    str | None,
    typer.Option(
        metavar="TEXT",
        help="Names of results, with {stem}, {suffix}, {name}, {parent}, {ext}, {scale}, {size}. "
        "[default: {stem}_{size}{suffix}]",
    ),
]
Include = Annotated[
    list[str] | None,
    typer.Option(metavar="PATTERN", help="Take only what has this name or path; may be repeated."),
]
Exclude = Annotated[
    list[str] | None,
    typer.Option(metavar="PATTERN", help="Leave out what has this name or path; may be repeated."),
]
SkipExisting = Annotated[
    bool, typer.Option("--skip-existing", help="Leave out pictures whose result exists.")
]
Ray = Annotated[
    str | None,
    typer.Option(
        metavar="auto|ADDRESS",
        help="Share the work out over a Ray cluster: auto, or its address (needs dit4sr[ray]).",
    ),
]

# Record

Sidecar = Annotated[
    bool,
    typer.Option("--sidecar", help="Write how it was made beside the result too: NAME.png.json."),
]
NoRecord = Annotated[
    bool,
    typer.Option("--no-record", help="Leave how it was made out of the result's metadata."),
]
Made = Annotated[Path, typer.Argument(metavar="FILE", help="A picture that dit4sr has made.")]
OfSource = Annotated[
    Path | None,
    typer.Option("--source", metavar="FILE", help="The picture that it was made from."),
]
FromSource = Annotated[
    Path, typer.Option("--source", metavar="FILE", help="The picture that it was made from.")
]
Again = Annotated[
    Path, typer.Option("--output", "-o", metavar="FILE", help="Where the new result goes.")
]
OtherModel = Annotated[
    str | None,
    typer.Option(
        "--model",
        metavar="NAME|FOLDER",
        help="Where its weights are. [default: by the name in the record]",
        autocompletion=complete_model,
    ),
]
Force = Annotated[bool, typer.Option("--force", help="Go on with another source or other weights.")]

# Fidelity

Strict = Annotated[
    bool,
    typer.Option("--strict", help="Exit with 9 if the result is changed, or another picture."),
]
