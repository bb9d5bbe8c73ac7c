"""Pictures for the screen: reduced as a whole, or a part of them pixel by pixel."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dit4sr_cli.imaging.picture import Pixels

SCREEN_SIDE = 2048
"""Longest side of a whole picture: more than a window shows."""
_QUALITY = 90
_PART_QUALITY = 95  # its pixels are drawn as they are, or larger
_MOST_PIXELS = 1 << 40  # who asks has read the picture before


def whole(path: Path, side: int = SCREEN_SIDE) -> bytes:
    """A JPEG of the first page, upright, in sRGB, on white, that fits side x side pixels.

    Raises:
        InputError: it cannot be read.
    """
    from dit4sr_cli.imaging import vips
    from dit4sr_cli.imaging.source import undecodable

    image = _opened(path)
    within = min(side, max(image.width, image.height))
    try:
        return _jpeg(image.thumbnail_image(within, height=within, output_profile="srgb"), _QUALITY)
    except vips.Error as error:
        raise undecodable("picture", path.name, error) from error


def as_jpeg(pixels: Pixels) -> bytes:
    """A JPEG of sRGB pixels, uint8 or uint16 [H, W, 1 or 3]."""
    from dit4sr_cli.imaging import vips

    return _jpeg(vips.with_depth(vips.from_array(pixels), 8), _PART_QUALITY)


def _opened(path: Path) -> Any:
    """What libvips reads it opens, and reads as far as needed; the rest is read whole."""
    from dit4sr_cli.imaging import decoders, reader, vips
    from dit4sr_cli.imaging.source import contents, kind_of, undecodable

    label = path.name
    data = contents(path, label)
    kind = kind_of(data, path, label)
    if not decoders.is_for_vips(kind):
        [picture, *_] = reader.read(path, name=label, max_megapixels=_MOST_PIXELS)
        return vips.from_array(picture.pixels)
    try:
        return decoders.open_vips(kind, data)
    except vips.Error as error:
        raise undecodable(kind, label, error) from error


def _jpeg(image: Any, quality: int) -> bytes:
    if image.hasalpha():
        image = image.flatten(background=255)
    data: bytes = image.colourspace("srgb").cast("uchar").jpegsave_buffer(Q=quality, keep="none")
    return data
