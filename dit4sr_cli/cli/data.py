"""`dit4sr data`: what training needs before it starts: photographs, training pairs, and more.

Each command makes what is missing and keeps what is there, so that it can be run again and again.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dit4sr_cli.cli import options
from dit4sr_cli.cli.console import console
from dit4sr_cli.cli.progress import Progress
from dit4sr_cli.core import events
from dit4sr_cli.core.errors import Dit4srError, ExitCode, ModelError, UsageError
from dit4sr_cli.core.types import DeviceChoice, Precision

if TYPE_CHECKING:
    from dit4sr_cli.training.data.outcome import Outcome

app = typer.Typer(no_args_is_help=True, help="Get what training needs.")


class Stored(str, Enum):
    """Types in which latents are kept."""

    FP32 = "fp32"
    FP16 = "fp16"
    BF16 = "bf16"


Folder = Annotated[Path, typer.Argument(metavar="FOLDER", help="Where the photographs go.")]
Debs = Annotated[
    Path | None,
    typer.Option(metavar="FOLDER", help="Debian packages already here, in place of apt-get."),
]
Output = Annotated[
    Path, typer.Option("--output", "-o", metavar="DATA", help="The folder of the pairs.")
]
Data = Annotated[Path, typer.Argument(metavar="DATA", help="A folder made by `data pairs`.")]
Side = Annotated[
    int,
    typer.Option("--size", min=64, metavar="PX", help="Side of the HR pictures; LR has a quarter."),
]
PerPhoto = Annotated[
    int | None,
    typer.Option(min=1, metavar="N", help="Crops of each photograph. [default: by its size, 1-16]"),
]
Crops = Annotated[
    int | None,
    typer.Option(min=1, metavar="N", help="Crops of all photographs together, instead."),
]
MaxReduction = Annotated[
    float,
    typer.Option(
        min=1, max=16, metavar="X", help="Crops of large photographs are reduced by up to this."
    ),
]
Mirror = Annotated[bool, typer.Option("--mirror", help="Mirror half of the crops.")]
Seed = Annotated[
    int,
    typer.Option("--seed", "-s", min=0, max=2**32 - 1, metavar="N", help="Same seed, same pairs."),
]
Shards = Annotated[
    int | None,
    typer.Option(min=1, max=99999, metavar="N", help="Write tar files, as webdataset has them."),
]
Workers = Annotated[
    int, typer.Option(min=1, max=256, metavar="N", help="Processes; the result is the same.")
]
Texts = Annotated[
    Path | None,
    typer.Option("--from", metavar="FOLDER", help="Take them from NAME.txt in a folder."),
]
Empty = Annotated[bool, typer.Option("--empty", help="Write empty captions.")]
NoFilter = Annotated[
    bool, typer.Option("--no-filter", help="Keep sentences about focus, blur and place.")
]
CaptionSeed = Annotated[
    int,
    typer.Option("--seed", "-s", min=0, max=2**32 - 1, metavar="N", help="Same seed, same words."),
]
CaptionDtype = Annotated[Precision, typer.Option("--dtype", help="Arithmetic of the captioner.")]
PicturesAtOnce = Annotated[
    int, typer.Option("--batch", min=1, metavar="N", help="Pictures encoded together.")
]
LatentDtype = Annotated[
    Stored, typer.Option("--dtype", help="How latents are stored; they are computed in fp32.")
]
TextsAtOnce = Annotated[
    int,
    typer.Option(
        "--batch", min=1, metavar="N", help="Captions encoded together; encoders are read for each."
    ),
]
TextDtype = Annotated[
    Precision,
    typer.Option("--dtype", help="Arithmetic of the text encoders; also how it is stored."),
]
ShardsFolder = Annotated[
    Path, typer.Option("--output", "-o", metavar="FOLDER", help="Where the shards go.")
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


@app.command()
def pairs(
    inputs: options.Inputs,
    output: Output,
    size: Side = 512,
    per_photo: PerPhoto = None,
    crops: Crops = None,
    max_reduction: MaxReduction = 4.0,
    mirror: Mirror = False,
    seed: Seed = 0,
    shards: Shards = None,
    workers: Workers = 1,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
    json: options.Json = False,
) -> int:
    """Cut photographs into HR pictures, and degrade them to LR ones, as the paper does."""
    from dit4sr_cli.jobs.discover import discover
    from dit4sr_cli.training.data.crops import CropSettings
    from dit4sr_cli.training.data.pairs import PairSettings, make_pairs

    console.open(quiet=quiet, verbose=verbose, as_json=json)
    settings = PairSettings(
        crops=CropSettings(size=size, max_reduction=max_reduction, mirror=mirror),
        seed=seed,
        per_photo=per_photo or 0,
        total=crops or 0,
        shards=shards or 0,
    )
    found = discover(inputs, output=output)
    for path, reason in found.skipped:
        console.detail(f"{path}: left out: {reason}")
    files = [file.path for file in found.files]
    with Progress("pairs") as progress:
        outcomes = make_pairs(files, output, settings, workers=workers, observe=progress)
        return _report("pairs", output, outcomes)


@app.command()
def captions(
    data: Data,
    texts: Texts = None,
    empty: Empty = False,
    captioner: options.CaptionerName = "auto",
    no_filter: NoFilter = False,
    seed: CaptionSeed = 0,
    device: options.Device = DeviceChoice.AUTO,
    dtype: CaptionDtype = Precision.AUTO,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
    json: options.Json = False,
) -> int:
    """Say what the HR pictures show: by a captioner, from text files, or nothing."""
    from dit4sr_cli.jobs.caption import describing
    from dit4sr_cli.training.data import captions as job
    from dit4sr_cli.weights.resolve import resolve_captioner

    console.open(quiet=quiet, verbose=verbose, as_json=json)
    if empty and texts is not None:
        raise UsageError("--from and --empty say different things", hint="give one of them")
    with Progress("captions") as progress:
        if empty or texts is not None:
            say = job.nothing if texts is None else job.written_in(texts, is_filtered=not no_filter)
            return _report("captions", data, job.write_captions(data, say, observe=progress))
        found = resolve_captioner(captioner)
        if found is None:
            raise ModelError(
                "no captioner on this machine",
                hint="fetch one with `dit4sr models pull smolvlm`, or use --from FOLDER or --empty",
            )
        with describing(
            found,
            device=device,
            precision=dtype,
            seed=seed,
            is_filtered=not no_filter,
            observe=events.only_messages(progress),
        ) as describe:
            say = job.captioned(describe)
            return _report("captions", data, job.write_captions(data, say, observe=progress))


@app.command()
def latents(
    data: Data,
    model: options.Model = "auto",
    batch: PicturesAtOnce = 8,
    dtype: LatentDtype = Stored.FP32,
    device: options.Device = DeviceChoice.AUTO,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
    json: options.Json = False,
) -> int:
    """Encode the pairs' pictures with the codec of a model."""
    import torch

    from dit4sr_cli.pipeline.device import pick_device
    from dit4sr_cli.training.data.latents import write_latents
    from dit4sr_cli.training.data.models import find_model

    console.open(quiet=quiet, verbose=verbose, as_json=json)
    kept = {Stored.FP32: torch.float32, Stored.FP16: torch.float16, Stored.BF16: torch.bfloat16}
    found = find_model(model)
    with Progress("latents") as progress:
        outcomes = write_latents(
            data,
            found,
            device=pick_device(device),
            batch=batch,
            dtype=kept[dtype],
            observe=progress,
        )
        return _report("latents", data, outcomes, model=found.name)


@app.command()
def embeds(
    data: Data,
    model: options.Model = "auto",
    batch: TextsAtOnce = 128,
    no_t5: options.NoT5 = False,
    dtype: TextDtype = Precision.AUTO,
    device: options.Device = DeviceChoice.AUTO,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
    json: options.Json = False,
) -> int:
    """Encode the captions, and the empty prompt, with the text encoders of a model."""
    from dit4sr_cli.pipeline.device import pick_device, pick_dtype
    from dit4sr_cli.training.data.embeds import write_embeds
    from dit4sr_cli.training.data.models import find_model

    console.open(quiet=quiet, verbose=verbose, as_json=json)
    found = find_model(model)
    if not found.spec.text:
        console.note(
            f"{found.name} reads no text: training gives it the same learned tokens for every"
            " picture, and no embeddings are needed"
        )
        return _report("embeds", data, (), model=found.name)
    target = pick_device(device)
    with Progress("embeds") as progress:
        outcomes = write_embeds(
            data,
            found,
            device=target,
            dtype=pick_dtype(dtype, target),
            t5=not no_t5,
            batch=batch,
            observe=progress,
        )
        return _report("embeds", data, outcomes, model=found.name)


@app.command()
def pack(
    data: Data,
    output: ShardsFolder,
    shards: Shards = None,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
    json: options.Json = False,
) -> int:
    """Put a finished folder into tar shards, which webdataset and `dit4sr train` read."""
    from dit4sr_cli.training.data.shards import pack as put_into_shards

    console.open(quiet=quiet, verbose=verbose, as_json=json)
    outcomes = put_into_shards(data, output, shards=shards or 0)
    return _report("samples", output, outcomes, command="pack")


def _report(
    what: str, data: Path, outcomes: Iterable[Outcome], *, command: str = "", **more: Any
) -> int:
    """Tell of failures as they come, and in the end of all; the code says whether all went well."""
    started = time.monotonic()
    made = kept = 0
    failures: list[tuple[str, Dit4srError]] = []
    for outcome in outcomes:
        made, kept = made + outcome.made, kept + outcome.kept
        if outcome.error is not None:
            failures.append((outcome.file, outcome.error))
            console.error(outcome.error.message, outcome.error.hint)
    seconds = time.monotonic() - started
    console.summary(
        f"{data}: {what}: {made} made, {kept} there before, {len(failures)} failed"
        f"{f', {made / seconds:.1f} a second' if made else ''}"
    )
    console.result(
        "",
        {
            "command": f"data {command or what}",
            "data": str(data),
            "made": made,
            "kept": kept,
            "failed": [_failure(file, error) for file, error in failures],
            "seconds": round(seconds, 3),
            **more,
        },
    )
    if not failures:
        return ExitCode.OK
    return ExitCode.PARTIAL if made or kept else failures[0][1].exit_code


def _failure(file: str, error: Dit4srError) -> dict[str, Any]:
    body = {"kind": type(error).__name__, "code": int(error.exit_code)}
    return {"file": file, **body, "message": error.message, "hint": error.hint}
