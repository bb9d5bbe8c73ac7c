"""From one noise level to the next, by a solver that may remember the step before.

Shapes: latents in any shape; a part of them is advanced by itself when its rows are named.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import Tensor

from dit4sr_cli.core.types import Solver
from dit4sr_cli.model.flow import clean_estimate, dpm_step, euler_step


class Stepper:
    """Advances latents along the levels of a run."""

    def __init__(self, solver: Solver, levels: Sequence[float], room: Callable[[], Tensor]) -> None:
        """Begin a run.

        Args:
            solver: `dpm` remembers an estimate that is as large as the latents.
            levels: sigmas, the last one included.
            room: makes that room.
        """
        self._levels = levels
        self._before = room() if solver is Solver.DPM and len(levels) > 2 else None

    def advance(
        self, latents: Tensor, velocity: Tensor, step: int, rows: slice = slice(None)
    ) -> Tensor:
        """The latents [..., H, W], or some rows of them, at the level after `step`."""
        sigma, following = self._levels[step], self._levels[step + 1]
        if self._before is None:
            return euler_step(latents, velocity, sigma, following)
        clean = clean_estimate(latents, velocity, sigma)
        before = self._before[..., rows, :]
        last = self._levels[step - 1] if step else None
        advanced = dpm_step(latents, clean, before, last, sigma, following)
        before.copy_(clean)
        return advanced
