"""What `steps` does in another way with a picture that memory cannot hold.

Everything that is as large as the picture is in files without a name beside the result; memory
holds a strip of it.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from dit4sr_cli.core import events
from dit4sr_cli.core.errors import OutputError
from dit4sr_cli.core.settings import OutputSettings
from dit4sr_cli.core.sizes import MULTIPLE
from dit4sr_cli.core.types import Box, Size
from dit4sr_cli.imaging import scratch, strips
from dit4sr_cli.imaging.picture import Picture, Pixels
from dit4sr_cli.imaging.resize import bicubic_part
from dit4sr_cli.jobs import plan, whole
from dit4sr_cli.jobs.plan import Request

if TYPE_CHECKING:
    import torch

    from dit4sr_cli.pipeline.components import Components
    from dit4sr_cli.pipeline.restore import Sampling
    from dit4sr_cli.pipeline.strips import Enlarged

THRESHOLD = 60_000_000
"""Pixels of the result from which on it pays: below that the whole fits some 4 GB."""


def suits(request: Request, threshold: int = THRESHOLD) -> bool:
    """Whether the result will be large, and in a format that can be written by strips.

    Whatever is wrong with the request, the usual way finds out.
    """
    try:
        size = strips.size_of(request.source)
        if size is None:
            return False
        target = plan.plan_target(request)
        format = plan.plan_format(request, target)
    except Exception:  # decoders raise what they like
        return False
    if target is None or (target.exists() and not target.is_file()) or request.output.map:
        return False
    edge, scale = request.upscale.long_edge, request.upscale.scale
    factor = edge / max(size.width, size.height) if edge else scale
    return format in strips.FORMATS and size.pixels * factor**2 >= threshold


def read(request: Request, target: Path | None) -> Picture:
    """The picture, with its pixels in a file."""
    return strips.read(
        request.source,
        _folder(target),
        name=request.name,
        max_megapixels=request.output.max_megapixels,
    )


def enlarging(target: Path | None) -> whole.Enlarge:
    """`whole.enlarge`, with all that is as large as the picture in files beside the result."""
    return partial(_by_strips, folder=_folder(target))


def resized(plane: Pixels, size: Size, target: Path | None) -> Pixels:
    """A plane of the picture at the size of the result, in a file beside it."""
    return strips.enlarged(plane, (size.width, size.height), _folder(target))


def write(page: Picture, target: Path, format: str, settings: OutputSettings) -> None:
    """Put the page into its file, a strip at a time.

    Raises:
        OutputError: it cannot be written; what was there before still is.
    """
    strips.write(
        page,
        target,
        format=format,
        quality=settings.quality,
        overwrite=settings.overwrite,
    )


def _folder(target: Path | None) -> Path:
    """Where what memory does not hold is kept: on the disk that the result goes to."""
    return Path(tempfile.gettempdir()) if target is None else target.resolve().parent


def _by_strips(
    components: Components,
    pictures: Sequence[Pixels],
    sizes: whole.Sizes,
    sampling: Sampling,
    observe: events.Observer,
    *,
    folder: Path,
) -> list[Pixels]:
    size, wanted = sizes
    results = []
    for pixels in pictures:
        result = _restored(components, pixels, size, sampling, folder, observe)
        if wanted != size:
            observe(events.PhaseStarted("resizing"))
            result = strips.enlarged(result, (wanted.width, wanted.height), folder)
        results.append(result)
    return results


def _restored(
    components: Components,
    pixels: Pixels,
    size: Size,
    sampling: Sampling,
    folder: Path,
    observe: events.Observer,
) -> Pixels:
    """The picture at the size that the model works at."""
    from dit4sr_cli.pipeline.strips import restore

    enlarged = by_parts(pixels, size, components.spec.min_cells * MULTIPLE)
    _check_room(folder, enlarged.size, pixels, components.config.in_channels)
    rows = restore(components, enlarged, sampling, _Store(folder), observe=observe)
    result = scratch.zeros((size.height, size.width, pixels.shape[2]), pixels.dtype, folder)
    top = 0
    for band in rows:
        part = result[top : top + band.shape[1]]
        part[:] = whole.from_unit(band[:, : len(part), : size.width], pixels)
        top += band.shape[1]
    return result


def by_parts(pixels: Pixels, size: Size, shortest: int) -> Enlarged:
    """The picture at the model's size, padded as `whole.enlarge` does, as [3, H, W] in 0..1."""
    import torch

    from dit4sr_cli.pipeline.strips import Enlarged

    sides = size.width, size.height
    width, height = (max(shortest, -(-side // MULTIPLE) * MULTIPLE) for side in sides)
    top = np.iinfo(pixels.dtype).max

    def read(box: Box) -> torch.Tensor:
        columns = _mirrored(box.x, box.width, size.width)
        rows = _mirrored(box.y, box.height, size.height)
        x, y = int(columns.min()), int(rows.min())
        around = Box(x, y, int(columns.max()) - x + 1, int(rows.max()) - y + 1)
        part = bicubic_part(pixels, sides, around)[np.ix_(rows - y, columns - x)]
        image = torch.from_numpy(np.ascontiguousarray(part.transpose(2, 0, 1)))
        return image.to(torch.float32).div_(top).expand(3, -1, -1)

    return Enlarged(read, Size(width, height))


def _mirrored(start: int, length: int, side: int) -> Pixels:
    """Where pixels come from that may lie beyond the edge: numpy's symmetric padding."""
    place = np.arange(start, start + length) % (2 * side)
    return np.minimum(place, 2 * side - 1 - place)


@dataclass(frozen=True, slots=True)
class _Store:
    """Tensors in files, channels last: what a window or a tile needs lies close together."""

    folder: Path

    def zeros(self, channels: int, height: int, width: int) -> torch.Tensor:
        import torch

        array = scratch.zeros((height, width, channels), np.float32, self.folder)
        return torch.from_numpy(array).permute(2, 0, 1)

    def rest(self) -> None:
        scratch.rest()


def _check_room(folder: Path, size: Size, pixels: Pixels, channels: int) -> None:
    """Refuse before the work what the disk will not hold.

    Raises:
        OutputError: there is too little room.
    """
    latents = size.pixels // MULTIPLE**2 * channels * 4
    image = size.pixels * 3 * 4
    result = size.pixels * pixels.shape[2] * pixels.itemsize
    # LR latents and the sampled ones; those and the image; image and result; result and its file.
    needed = max(2 * latents, latents + image, image + result, 3 * result)
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise OutputError(
            f"{folder}: {free / 1e9:.1f} GB free, {needed / 1e9:.1f} GB needed on the way",
            hint="free some space, or choose another folder with -o",
        )
