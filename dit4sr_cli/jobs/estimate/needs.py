"""What one picture will take: tiles, memory, disk and time."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from dit4sr_cli.core.settings import OutputSettings, UpscaleSettings
from dit4sr_cli.core.types import Size
from dit4sr_cli.imaging import formats
from dit4sr_cli.imaging.header import Header, read_header
from dit4sr_cli.jobs.estimate.records import FileEstimate
from dit4sr_cli.jobs.plan import check_source
from dit4sr_cli.jobs.sampling import output_size, passes_of, tiles_of

if TYPE_CHECKING:
    from dit4sr_cli.weights.spec import ModelSpec

BASE_MEMORY = 360e6
"""Bytes of the process before a picture: Python, torch, nano. Measured, see BYTES_A_PIXEL."""
BYTES_A_PIXEL = 84
"""Peak of host memory for a pixel of the result, above BASE_MEMORY: nano, 8 bits, from 1 to 9
megapixels (float pictures before and after, latents, noise, and the encoder's copy)."""
STRIPS_FROM = 60_000_000
"""Pixels of a PNG or TIFF result from which on it is made by strips (jobs/large.py)."""
BYTES_ON_DISK = {"png": 1.7, "tiff": 1.9, "jpeg": 0.55, "webp": 0.4, "avif": 0.3}
"""For a pixel of an 8-bit colour photograph at the default quality; a guess, grain costs more."""
_SIXTEEN_BIT_FACTOR, _GREY_FACTOR = 2.6, 0.4


def cells_of(
    size: Size, factor: float, upscale: UpscaleSettings, spec: ModelSpec
) -> tuple[int, int]:
    """Tiles of a picture, and the cells that go through the transformer in all its steps."""
    boxes = tiles_of(size, factor, upscale, spec)
    passes = passes_of(upscale, spec)
    return len(boxes), round(passes * sum(box.width * box.height for box in boxes))


def needs_of(
    source: Path,
    target: Path,
    spec: ModelSpec,
    upscale: UpscaleSettings,
    output: OutputSettings,
    speed: float,
) -> FileEstimate:
    """What the picture takes, from its header alone.

    Args:
        source: the picture.
        target: its result.
        spec: of the model.
        upscale: as the run gets it.
        output: format, and how large a picture may be.
        speed: seconds for a cell through the transformer.

    Raises:
        InputError: it cannot be read.
        OutputError: its format cannot hold the result.
        UsageError: a setting does not fit it.
    """
    check_source(source)
    header = read_header(source, max_megapixels=output.max_megapixels)
    factor, size = output_size(header.size, upscale)
    format = formats.format_of(target, output.format, "png")
    formats.check_size(format, size.width, size.height)
    pages = header.pages if formats.can_hold_pages(format) else 1
    num_tiles, cells = cells_of(header.size, factor, upscale, spec)
    return FileEstimate(
        source=source,
        target=target,
        pages=header.pages,
        input_size=(header.size.width, header.size.height),
        output_size=(size.width, size.height),
        tiles=pages * num_tiles,
        cells=pages * cells,
        seconds=pages * cells * speed,
        memory=_memory(size.pixels, format, pages, header),
        disk=_disk(size.pixels * pages, format, header),
    )


def _memory(pixels: int, format: str, pages: int, header: Header) -> int:
    """BASE + BYTES_A_PIXEL x pixels, for a page; finished pages wait for the last one."""
    held = min(pixels, STRIPS_FROM) if format in ("png", "tiff") and pages == 1 else pixels
    finished = (pages - 1) * pixels * header.channels * header.bits // 8
    return int(BASE_MEMORY + BYTES_A_PIXEL * held + finished)


def _disk(pixels: int, format: str, header: Header) -> int:
    size = pixels * BYTES_ON_DISK[format]
    if header.bits > 8 and formats.can_hold_16_bit(format):
        size *= _SIXTEEN_BIT_FACTOR
    return int(size * (_GREY_FACTOR if header.channels == 1 else 1))
