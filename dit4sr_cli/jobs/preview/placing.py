"""Where the sheet goes, and putting it there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from dit4sr_cli.core.errors import OutputError
from dit4sr_cli.imaging import formats
from dit4sr_cli.imaging.picture import Metadata, Picture, Pixels
from dit4sr_cli.jobs import plan
from dit4sr_cli.jobs.preview.records import Request


def target_of(request: Request) -> Path | None:
    """Where the sheet goes; None is standard output. A made-up name is one that is free.

    Raises:
        OutputError: it may not be written there.
    """
    from dit4sr_cli.imaging.writer import check_target

    target = request.target
    if target == plan.STDOUT or (target is None and isinstance(request.source, bytes)):
        return None
    if target is None or target.is_dir():
        folder = Path(request.name).parent if target is None else target
        target = next(path for path in _names(request, folder) if not path.exists())
    check_target(target, overwrite=request.overwrite)
    if isinstance(request.source, Path) and target.exists() and request.source.samefile(target):
        raise OutputError(
            f"{target}: is the input itself, which is never overwritten",
            hint="choose another name with -o",
        )
    formats.format_of(target, None, "png")
    return target


def _names(request: Request, folder: Path) -> Iterator[Path]:
    """`photo_preview.png`, `photo_preview_2.png` and so on."""
    stem = Path(request.name).stem
    yield folder / f"{stem}_preview.png"
    number = 2
    while True:
        yield folder / f"{stem}_preview_{number}.png"
        number += 1


def write(pixels: Pixels, target: Path | None, request: Request, stdout: BinaryIO | None) -> None:
    """Write the sheet, whole or not at all; without a target to standard output, as PNG.

    Raises:
        OutputError: it cannot be written.
    """
    from dit4sr_cli.imaging import writer

    picture = Picture(pixels, None, Metadata(), "the sheet", "png", "rgb")
    if target is not None:
        format = formats.format_of(target, None, "png")
        writer.write([picture], target, format=format, overwrite=request.overwrite)
    elif stdout is None:
        raise OutputError("there is no standard output to write to", hint="name an output file")
    else:
        stdout.write(writer.encode([picture], format="png"))
        stdout.flush()
