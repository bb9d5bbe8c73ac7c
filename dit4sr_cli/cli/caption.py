"""`dit4sr caption`: pictures to one line each, on stdout or beside them, for a person to edit."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dit4sr_cli.cli import options, streams
from dit4sr_cli.cli.console import console, one_line
from dit4sr_cli.cli.progress import Progress
from dit4sr_cli.core.errors import Dit4srError, ExitCode, UsageError
from dit4sr_cli.core.settings import DEFAULT_MAX_MEGAPIXELS
from dit4sr_cli.core.types import DeviceChoice, Precision

if TYPE_CHECKING:
    from dit4sr_cli.jobs.caption import Captioned

Sources = Annotated[
    list[str],
    typer.Argument(metavar="FILES...", help="Pictures, or - for standard input."),
]
WriteSidecars = Annotated[
    bool,
    typer.Option(
        "--write-sidecars",
        help="Write photo.txt beside photo.jpg, where `dit4sr upscale` looks for it.",
    ),
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace existing sidecars.")]
NoFilter = Annotated[
    bool, typer.Option("--no-filter", help="Keep sentences about focus, blur and place.")
]
Dtype = Annotated[Precision, typer.Option(help="Arithmetic of the captioner.")]
Seed = Annotated[
    int,
    typer.Option("--seed", "-s", min=0, max=2**32 - 1, metavar="N", help="Same seed, same words."),
]


def caption(
    sources: Sources,
    write_sidecars: WriteSidecars = False,
    overwrite: Overwrite = False,
    captioner: options.CaptionerName = "auto",
    no_filter: NoFilter = False,
    seed: Seed = 0,
    device: options.Device = DeviceChoice.AUTO,
    dtype: Dtype = Precision.AUTO,
    max_megapixels: options.MaxMegapixels = DEFAULT_MAX_MEGAPIXELS,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
    json: options.Json = False,
) -> int:
    """Say what pictures show. `dit4sr upscale` reads it, edited or not."""
    from dit4sr_cli.jobs import caption as job

    console.open(quiet=quiet, verbose=verbose, as_json=json)
    request = job.Request(
        sources=_open(sources, write_sidecars=write_sidecars),
        captioner=captioner,
        device=device,
        precision=dtype,
        seed=seed,
        write_sidecars=write_sidecars,
        overwrite=overwrite,
        is_filtered=not no_filter,
        max_megapixels=max_megapixels,
    )
    is_alone = len(request.sources) == 1
    with Progress("caption") as progress:
        return _report(job.run(request, observe=progress), request, is_alone=is_alone)


def _open(sources: list[str], *, write_sidecars: bool) -> list[Path | bytes]:
    piped = [source for source in sources if streams.is_stream(source)]
    if piped and write_sidecars:
        raise UsageError(
            f"{piped[0]}: a picture from a pipe has no place for a sidecar",
            hint="leave out --write-sidecars, and the caption is printed",
        )
    if sources.count("-") > 1:
        raise UsageError("standard input can be read only once")
    # A picture that is named twice is described once.
    unique = dict.fromkeys(sources)
    return [streams.read_stream(s) if s in piped else Path(s) for s in unique]


def _report(found: Iterable[Captioned], request: Any, *, is_alone: bool) -> int:
    """Tell of each picture as it comes; the exit code says whether all went well."""
    failures: list[Dit4srError] = []
    done = 0
    for captioned in found:
        if captioned.error is None:
            done += 1
            _tell(captioned, is_alone=is_alone)
        elif is_alone:
            raise captioned.error
        else:
            failures.append(captioned.error)
            _tell_failure(captioned.file, captioned.error)
    if not failures:
        return ExitCode.OK
    return ExitCode.PARTIAL if done else failures[0].exit_code


def _tell(captioned: Captioned, *, is_alone: bool) -> None:
    if console.is_json:
        console.json(_record(captioned))
    elif captioned.is_kept:
        console.note(f"{captioned.sidecar}: exists already, kept (--overwrite replaces it)")
    elif captioned.sidecar is not None:
        console.summary(f"{captioned.file} -> {captioned.sidecar}")
    elif captioned.caption is not None:
        text = one_line(captioned.caption.text)
        # An empty caption is an empty line: the output is for files and loops to read.
        streams.write_text(f"{text}\n" if is_alone else f"{one_line(captioned.file)}\t{text}\n")


def _tell_failure(file: str, error: Dit4srError) -> None:
    console.error(error.message, error.hint)
    if console.is_json:
        body = {"kind": type(error).__name__, "code": int(error.exit_code)}
        body |= {"message": error.message, "hint": error.hint}
        console.json({"command": "caption", "file": file, "error": body})


def _record(captioned: Captioned) -> dict[str, Any]:
    caption, sidecar = captioned.caption, captioned.sidecar
    is_asked = caption is not None and caption.origin.startswith("captioner:")
    return {
        "command": "caption",
        "file": captioned.file,
        "caption": caption.text if caption else None,
        "raw": caption.raw if caption else None,
        "origin": caption.origin if caption else f"sidecar:{sidecar}",
        "captioner": caption.origin.removeprefix("captioner:") if caption and is_asked else None,
        "dropped": list(captioned.dropped),
        "sidecar": str(sidecar) if sidecar else None,
        "kept": captioned.is_kept,
    }
