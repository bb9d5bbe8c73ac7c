"""The sampling loop: noise levels x tiles, with guidance.

Shapes: N pictures, B boxes at once, C channels, H W latent grid, M text tokens.
"""

from __future__ import annotations

from functools import partial
from itertools import pairwise

import torch
from torch import Tensor

from dit4sr_cli.core.events import Advanced, Observer, PhaseStarted, ignore
from dit4sr_cli.core.types import StartPoint
from dit4sr_cli.model.flow import euler_step, sigmas, start_latents
from dit4sr_cli.pipeline.conditioning import Conditioning
from dit4sr_cli.pipeline.predictor import Network, Predictor
from dit4sr_cli.tiles.blend import blended
from dit4sr_cli.tiles.grid import Tiling, cover


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
    batch: int = 1,
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
        batch: boxes that go through the transformer together, of all pictures; fewer do when
            memory is short.
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
    latents = start_latents(lr_latents, noise, levels[0], StartPoint(start).value)
    boxes = cover(latents.shape[-1], latents.shape[-2], tiling)
    pictures = len(latents)
    observe(PhaseStarted("sampling", total=steps * len(boxes) * pictures))
    velocity = torch.empty_like(latents)
    predict_velocity = Predictor(
        transformer,
        boxes[0],
        levels=levels[:-1],
        positive=positive,
        negative=negative,
        guidance=guidance,
        device=latents.device,
    )
    finished = 0

    def advance(count: int) -> None:
        nonlocal finished
        finished += count * pictures
        observe(Advanced(finished))

    for step, (sigma, following) in enumerate(pairwise(levels)):
        predict = partial(predict_velocity, latents=latents, lr_latents=lr_latents, step=step)
        blended(predict, boxes, velocity, tiling=tiling, batch=batch, after=advance)
        latents = euler_step(latents, velocity, sigma, following)
        # Asking makes the device wait, so not every step: what overflows does so at once.
        if step in (0, steps - 1):
            check_finite(latents)
    return latents


def check_finite(latents: Tensor) -> None:
    """Raise if the precision did not reach.

    Raises:
        OverflowedError: latents are infinite or no numbers.
    """
    if not _are_finite(latents):
        raise OverflowedError("the latents are not finite")


def _are_finite(latents: Tensor) -> bool:
    return bool(latents.isfinite().all())
