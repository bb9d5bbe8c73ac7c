"""Step reuse: what a tile's blocks added at an earlier step, taken again while little changes.

Shapes: B tiles at once, N tokens of one tile, D width.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(slots=True)
class Reuse:
    """What some tiles' blocks did at an earlier step, to be taken again while little changes.

    The first block is always computed: how far its work moved says whether that of the others is
    worth computing (first-block cache).

    Args:
        threshold: of that movement, relative to the work itself.
        first: work of the first block when the others were last computed, [B, N, D].
        others: what they added then, [B, N, D].
    """

    threshold: float
    first: Tensor | None = None
    others: Tensor | None = None

    def stale(self, work: Tensor) -> Tensor:
        """Which tiles have to be computed, [B]."""
        if self.first is None:
            return torch.ones(len(work), dtype=torch.bool, device=work.device)
        moved = (work - self.first).abs().mean(dim=(1, 2))
        return moved > self.threshold * self.first.abs().mean(dim=(1, 2))

    def renew(self, stale: Tensor, work: Tensor, others: Tensor) -> None:
        """Keep what was computed for stale tiles."""
        if self.first is None or self.others is None:
            self.first, self.others = work, others
        else:
            self.first[stale], self.others[stale] = work[stale], others
