"""What makes sampling faster at the price of another result; see docs/performance.md."""

from __future__ import annotations

from dataclasses import dataclass

from dit4sr_cli.core.types import Solver


@dataclass(frozen=True, slots=True, kw_only=True)
class Shortcuts:
    """Those of a run; the defaults change nothing.

    Args:
        solver: `euler`, or `dpm`, of second order.
        guidance_from, guidance_to: sigmas between which guidance is computed; elsewhere the prompt
            alone leads.
        reuse: how far, relative to itself, the first block's work may move from one step to the
            next for the other blocks' work to be taken from before; 0: never.
        coarse: share of the steps, the first ones, that are done at half the resolution.
    """

    solver: Solver = Solver.EULER
    guidance_from: float = 0.0
    guidance_to: float = 1.0
    reuse: float = 0.0
    coarse: float = 0.0

    def guides(self, sigma: float) -> bool:
        """Whether guidance is computed at this noise level."""
        return self.guidance_from <= sigma <= self.guidance_to

    def coarse_steps(self, steps: int) -> int:
        """How many of the steps are done at half the resolution; never all."""
        return min(steps - 1, round(self.coarse * steps))


NO_SHORTCUTS = Shortcuts()
