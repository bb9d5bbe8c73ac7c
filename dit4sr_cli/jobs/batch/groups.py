"""Gathers small pictures of one size, which go through the model together.

A call of the model costs something whatever its size: a picture that fills no call shares one with
others. Each still comes out as it would alone, but for the rounding of sums in another order: at
most one level of 255 in a few pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from dit4sr_cli.core.types import Size
from dit4sr_cli.jobs.batch.request import Job, Request

if TYPE_CHECKING:
    from dit4sr_cli.model.config import TransformerConfig
    from dit4sr_cli.weights.resolve import Resolved

LARGEST_FILE = 4 << 20
"""Bytes: what a picture small enough to share a call may take on disk; others are not looked at."""
MOST = 16
"""Pictures at once: they are all in memory."""


def gathered(jobs: Sequence[Job], request: Request, model: Resolved) -> list[list[Job]]:
    """The jobs, each alone or with others of its size, in the order of the first of each group."""
    groups: list[list[Job]] = []
    open_ones: dict[Size, list[Job]] = {}
    config = _config(model)
    for job in jobs:
        size = _size(job.source, request)
        most = _most(size, request, model, config) if size else 1
        group = open_ones.get(size) if size else None
        if group is None:
            group = []
            groups.append(group)
        group.append(job)
        if size:
            open_ones[size] = group
            if len(group) >= most:
                del open_ones[size]
    return groups


def _most(size: Size, request: Request, model: Resolved, config: TransformerConfig) -> int:
    """How many pictures of this size are worth a call."""
    from dit4sr_cli.core.errors import UsageError
    from dit4sr_cli.jobs.sampling import output_size, tiles_of
    from dit4sr_cli.pipeline.restore import tiles_at_once

    try:
        factor, _ = output_size(size, request.upscale)
        tiles = tiles_of(size, factor, request.upscale, model.spec)
    except UsageError:  # for the run itself to say
        return 1
    at_once = tiles_at_once(config, tiles[0].width, tiles[0].height)
    return max(1, min(MOST, at_once // len(tiles)))


def _config(model: Resolved) -> TransformerConfig:
    from dit4sr_cli.weights.transformer import read_config

    return read_config(model.folder / "transformer")


def _size(path: Path, request: Request) -> Size | None:
    """What the file says of itself; None: it is large, has pages, or says nothing that is sure."""
    from dit4sr_cli.jobs.estimate import read_header

    try:
        if path.stat().st_size > LARGEST_FILE:
            return None
        header = read_header(path, max_megapixels=request.output.max_megapixels)
    except Exception:  # decoders raise what they like; reading it will say why
        return None
    return header.size if header.pages == 1 else None
