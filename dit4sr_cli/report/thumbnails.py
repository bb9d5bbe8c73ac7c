"""Small pictures as data URIs; one that cannot be made is left out."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dit4sr_cli.core.types import Size

SIDE = 192
MIDDLE_SIDE = 320
"""Of what is shown pixel by pixel, about: enough to judge, and small enough for a page of many."""
_SMALL_QUALITY, _RESULT_QUALITY = 70, 85
_SOURCE_QUALITY = 95  # its pixels are drawn large
_KINDS = ("jpeg", "png", "tiff", "webp", "gif", "avif")


@dataclass(frozen=True, slots=True)
class Middle:
    """The middle of a result, `size` pixels of it, and the same part of its source."""

    before: str
    after: str
    size: Size


def data_uri(path: Path | None) -> str:
    """A JPEG that fits SIDE x SIDE pixels; empty: no picture, or not one for libvips."""
    from dit4sr_cli.imaging import decoders, vips

    found = None if path is None else _contents(path)
    if found is None:
        return ""
    kind, data = found
    try:
        image: Any = decoders.open_vips(kind, data)
        if kind == "jpeg":  # the decoder can halve, three times: the quick way to something small
            sides = min(image.width, image.height)
            shrink = next((n for n in (8, 4, 2) if sides >= 2 * n * SIDE), 1)
            image = decoders.open_vips(kind, data, shrink=shrink)
        return _jpeg(image, Size(SIDE, SIDE), _SMALL_QUALITY)
    except (ValueError, vips.Error):
        return ""


def middle(before: Path, after: Path) -> Middle | None:
    """Of a source and its result, not reduced; None: one is no picture, or not for libvips."""
    from dit4sr_cli.imaging import decoders, vips

    found = _contents(before), _contents(after)
    if found[0] is None or found[1] is None:
        return None
    try:
        source, result = decoders.open_vips(*found[0]), decoders.open_vips(*found[1])
        scale = max(result.width, result.height) / max(source.width, source.height)
        side = max(round(MIDDLE_SIDE / scale), 1)
        # Exactly in the middle, which stays there however the picture is turned.
        width, height = (side + (whole - side) % 2 for whole in (source.width, source.height))
        part = _middle(source, width, height)
        part = part.copy_memory().autorot()
        other = _middle(result, round(part.width * scale), round(part.height * scale))
        size = Size(other.width, other.height)
        return Middle(
            before=_jpeg(part, Size(part.width, part.height), _SOURCE_QUALITY),
            after=_jpeg(other, size, _RESULT_QUALITY),
            size=size,
        )
    except (ValueError, vips.Error):
        return None


def _contents(path: Path) -> tuple[str, memoryview] | None:
    """Kind and bytes of a file, if it is a picture that libvips reads."""
    from dit4sr_cli.core.errors import Dit4srError
    from dit4sr_cli.imaging import formats
    from dit4sr_cli.imaging.source import contents

    try:
        data = contents(path, str(path))
    except (Dit4srError, OSError, ValueError):
        return None
    kind = formats.sniff(bytes(data[:256]))
    return (kind, data) if kind in _KINDS else None


def _middle(image: Any, width: int, height: int) -> Any:
    width, height = min(width, image.width), min(height, image.height)
    return image.crop((image.width - width) // 2, (image.height - height) // 2, width, height)


def _jpeg(image: Any, within: Size, quality: int) -> str:
    """Upright, in sRGB, on white, as large as fits."""
    image = image.thumbnail_image(within.width, height=within.height, output_profile="srgb")
    if image.hasalpha():
        image = image.flatten(background=255)
    image = image.colourspace("srgb").cast("uchar")
    data: bytes = image.jpegsave_buffer(Q=quality, keep="none")
    return "data:image/jpeg;base64," + base64.b64encode(data).decode("ascii")
