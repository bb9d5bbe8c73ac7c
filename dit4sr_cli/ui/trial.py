"""A part of a photograph with the chosen settings, in moments, as the whole run would make it."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from dit4sr_cli.core import events
from dit4sr_cli.core.types import Box, Size
from dit4sr_cli.core.words import as_time
from dit4sr_cli.jobs.plan import Request
from dit4sr_cli.ui import pictures
from dit4sr_cli.ui.desk import Photo, Trial

if TYPE_CHECKING:
    from dit4sr_cli.imaging.picture import Pixels
    from dit4sr_cli.jobs.upscale import Loader

PART = Size(128, 128)
"""Pixels of the photograph that are tried."""


def try_part(
    photo: Photo, request: Request, words: str, load: Loader, observe: events.Observer
) -> Trial:
    """Enlarge the part around the photograph's spot, and keep both for the browser.

    Raises:
        Dit4srError: as the whole run would.
    """
    from dit4sr_cli.jobs import preview

    name = secrets.token_hex(4)
    sheet = photo.folder / f"trial-{name}.png"
    try:
        made = preview.run(
            preview.Request(
                source=request.source,
                points=(photo.spot,),
                size=PART,
                upscale=request.upscale,
                model=request.model,
                caption=request.caption,
                target=sheet,
                max_megapixels=request.output.max_megapixels,
            ),
            load=load,
            observe=observe,
        )
    finally:
        sheet.unlink(missing_ok=True)
    [cell], [plain] = made.cells, made.inputs
    paths = [photo.folder / f"trial-{name}-{which}.jpg" for which in ("before", "after")]
    for path, pixels in zip(paths, (_cut(made.sheet, plain), cell.pixels), strict=True):
        path.write_bytes(pictures.as_jpeg(pixels))
    size = Size(cell.pixels.shape[1], cell.pixels.shape[0])
    words += f"; the whole takes about {as_time(cell.whole_seconds)}"
    return Trial(before=paths[0], after=paths[1], size=size, words=words)


def _cut(sheet: Pixels, box: Box) -> Pixels:
    return sheet[box.y : box.y + box.height, box.x : box.x + box.width]
