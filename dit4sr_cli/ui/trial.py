"""A part of a photograph with the chosen settings, in moments: what the whole would look like."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from dit4sr_cli.core import events
from dit4sr_cli.core.types import Size
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
    """Enlarge the part around the photograph's spot as the whole would be.

    Raises:
        Dit4srError: as the whole would.
    """
    before, after = _enlarged(photo, request, load, observe)
    name = secrets.token_hex(4)
    paths = [photo.folder / f"trial-{name}-{which}.jpg" for which in ("before", "after")]
    for path, pixels in zip(paths, (before, after), strict=True):
        path.write_bytes(pictures.as_jpeg(pixels))
    size = Size(after.shape[1], after.shape[0])
    return Trial(before=paths[0], after=paths[1], size=size, words=words)


def _enlarged(
    photo: Photo, request: Request, load: Loader, observe: events.Observer
) -> tuple[Pixels, Pixels]:
    """The part as it is, and enlarged."""
    from dit4sr_cli.captions.source import NO_CAPTION, Caption
    from dit4sr_cli.imaging import reader

    observe(events.PhaseStarted("reading"))
    page = reader.read(
        request.source, name=request.name, max_megapixels=request.output.max_megapixels
    )[0]
    box = pictures.box_around(photo.spot, PART, photo.size)
    pixels = page.pixels[box.y : box.y + box.height, box.x : box.x + box.width]
    observe(events.PhaseStarted("loading the model"))
    upscaler = load(request.model, observe)
    prompt = request.upscale.prompt
    caption = NO_CAPTION if prompt is None else Caption(prompt, "option")
    if prompt is None and photo.said is not None:
        caption = photo.said
    upscaler.learn(
        [caption.text],
        suffix=request.caption.suffix,
        negative_prompt=request.upscale.negative_prompt,
        guidance=request.upscale.guidance,
    )
    [result] = upscaler.upscale_many(
        [pixels],
        request.upscale,
        captions=[caption],
        suffix=request.caption.suffix,
        observe=observe,
    )
    return pixels, result.pixels
