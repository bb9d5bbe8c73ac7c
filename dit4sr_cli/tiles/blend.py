"""Map a function over tiles and blend the results.

Shapes: B boxes at once, N grids of one size, C channels, H W the whole latent grid, s tile side.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from dit4sr_cli.core.types import Box
from dit4sr_cli.tiles.grid import Tiling
from dit4sr_cli.tiles.window import window


def cut(x: Tensor, box: Box) -> Tensor:
    """The part of [..., H, W] inside a box."""
    return x[..., box.y : box.y + box.height, box.x : box.x + box.width]


def blended(
    function: Callable[[Sequence[Box]], Tensor],
    boxes: Sequence[Box],
    out: Tensor,
    *,
    tiling: Tiling,
    batch: int = 1,
    after: Callable[[int], None] | None = None,
) -> Tensor:
    """Fill `out` [N, C, H, W] with the weighted mean of `function(boxes)` [B * N, C, s, s].

    Boxes go through `function` in batches; `after(n)` hears how many boxes a batch finished. Of N
    grids the function gives the tiles of the first box first. Cells that no box covers become 0.
    """
    if len(boxes) == 1:
        cut(out.zero_(), boxes[0]).copy_(function(boxes))
        if after:
            after(1)
        return out
    height, width = out.shape[-2:]
    weights = window(boxes[0].height, boxes[0].width, tiling).float().to(out.device)
    total = torch.zeros(height, width, device=out.device)
    out.zero_()
    for some in _batches(boxes, batch):
        tiles = function(some)
        for box, tile in zip(some, tiles.unflatten(0, (len(some), -1)), strict=True):
            cut(out, box).add_(tile * weights)
            cut(total, box).add_(weights)
        if after:
            after(len(some))
    return out.div_(total.clamp_(min=torch.finfo(total.dtype).tiny))


def blended_rows(
    function: Callable[[Sequence[Box]], Tensor],
    boxes: Sequence[Box],
    width: int,
    *,
    tiling: Tiling,
    batch: int = 1,
    after: Callable[[int], None] | None = None,
) -> Iterator[tuple[int, Tensor]]:
    """What `blended` makes, from top to bottom: where rows begin, and the rows [C, n, W].

    Rows are given out as soon as no tile to come touches them, so that only as many are held as
    tiles are high; and whoever takes them may overwrite what `function` made them of.
    """
    if len(boxes) == 1:
        tile = function(boxes)[0]
        if after:
            after(1)
        yield 0, tile
        return
    strip = _Strip(width, window(boxes[0].height, boxes[0].width, tiling).float())
    done = 0
    for some in _batches(boxes, batch):
        for box, tile in zip(some, function(some), strict=True):
            strip.add(box, tile)
        done += len(some)
        if after:
            after(len(some))
        bottom = boxes[done].y if done < len(boxes) else some[-1].y + some[-1].height
        if bottom > strip.top:
            yield strip.top, strip.take(bottom)


class _Strip:
    """The weighted sums of tiles in the rows that are not finished yet."""

    def __init__(self, width: int, weights: Tensor) -> None:
        self.top, self._width, self._weights = 0, width, weights
        self._sums = self._total = weights.new_zeros(0, 0, width)

    def add(self, box: Box, tile: Tensor) -> None:
        self._weights = self._weights.to(tile.device)
        self._reach(box.y + box.height - self.top, tile)
        box = replace(box, y=box.y - self.top)
        cut(self._sums, box).add_(tile * self._weights)
        cut(self._total, box).add_(self._weights)

    def take(self, bottom: int) -> Tensor:
        """Weighted means from the top to `bottom`, which is the next top."""
        rows = bottom - self.top
        taken = self._sums[:, :rows] / self._total[:, :rows]
        self._sums, self._total = self._sums[:, rows:], self._total[:, rows:]
        self.top = bottom
        return taken

    def _reach(self, rows: int, tile: Tensor) -> None:
        missing = rows - self._sums.shape[1]
        if missing > 0:
            more = tile.new_zeros(len(tile) + 1, missing, self._width)
            if self._sums.shape[1]:
                self._sums = torch.cat([self._sums, more[1:]], dim=1)
                self._total = torch.cat([self._total, more[:1]], dim=1)
            else:
                self._sums, self._total = more[1:], more[:1]


def _batches(boxes: Sequence[Box], size: int) -> Iterator[Sequence[Box]]:
    for start in range(0, len(boxes), size):
        yield boxes[start : start + size]
