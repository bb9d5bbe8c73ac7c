"""Large pictures between files and `scratch` arrays, a strip at a time.

What is done to a strip is what `reader` and `writer` do to a whole picture.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pyvips

from dit4sr_cli.core.errors import OutputError
from dit4sr_cli.core.settings import DEFAULT_MAX_MEGAPIXELS
from dit4sr_cli.core.types import Box, Size
from dit4sr_cli.imaging import (
    containers,
    decoders,
    fingerprint,
    metadata,
    reader,
    scratch,
    tiff,
    vips,
    writer,
)
from dit4sr_cli.imaging.decoders import Decoded
from dit4sr_cli.imaging.ifd import Block, Buffer
from dit4sr_cli.imaging.picture import Picture, Pixels
from dit4sr_cli.imaging.placing import explained, whole_file
from dit4sr_cli.imaging.resize import bicubic, bicubic_part
from dit4sr_cli.imaging.source import Guard, contents, kind_of, label_of, undecodable

FORMATS = ("jpeg", "png", "tiff")
"""That can be written a strip at a time; the others end at some 16000 pixels a side anyway."""
_STRIP_BYTES = 8 << 20
_TRANSPOSED, _BOTTOM_UP, _RIGHT_TO_LEFT = (5, 6, 7, 8), (3, 4), (6, 7)


# -------------------------------------------------------------------------- reading


def size_of(source: Path | bytes) -> Size | None:
    """What the header says of a file of one picture; None if it is of several, or unusual."""
    data = contents(source, "")
    kind = kind_of(data, source, "")
    if not decoders.is_for_vips(kind) or (kind == "tiff" and _num_pictures(data) != 1):
        return None
    image = pyvips.Image.new_from_source(_source(source, data), "", access="sequential")
    return Size(image.width, image.height)


def read(
    source: Path | bytes,
    folder: Path,
    *,
    name: str | None = None,
    max_megapixels: float = DEFAULT_MAX_MEGAPIXELS,
) -> Picture:
    """The first picture as `reader.read` gives it, but kept in a file in `folder`.

    TIFF, PNG and JPEG are read by strips; other formats at once, and then put there.

    Raises:
        InputError: it cannot be read whole.
        OutputError: the folder has no room.
    """
    label = label_of(source, name)
    data = contents(source, label)
    kind = kind_of(data, source, label)
    if kind in FORMATS:
        admit = Guard(label, max_megapixels).admit
        try:
            header, image = _open(source, data, kind)
            admit(image.width, image.height)
            if _is_plain(image):
                short = name or (source.name if isinstance(source, Path) else label)
                return _read_strips(data, header, image, (short, kind), folder)
        except (pyvips.Error, OSError, ValueError, SyntaxError) as error:
            raise undecodable(kind, label, error) from error
    whole = reader.read(source, name=name, max_megapixels=max_megapixels)[0]
    alpha = None if whole.alpha is None else _kept(whole.alpha, folder)
    return replace(whole, pixels=_kept(whole.pixels, folder), alpha=alpha)


def _num_pictures(data: memoryview) -> int:
    block = Block.open(data)
    return len(decoders.shown_pages(list(block.chain()), block.layout))


def _open(source: Path | bytes, data: memoryview, kind: str) -> tuple[Decoded, vips.Image]:
    """The first picture: all but its pixels from the first row of it, and the rest to be read."""
    if kind == "tiff":
        return _open_tiff(source, data)
    image = _opened(source, data, kind)
    header = decoders.decode_single(kind, data, image.crop(0, 0, image.width, 1))
    # Opened again: what is read in sequence has no way back to the first row.
    return header, _opened(source, data, kind)


def _open_tiff(source: Path | bytes, data: memoryview) -> tuple[Decoded, vips.Image]:
    block = Block.open(data)
    pages = list(block.chain())
    shown = decoders.shown_pages(pages, block.layout)
    image = _opened(source, data, "tiff", page=shown[0])
    row = image.crop(0, 0, image.width, 1)
    skipped = len(pages) - len(shown)
    header = decoders.decode_page(block, pages[shown[0]], row, skipped=skipped)
    return header, _opened(source, data, "tiff", page=shown[0])


def _opened(source: Path | bytes, data: memoryview, kind: str, **options: object) -> vips.Image:
    return pyvips.Operation.call(
        f"{kind}load_source",
        _source(source, data),
        unlimited=True,
        fail_on="error",
        access="sequential",
        **options,
    )


def _source(source: Path | bytes, data: memoryview) -> pyvips.Source:
    """Of libvips: the file itself, if it can be read twice. pyvips would copy a buffer."""
    if isinstance(source, Path) and isinstance(data.obj, mmap.mmap):
        return pyvips.Source.new_from_file(str(source))
    return pyvips.Source.new_from_memory(data.obj)


def _is_plain(image: vips.Image) -> bool:
    """Whether rows can be had alone; numbers of other kinds are scaled by the picture's largest."""
    return image.format in ("uchar", "ushort") or image.interpretation in ("lab", "labs")


def _read_strips(
    data: memoryview, header: Decoded, image: vips.Image, called: tuple[str, str], folder: Path
) -> Picture:
    """`called`: name and kind of the file."""
    height, width = image.height, image.width
    turned = header.orientation in _TRANSPOSED
    upright = (width, height) if turned else (height, width)
    first = reader.as_picture(header, *called)
    pixels = scratch.zeros((*upright, first.pixels.shape[2]), first.pixels.dtype, folder)
    alpha = None if first.alpha is None else scratch.zeros(upright, first.alpha.dtype, folder)
    if header.mode == "lab":
        image = image.colourspace("rgb16")
    region = pyvips.Region.new(image)
    for top, bottom in _strips(height, header.array.nbytes):
        # A region, which keeps what the decoder has beyond the strip; a crop would lose it.
        rows = region.fetch(0, top, width, bottom - top)
        array = np.frombuffer(rows, header.array.dtype).reshape(bottom - top, width, -1)
        strip = reader.as_picture(replace(header, array=array), *called)
        place = _place(header.orientation, top, bottom, height)
        pixels[place] = strip.pixels
        if alpha is not None:
            alpha[place] = strip.alpha
        scratch.rest()
        _rest(data)
    return replace(first, pixels=pixels, alpha=alpha)


def _place(orientation: int, top: int, bottom: int, height: int) -> tuple[slice, slice]:
    """Where rows of the file are in the upright picture: rows or columns of it."""
    if orientation in (*_BOTTOM_UP, *_RIGHT_TO_LEFT):
        top, bottom = height - bottom, height - top
    along = slice(top, bottom)
    return (slice(None), along) if orientation in _TRANSPOSED else (along, slice(None))


def _kept(array: Pixels, folder: Path) -> Pixels:
    kept = scratch.zeros(array.shape, array.dtype, folder)
    for top, bottom in _strips(len(array), array[0].nbytes):
        kept[top:bottom] = array[top:bottom]
        scratch.rest()
    return kept


def _rest(data: memoryview) -> None:
    """Forget what was read of the file itself."""
    if isinstance(data.obj, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
        data.obj.madvise(mmap.MADV_DONTNEED)


# ------------------------------------------------------------------------- resizing


def enlarged(pixels: Pixels, size: tuple[int, int], folder: Path) -> Pixels:
    """`bicubic(pixels, size)`, of [H, W] or [H, W, C], in a file in `folder`."""
    width, height = size
    planes = pixels if pixels.ndim == 3 else pixels[..., None]
    out = scratch.zeros((height, width, planes.shape[2]), pixels.dtype, folder)
    for top, bottom in _strips(height, 8 * width):
        out[top:bottom] = bicubic_part(planes, size, Box(0, top, width, bottom - top))
        scratch.rest()
    return out if pixels.ndim == 3 else out[..., 0]


def thumbnail(pixels: Pixels) -> bytes:
    """`metadata.make_thumbnail`, columns first, a strip at a time."""
    height, width = pixels.shape[:2]
    narrow = max(1, round(width * min(1.0, _ROUGH_SIDE / max(width, height))))
    short = max(1, round(height * min(1.0, _ROUGH_SIDE / max(width, height))))
    strips = []
    for top, bottom in _strips(height, pixels[0].nbytes):
        strips.append(bicubic(pixels[top:bottom], (narrow, bottom - top)))
        scratch.rest()
    return metadata.make_thumbnail(bicubic(np.concatenate(strips), (narrow, short)))


_ROUGH_SIDE = 640  # four times what it ends with


# -------------------------------------------------------------------------- writing


def write(
    picture: Picture,
    target: Path,
    *,
    format: str,
    quality: int = 95,
    overwrite: bool = False,
) -> None:
    """`writer.write` for one large picture, to one of `FORMATS`.

    Raises:
        OutputError: it cannot be written; an existing file is then as it was.
    """
    writer.check_target(target, overwrite=overwrite)
    with explained(target), whole_file(target.resolve(), overwrite=overwrite) as stream:
        write_to(stream, picture, target.resolve().parent, format=format, quality=quality)


def write_to(
    stream: BinaryIO, picture: Picture, folder: Path, *, format: str, quality: int
) -> None:
    """Write to a seekable stream; what does not fit memory is kept in `folder` meanwhile."""
    raster = _raster(picture, format)
    if format == "tiff":
        tiff.write_rasters(stream, [(raster, picture.metadata)])
        return
    image = _image(raster, picture, format, folder)
    pieces = _Pieces(stream, picture, format)
    target = pyvips.TargetCustom()
    target.on_write(pieces.write)
    try:
        if format == "png":
            image.pngsave_target(target, compression=6, filter="paeth", keep="none")
        else:
            full_chroma = writer.has_full_chroma(quality)
            subsample = "off" if full_chroma else "on"
            image.jpegsave_target(target, Q=quality, subsample_mode=subsample, keep="none")
    except pyvips.Error as error:
        raise pieces.error or OutputError(
            f"cannot encode {picture.name} as {format}: {vips.reason(error)}"
        ) from error
    if pieces.error:
        raise pieces.error


def digest(picture: Picture, format: str) -> str:
    """`fingerprint.as_written`, for the formats that lose nothing."""
    raster = _raster(picture, format)
    kind = f"uint{raster.bits}"
    state = fingerprint.start(raster.width, raster.height, raster.bands, kind)
    for top, bottom in _strips(raster.height, raster.width * raster.bands * raster.bits // 8):
        fingerprint.feed(state, raster.read(top, bottom))
    return state.hexdigest()


def _raster(picture: Picture, format: str) -> tiff.Raster:
    """The picture's rows as the format takes them: its own colours, bits and alpha."""

    def read(top: int, bottom: int) -> Pixels:
        alpha = None if picture.alpha is None else picture.alpha[top:bottom]
        strip = replace(picture, pixels=picture.pixels[top:bottom], alpha=alpha)
        array = vips.to_array(writer.as_stored(strip, format))
        scratch.rest()
        return array

    row = read(0, 1)
    return tiff.Raster(picture.width, picture.height, row.shape[2], 8 * row.itemsize, read)


def _image(raster: tiff.Raster, picture: Picture, format: str, folder: Path) -> vips.Image:
    """The raster as libvips reads it, from a file in `folder`."""
    shape = (raster.height, raster.width, raster.bands)
    array = scratch.zeros(shape, np.uint16 if raster.bits == 16 else np.uint8, folder)
    for top, bottom in _strips(raster.height, array[0].nbytes):
        array[top:bottom] = raster.read(top, bottom)
        scratch.rest()
    row = writer.as_stored(_row(picture), format)
    image = pyvips.Image.new_from_memory(
        array.data, raster.width, raster.height, raster.bands, row.format
    )
    return image.copy(interpretation=row.interpretation)


def _row(picture: Picture) -> Picture:
    alpha = None if picture.alpha is None else picture.alpha[:1]
    return replace(picture, pixels=picture.pixels[:1], alpha=alpha)


class _Pieces:
    """Takes a file as libvips encodes it, and puts the metadata behind its first bytes."""

    def __init__(self, stream: BinaryIO, picture: Picture, format: str) -> None:
        self._stream, self._info, self._format = stream, picture.metadata, format
        self._begun = False
        self.error: Exception | None = None
        """What went wrong in a call that libvips made, where nothing can be raised."""

    def write(self, piece: bytes) -> int:
        """Take the next bytes."""
        try:
            for part in [piece] if self._begun else self._with_metadata(piece):
                self._stream.write(part)
        except (OSError, ValueError) as error:
            self.error = error
            return -1
        self._begun = True
        scratch.rest()
        return len(piece)

    def _with_metadata(self, piece: bytes) -> list[Buffer]:
        if self._format == "png":
            return containers.into_png(piece, self._info)
        exif = self._info.exif and metadata.fit_exif(self._info.exif, containers.LARGEST_JPEG_EXIF)
        return containers.into_jpeg(piece, replace(self._info, exif=exif))


def _strips(height: int, row_bytes: int) -> Iterator[tuple[int, int]]:
    """Runs of rows that together are the picture."""
    rows = max(1, _STRIP_BYTES // row_bytes)
    for top in range(0, height, rows):
        yield top, min(height, top + rows)
