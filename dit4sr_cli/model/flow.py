"""Flow matching: noise schedule, start, Euler step and guidance, as functions of tensors."""

from __future__ import annotations

import math

import torch
from torch import Tensor

TRAIN_TIMESTEPS = 1000


def sigmas(steps: int, shift: float) -> Tensor:
    """Noise levels [steps + 1], float32, from 1 to 0.

    As diffusers' FlowMatchEuler has it: the training table is shifted when it is made, its ends
    are then spread over the steps, and those are shifted once more.
    """
    if steps < 1:
        raise ValueError(f"{steps} sampling steps; at least 1 is needed")
    largest, smallest = _shifted(torch.tensor([1.0, 1 / TRAIN_TIMESTEPS]), shift)
    levels = torch.linspace(largest.item(), smallest.item(), steps, dtype=torch.float64)
    return torch.cat([_shifted(levels, shift), torch.zeros(1)]).float()


def train_sigma(uniform: Tensor, shift: float) -> Tensor:
    """The training table's noise levels at places in 0..1 along it, from most noise to least.

    The table has TRAIN_TIMESTEPS entries and is shifted once (diffusers' FlowMatchEuler).
    """
    place = (uniform * TRAIN_TIMESTEPS).floor().clamp(0, TRAIN_TIMESTEPS - 1)
    return _shifted(1 - place / TRAIN_TIMESTEPS, shift)


def _shifted(levels: Tensor, shift: float) -> Tensor:
    return shift * levels / (1 + (shift - 1) * levels)


def start_latents(lr_latents: Tensor, noise: Tensor, sigma: float, start: str) -> Tensor:
    """Where sampling begins: `noise`, or `lr`: LR latents noised to the first level."""
    return noise if start == "noise" else (1 - sigma) * lr_latents + sigma * noise


def guided(positive: Tensor, negative: Tensor, guidance: float) -> Tensor:
    """Classifier-free guidance."""
    return negative + guidance * (positive - negative)


def clean_estimate(latents: Tensor, velocity: Tensor, sigma: float | Tensor) -> Tensor:
    """What the velocity says the latents are without their noise."""
    return latents - sigma * velocity


def dpm_step(
    latents: Tensor,
    clean: Tensor,
    before: Tensor,
    last: float | None,
    sigma: float,
    following: float,
) -> Tensor:
    """A step of DPM-Solver++(2M) (arXiv 2211.01095, algorithm 2) for alpha = 1 - sigma.

    At both ends of the schedule, where the log of the signal-to-noise ratio has no value, it is
    of first order.

    Args:
        latents: at `sigma`.
        clean: the estimate there.
        before: the estimate of the step before, at `last`.
        last: noise level of that step; None: there was none.
        sigma: this noise level.
        following: the next one.
    """
    if following == 0:
        return clean
    if last is not None and last < 1:
        ratio = (_log_snr(sigma) - _log_snr(last)) / (_log_snr(following) - _log_snr(sigma))
        clean = clean + (clean - before) / (2 * ratio)
    kept = following / sigma
    return kept * latents + ((1 - following) - kept * (1 - sigma)) * clean


def _log_snr(sigma: float) -> float:
    return math.log((1 - sigma) / sigma)


def euler_step(latents: Tensor, velocity: Tensor, sigma: float, following: float) -> Tensor:
    """Move along the velocity from one noise level to the next."""
    return latents + (following - sigma) * velocity
