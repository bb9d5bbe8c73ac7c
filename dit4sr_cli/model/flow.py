"""Flow matching: noise schedule, start, Euler step and guidance, as functions of tensors."""

from __future__ import annotations

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


def _shifted(levels: Tensor, shift: float) -> Tensor:
    return shift * levels / (1 + (shift - 1) * levels)


def start_latents(lr_latents: Tensor, noise: Tensor, sigma: float, start: str) -> Tensor:
    """Where sampling begins: `noise`, or `lr`: LR latents noised to the first level."""
    return noise if start == "noise" else (1 - sigma) * lr_latents + sigma * noise


def guided(positive: Tensor, negative: Tensor, guidance: float) -> Tensor:
    """Classifier-free guidance."""
    return negative + guidance * (positive - negative)


def euler_step(latents: Tensor, velocity: Tensor, sigma: float, following: float) -> Tensor:
    """Move along the velocity from one noise level to the next."""
    return latents + (following - sigma) * velocity
