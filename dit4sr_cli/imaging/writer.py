"""Pictures to files: encoded once with all they carry, and put in place whole or not at all."""

from __future__ import annotations

import io
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

from PIL import Image as PillowImage

from dit4sr_cli.core.errors import OutputError
from dit4sr_cli.imaging import color, containers, formats, metadata, tiff, vips
from dit4sr_cli.imaging.ifd import Buffer
from dit4sr_cli.imaging.picture import Metadata, Picture, Pixels
from dit4sr_cli.imaging.placing import explained, is_special, whole_file

_FULL_CHROMA_FROM = 90


def write(
    pictures: Sequence[Picture],
    target: Path,
    *,
    format: str,
    quality: int = 95,
    overwrite: bool = False,
) -> None:
    """Write pictures to a file; all of them for TIFF, the first for other formats.

    Args:
        pictures: sRGB; converted to the profile in their metadata.
        target: a symbolic link is followed; a device or pipe is written to directly.
        format: one of `formats.WRITABLE`.
        quality: 1 to 100, for JPEG, WebP and AVIF; WebP is lossless at 100.
        overwrite: whether a file that exists may be replaced.

    Raises:
        OutputError: it cannot be written; an existing file is then as it was.
    """
    check_target(target, overwrite=overwrite)
    with explained(target):
        if is_special(target):
            with target.open("wb") as stream:
                stream.write(encode(pictures, format=format, quality=quality))
        else:
            with whole_file(target.resolve(), overwrite=overwrite) as stream:
                _encode_to(stream, pictures, format, quality)


def encode(pictures: Sequence[Picture], *, format: str, quality: int = 95) -> bytes:
    """The bytes that `write` would put into a file, for standard output.

    Raises:
        OutputError: the format cannot hold the picture.
    """
    stream = io.BytesIO()
    _encode_to(stream, pictures, format, quality)
    return stream.getvalue()


def check_target(target: Path, *, overwrite: bool) -> None:
    """Find out before the work whether `write` would be refused.

    Raises:
        OutputError: it exists, is a folder, or its folder is missing or not writable.
    """
    with explained(target):
        if target.is_dir():
            raise OutputError(f"{target}: is a folder", hint="name a file in it")
        if is_special(target):
            return
        if target.exists() and not overwrite:
            raise OutputError(f"{target}: exists already", hint="use --overwrite to replace it")
        folder = target.resolve().parent
        if not folder.is_dir():
            raise OutputError(f"{target}: there is no folder {folder}", hint="create it first")
    if not os.access(folder, os.W_OK | os.X_OK):
        hint = "check its permissions, or choose another with -o"
        raise OutputError(f"{target}: no permission to write in {folder}", hint=hint)


def losses(picture: Picture, format: str) -> tuple[str, ...]:
    """What the format cannot keep of a picture, one line each, for a warning."""
    info, lost = picture.metadata, []
    if picture.alpha is not None and not formats.can_hold_alpha(format):
        lost.append(f"{format} has no transparency: flattened over white")
    if picture.bits > 8 and not formats.can_hold_16_bit(format):
        lost.append(f"{format} has 8 bits a channel: reduced from {picture.bits}")
    if info.iptc and not formats.can_hold_iptc(format):
        lost.append(f"{format} has no place for IPTC: dropped")
    if info.exif and format == "jpeg":
        fitting = metadata.fit_exif(info.exif, containers.LARGEST_JPEG_EXIF)
        if fitting is None:
            lost.append("EXIF is too large for jpeg: dropped")
        elif fitting != info.exif:
            lost.append("EXIF is too large for jpeg: thumbnail or maker note dropped")
    return tuple(lost)


def has_full_chroma(quality: int) -> bool:
    """Whether JPEG and AVIF of this quality keep colour at full resolution."""
    return quality >= _FULL_CHROMA_FROM


# ------------------------------------------------------------------------- encoding


def _encode_to(stream: BinaryIO, pictures: Sequence[Picture], format: str, quality: int) -> None:
    for picture in pictures:
        formats.check_size(format, picture.width, picture.height)
    try:
        if format == "tiff":
            tiff.write(
                stream, [(as_stored(picture, format), picture.metadata) for picture in pictures]
            )
            return
        for piece in _encoded(pictures[0], format, quality):
            stream.write(piece)
    except (vips.Error, ValueError, KeyError) as error:
        raise OutputError(
            f"cannot encode {pictures[0].name} as {format}: {vips.reason(error)}",
            hint="try another format, PNG for one",
        ) from error


def _encoded(picture: Picture, format: str, quality: int) -> list[Buffer]:
    image, info = as_stored(picture, format), picture.metadata
    full_chroma = has_full_chroma(quality)
    if format == "jpeg":
        exif = info.exif and metadata.fit_exif(info.exif, containers.LARGEST_JPEG_EXIF)
        data = image.jpegsave_buffer(
            Q=quality,
            subsample_mode="off" if full_chroma else "on",
            keep="none",
        )
        return containers.into_jpeg(data, replace(info, exif=exif))
    if format == "png":
        data = image.pngsave_buffer(compression=6, filter="paeth", keep="none")
        return containers.into_png(data, info)
    if format == "webp":
        lossless = quality == 100
        effort = 2 if lossless else 4  # more takes minutes on a large picture, for little
        data = image.webpsave_buffer(Q=quality, lossless=lossless, effort=effort, keep="none")
        size = (picture.width, picture.height)
        return containers.into_webp(data, info, size, alpha=picture.alpha is not None)
    assert format == "avif", format
    return [_avif(image, info, quality, full_chroma=full_chroma)]


def _avif(image: vips.Image, info: Metadata, quality: int, *, full_chroma: bool) -> bytes:
    """AVIF weaves metadata into its boxes; Pillow puts it there as it is, libvips changes EXIF.

    But for orientation, which is not EXIF's business in AVIF: Pillow would rewrite the block.
    """
    exif = info.exif and metadata.without_orientation(info.exif)
    blocks = {"exif": exif, "xmp": info.xmp, "icc_profile": info.icc}
    out = io.BytesIO()
    array = vips.to_array(image)
    PillowImage.fromarray(array[..., 0] if array.shape[2] == 1 else array).save(
        out,
        "AVIF",
        quality=quality,
        speed=8,  # slower ones take minutes on a large picture, for little
        subsampling="4:4:4" if full_chroma else "4:2:0",
        **{name: block for name, block in blocks.items() if block},
    )
    return out.getvalue()


def as_stored(picture: Picture, format: str) -> vips.Image:
    """The picture as the format takes it: its own colours, bits and alpha."""
    depth = 16 if picture.bits > 8 and formats.can_hold_16_bit(format) else 8
    pixels, alpha, icc = picture.pixels, picture.alpha, picture.metadata.icc
    if alpha is not None and not formats.can_hold_alpha(format):
        pixels, alpha = _over_white(pixels, alpha), None
    if icc is not None and not color.is_srgb(icc):
        pixels = color.from_srgb(pixels, icc, depth=depth)
    image = vips.with_depth(vips.from_array(pixels), depth)
    if alpha is None:
        return image
    return image.bandjoin(vips.with_depth(vips.from_array(alpha), depth))


def _over_white(pixels: Pixels, alpha: Pixels) -> Pixels:
    bits = 8 * pixels.itemsize
    white = 2**bits - 1
    joined = vips.from_array(pixels).bandjoin(vips.with_depth(vips.from_array(alpha), bits))
    return vips.to_array(joined.flatten(background=white, max_alpha=white))
