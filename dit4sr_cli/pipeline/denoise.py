"""The sampling loop: noise levels x tiles, with guidance.

Shapes: N pictures, B boxes at once, C channels, H W latent grid, M text tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, interpolate

from dit4sr_cli.core.events import Advanced, Observer, PhaseStarted, ignore
from dit4sr_cli.core.shortcuts import NO_SHORTCUTS, Shortcuts
from dit4sr_cli.core.types import Box, Size, Solver, StartPoint
from dit4sr_cli.model.flow import clean_estimate, sigmas, start_latents
from dit4sr_cli.pipeline.conditioning import Conditioning
from dit4sr_cli.pipeline.predictor import Network, Predictor
from dit4sr_cli.pipeline.solver import Stepper
from dit4sr_cli.tiles.blend import blended
from dit4sr_cli.tiles.grid import Tiling, cover
from dit4sr_cli.tiles.part import Part


class OverflowedError(ArithmeticError):
    """Latents became infinite or no numbers: the precision is too narrow for these weights."""


@torch.inference_mode()
def denoise(
    transformer: Network,
    lr_latents: Tensor,
    noise: Tensor,
    *,
    positive: Conditioning,
    negative: Conditioning | None = None,
    steps: int = 40,
    guidance: float = 8.0,
    start: StartPoint | str = StartPoint.NOISE,
    shift: float = 3.0,
    tiling: Tiling | None = None,
    part: Part | None = None,
    batch: int = 1,
    shortcuts: Shortcuts = NO_SHORTCUTS,
    observe: Observer = ignore,
) -> Tensor:
    """Sample the latents of restored pictures.

    Args:
        transformer: predicts the velocity.
        lr_latents: latents of the enlarged LR pictures, shifted and scaled, [N, C, H, W].
        noise: standard normal, same shape, or [1, C, H, W]: the same for all.
        positive: the prompts.
        negative: what guidance leads away from; needed if guidance is above 1.
        steps: Euler steps.
        guidance: classifier-free guidance; 1 or less skips the negative half.
        start: `noise`, or `lr`: LR latents noised to the first level.
        shift: of the noise schedule.
        tiling: how the latents are cut; None: 64 cells with an overlap of 24, evenly spread.
        part: the latents are only this part of a larger grid that `tiling` cuts; cells that none
            of its tiles cover mean nothing.
        batch: boxes that go through the transformer together, of all pictures; fewer do when
            memory is short.
        shortcuts: to a result that is not quite the same.
        observe: hears of every finished tile.

    Returns:
        Latents [N, C, H, W], float32, on the device of `lr_latents`.

    Raises:
        OverflowedError: the transformer's precision does not reach.
    """
    tiling = tiling or Tiling()
    levels = sigmas(steps, shift).tolist()
    lr_latents = lr_latents.float()
    noise = noise.to(lr_latents).expand_as(lr_latents)
    boxes, small_boxes = _boxes(lr_latents, tiling, part)
    coarse = shortcuts.coarse_steps(steps) if small_boxes else 0
    small = _halved(lr_latents) if coarse else lr_latents
    run = _Run(
        Predictor(
            transformer,
            boxes[0],
            levels=levels[:-1],
            positive=positive,
            negative=negative,
            guidance=guidance,
            device=lr_latents.device,
            shortcuts=shortcuts,
        ),
        levels,
        tiling,
        batch,
        shortcuts.solver,
        observe,
    )
    run.announce(len(lr_latents) * (len(small_boxes) * coarse + len(boxes) * (steps - coarse)))
    begin = StartPoint(start).value
    if not coarse:
        latents = start_latents(lr_latents, noise, levels[0], begin)
        return run.integrate(latents, lr_latents, boxes, range(steps))[0]
    # The mean of four cells has half their deviation.
    latents = start_latents(small, _halved(noise) * 2, levels[0], begin)
    _, clean = run.integrate(latents, small, small_boxes, range(coarse))
    clean = interpolate(clean, size=lr_latents.shape[-2:], mode="bicubic")
    latents = start_latents(clean, noise, levels[coarse], StartPoint.LR.value)
    return run.integrate(latents, lr_latents, boxes, range(coarse, steps))[0]


@dataclass(slots=True)
class _Run:
    """What all steps of a run have in common, at any resolution."""

    predictor: Predictor
    levels: Sequence[float]
    tiling: Tiling
    batch: int
    solver: Solver
    observe: Observer
    finished: int = 0

    def announce(self, total: int) -> None:
        """Say how many tiles there will be, in all steps."""
        self.observe(PhaseStarted("sampling", total=total))

    def integrate(
        self, latents: Tensor, lr: Tensor, boxes: Sequence[Box], steps: range
    ) -> tuple[Tensor, Tensor]:
        """Take some steps; the latents after them, and the last estimate of clean ones."""
        stepper = Stepper(self.solver, self.levels, lambda: torch.zeros_like(latents))
        velocity, clean = torch.empty_like(latents), latents
        self.predictor.forget_tiles()
        for step in steps:
            predict = partial(self.predictor, latents=latents, lr_latents=lr, step=step)
            after = partial(self._advance, pictures=len(latents))
            blended(predict, boxes, velocity, tiling=self.tiling, batch=self.batch, after=after)
            if step == steps[-1]:
                clean = clean_estimate(latents, velocity, self.levels[step])
            latents = stepper.advance(latents, velocity, step)
            # Asking makes the device wait, so not every step: what overflows does so at once.
            if step in (steps[0], steps[-1]):
                check_finite(latents)
        return latents, clean

    def _advance(self, count: int, pictures: int) -> None:
        self.finished += count * pictures
        self.observe(Advanced(self.finished))


def _boxes(
    latents: Tensor, tiling: Tiling, part: Part | None
) -> tuple[Sequence[Box], Sequence[Box]]:
    """Tiles at full and at half the resolution; none at half if it cannot be halved."""
    if part is not None:
        return part.tiles, part.coarse
    height, width = latents.shape[-2:]
    halves = cover(width // 2, height // 2, tiling) if can_be_halved(Size(width, height)) else []
    return cover(width, height, tiling), halves


def can_be_halved(size: Size) -> bool:
    """Whether half of the latents is whole tokens, which may be two cells wide."""
    return size.width % 4 == size.height % 4 == 0


def _halved(latents: Tensor) -> Tensor:
    return avg_pool2d(latents, 2)


def check_finite(latents: Tensor) -> None:
    """Raise if the precision did not reach.

    Raises:
        OverflowedError: latents are infinite or no numbers.
    """
    if not _are_finite(latents):
        raise OverflowedError("the latents are not finite")


def _are_finite(latents: Tensor) -> bool:
    return bool(latents.isfinite().all())
