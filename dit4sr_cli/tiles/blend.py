"""Map a function over tiles and blend the results.

Shapes: B batch of tiles, C channels, H W the whole latent grid, s tile side.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor

from dit4sr_cli.core.types import Box, Grid
from dit4sr_cli.tiles.window import window


def cut(x: Tensor, box: Box) -> Tensor:
    """The part of [..., H, W] inside a box."""
    return x[..., box.y : box.y + box.height, box.x : box.x + box.width]


def blended(
    function: Callable[[Sequence[Box]], Tensor],
    boxes: Sequence[Box],
    out: Tensor,
    *,
    grid: Grid | str,
    batch: int = 1,
    after: Callable[[int], None] | None = None,
) -> Tensor:
    """Fill `out` [1, C, H, W] with the weighted mean of `function(boxes)` [B, C, s, s].

    Tiles go through `function` in batches; `after(n)` hears how many tiles a batch finished.
    """
    if len(boxes) == 1:
        out.copy_(function(boxes))
        if after:
            after(1)
        return out
    height, width = out.shape[-2:]
    weights = window(boxes[0].height, boxes[0].width, grid).float().to(out.device)
    total = torch.zeros(height, width, device=out.device)
    out.zero_()
    for some in _batches(boxes, batch):
        tiles = function(some)
        for box, tile in zip(some, tiles, strict=True):
            cut(out[0], box).add_(tile * weights)
            cut(total, box).add_(weights)
        if after:
            after(len(some))
    return out.div_(total)


def _batches(boxes: Sequence[Box], size: int) -> Iterator[Sequence[Box]]:
    for start in range(0, len(boxes), size):
        yield boxes[start : start + size]
