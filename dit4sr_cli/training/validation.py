"""How good a run is so far: figures over held-out samples, and pictures of a few of them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean
from typing import Protocol

import torch
from torch import Tensor

from dit4sr_cli.training.config import ValidationConfig
from dit4sr_cli.training.degrade import to_pil
from dit4sr_cli.training.source import Source, batched

FOLDER = "validation"


class Restores(Protocol):
    """What can make pictures of held-out samples."""

    def restore(self, batch: Mapping[str, Tensor], number: int) -> Tensor | None:
        """Pictures [B, 3, H, W] in -1..1; None: what decodes them is not here."""


@dataclass(frozen=True, slots=True)
class Validation:
    """Mean figures by name; `pictures` are [3, H, W] in 0..1: enlarged, restored, original."""

    figures: dict[str, float]
    pictures: list[Tensor] = field(default_factory=list)


@torch.no_grad()
def validate(
    model: Restores, source: Source, config: ValidationConfig, device: torch.device
) -> Validation:
    """Restore held-out samples, always the same, and measure PSNR in dB against bicubic's."""
    ours, bicubic, pictures = [], [], []
    for number in range(min(config.samples, len(source.held_out))):  # type: ignore[arg-type]
        with torch.autocast("cpu", enabled=False):  # a sample is made in full precision
            sample = batched([source.held_out[number]])
        batch = {k: v.to(device) for k, v in sample.items()}
        restored = model.restore(batch, number)
        if restored is None:
            return Validation({})
        original, enlarged = (batch[key].flatten(0, 1) / 255 for key in ("original", "enlarged"))
        restored = ((restored + 1) / 2).clamp(0, 1)
        ours.append(_psnr(restored, original))
        bicubic.append(_psnr(enlarged, original))
        if number < config.pictures:
            pictures.append(torch.cat([enlarged[0], restored[0], original[0]], dim=2).cpu())
    if not ours:
        return Validation({})
    return Validation({"psnr": fmean(ours), "bicubic": fmean(bicubic)}, pictures)


def save_pictures(pictures: list[Tensor], output: Path, step: int) -> None:
    """Write them one above another: `validation/STEP.png`; columns as in `Validation`."""
    if not pictures:
        return
    folder = output / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    to_pil(torch.cat(pictures, dim=1)).save(folder / f"{step:06d}.png")


def _psnr(a: Tensor, b: Tensor) -> float:
    return -10 * math.log10(float((a - b).square().mean()) + 1e-10)
