"""Small pictures as data URIs; one that cannot be made is left out."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

SIDE = 112
_KINDS = ("jpeg", "png", "tiff", "webp", "gif", "avif")


def data_uri(path: Path | None) -> str:
    """A JPEG of at most SIDE x SIDE pixels, upright; empty: no picture, or not one for libvips."""
    from dit4sr_cli.core.errors import Dit4srError
    from dit4sr_cli.imaging import formats, vips
    from dit4sr_cli.imaging.source import contents

    if path is None:
        return ""
    try:
        data = contents(path, str(path))
        kind = formats.sniff(bytes(data[:256]))
        if kind not in _KINDS:
            return ""
        small = _small(kind, data)
    except (Dit4srError, OSError, ValueError, vips.Error):
        return ""
    return "data:image/jpeg;base64," + base64.b64encode(small).decode("ascii")


def _small(kind: str, data: memoryview) -> bytes:
    from dit4sr_cli.imaging import decoders

    image: Any = decoders.open_vips(kind, data)
    if kind == "jpeg":  # the decoder can halve, three times: the quick way to something small
        shrink = next((n for n in (8, 4, 2) if min(image.width, image.height) >= 2 * n * SIDE), 1)
        image = decoders.open_vips(kind, data, shrink=shrink)
    image = image.thumbnail_image(SIDE, height=SIDE, size="down")
    if image.hasalpha():
        image = image.flatten(background=255)
    small: bytes = image.colourspace("srgb").cast("uchar").jpegsave_buffer(Q=70, keep="none")
    return small
