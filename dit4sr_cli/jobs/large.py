"""The steps of a picture that memory cannot hold: the same as in `steps`, with arrays on disk.

Everything that is as large as the picture is in files without a name beside the result; memory
holds a strip of it.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from dit4sr_cli import __version__
from dit4sr_cli.core import events
from dit4sr_cli.core.errors import OutputError
from dit4sr_cli.core.sizes import MULTIPLE
from dit4sr_cli.core.types import Box, Size
from dit4sr_cli.imaging import metadata, scratch, strips
from dit4sr_cli.imaging.picture import Picture, Pixels
from dit4sr_cli.imaging.resize import bicubic_part
from dit4sr_cli.jobs import plan, provenance, steps
from dit4sr_cli.jobs import upscaler as whole
from dit4sr_cli.jobs.plan import Request
from dit4sr_cli.jobs.record import Record
from dit4sr_cli.jobs.steps import Opened
from dit4sr_cli.jobs.upscaler import Upscaler

if TYPE_CHECKING:
    import torch

    from dit4sr_cli.captions.source import Caption
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


def open_source(request: Request, observe: events.Observer = events.ignore) -> Opened:
    """`steps.open_source`, with the pixels in a file."""
    from dit4sr_cli.weights.resolve import resolve

    warned: list[str] = []
    started = time.monotonic()
    observe = steps._keeping_warnings(observe, warned)
    found = resolve(request.model.model)
    target = plan.plan_target(request)
    if request.output.sidecar:
        provenance.check_sidecar(target, overwrite=request.output.overwrite)
    observe(events.PhaseStarted("reading"))
    page = strips.read(
        request.source,
        _folder(target),
        name=request.name,
        max_megapixels=request.output.max_megapixels,
    )
    format = plan.plan_format(request, target, page.format)
    pages = steps._fit([page], request, format, observe)
    return Opened(
        request=request,
        model=found,
        target=target,
        format=format,
        pages=pages,
        source_sha256=provenance.hash_source(request.source) if request.output.is_recorded else "",
        is_large=True,
        warnings=warned,
        started=started,
    )


def enlarge(
    opened: Opened,
    caption: Caption,
    upscaler: Upscaler,
    observe: events.Observer = events.ignore,
) -> tuple[Picture, Record]:
    """The page, upscaled by strips, with alpha and metadata."""
    [page], request, folder = opened.pages, opened.request, _folder(opened.target)
    result = _ByStrips(upscaler, folder).upscale(
        page.pixels, observe=observe, **steps._settings(request, caption)
    )
    width, height = result.record.output_size
    alpha = None if page.alpha is None else strips.enlarged(page.alpha, (width, height), folder)
    renewed = metadata.renew(
        page.metadata,
        width=width,
        height=height,
        software=f"dit4sr {__version__} ({upscaler.name})",
        # TIFF keeps none, and making it means to read all of the result.
        thumbnail=None if opened.format == "tiff" else strips.thumbnail(result.pixels),
    )
    fidelity = steps._checked(page, result.pixels, observe)
    record = replace(result.record, fidelity=fidelity)
    return replace(page, pixels=result.pixels, alpha=alpha, metadata=renewed), record


def write(page: Picture, opened: Opened) -> None:
    """Put the page into its file, a strip at a time.

    Raises:
        OutputError: it cannot be written; what was there before still is.
    """
    assert opened.target is not None
    settings = opened.request.output
    strips.write(
        page,
        opened.target,
        format=opened.format,
        quality=settings.quality,
        overwrite=settings.overwrite,
    )


def _folder(target: Path | None) -> Path:
    """Where what memory does not hold is kept: on the disk that the result goes to."""
    return Path(tempfile.gettempdir()) if target is None else target.resolve().parent


class _ByStrips(Upscaler):
    """The same model, for pictures on disk."""

    def __init__(self, upscaler: Upscaler, folder: Path) -> None:
        super().__init__(upscaler.components, upscaler.name, upscaler.revision)
        self._whole, self._folder = upscaler, folder

    def _restore(
        self, pixels: Pixels, factor: float, sampling: Sampling, observe: events.Observer
    ) -> tuple[Pixels, Sampling]:
        from dit4sr_cli.pipeline import memory
        from dit4sr_cli.pipeline.denoise import OverflowedError

        while True:
            try:
                return self._result(pixels, factor, sampling, observe), sampling
            except OverflowedError:
                self._widen(observe)
                self._whole.components = self.components
            except (RuntimeError, MemoryError) as error:
                if not memory.is_out_of_memory(error):
                    raise
                sampling = whole._with_smaller_tiles(sampling, self.spec, observe)
            memory.release(self.components.device)

    def _result(
        self, pixels: Pixels, factor: float, sampling: Sampling, observe: events.Observer
    ) -> Pixels:
        """The picture at the size that was asked for."""
        work = _restored(self.components, pixels, factor, sampling, self._folder, observe)
        height, width = pixels.shape[:2]
        size = (max(1, round(width * factor)), max(1, round(height * factor)))
        if (work.shape[1], work.shape[0]) == size:
            return work
        observe(events.PhaseStarted("resizing"))
        return strips.enlarged(work, size, self._folder)


def _restored(
    components: Components,
    pixels: Pixels,
    factor: float,
    sampling: Sampling,
    folder: Path,
    observe: events.Observer,
) -> Pixels:
    """The picture at the size that the model works at, in a file in `folder`."""
    from dit4sr_cli.pipeline.strips import restore

    spec = components.spec
    width, height = whole._working_size((pixels.shape[1], pixels.shape[0]), factor, spec)
    enlarged = _enlarged(pixels, (width, height), spec.min_cells * MULTIPLE)
    _check_room(folder, enlarged.size, pixels, components.config.in_channels)
    rows = restore(components, enlarged, sampling, _Store(folder), observe=observe)
    result = scratch.zeros((height, width, pixels.shape[2]), pixels.dtype, folder)
    top = 0
    for band in rows:
        part = result[top : top + band.shape[1]]
        part[:] = whole._from_unit(band[:, : len(part), :width], pixels)
        top += band.shape[1]
    return result


def _enlarged(pixels: Pixels, size: tuple[int, int], shortest: int) -> Enlarged:
    """The picture at the model's size, padded, as [3, H, W] in 0..1."""
    import torch

    from dit4sr_cli.pipeline.strips import Enlarged

    width, height = (max(shortest, -(-side // MULTIPLE) * MULTIPLE) for side in size)
    top = np.iinfo(pixels.dtype).max

    def read(box: Box) -> torch.Tensor:
        columns = _mirrored(box.x, box.width, size[0])
        rows = _mirrored(box.y, box.height, size[1])
        x, y = int(columns.min()), int(rows.min())
        around = Box(x, y, int(columns.max()) - x + 1, int(rows.max()) - y + 1)
        part = bicubic_part(pixels, size, around)[np.ix_(rows - y, columns - x)]
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
