"""The training loop: steps, moving average, validation, checkpoints; resumes exactly.

Every random choice of step i is a function of the seed and i.
"""

from __future__ import annotations

import json
import math
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Generator, Tensor, nn
from torch.utils.data import DataLoader

from dit4sr_cli.core.errors import Dit4srError, InputError
from dit4sr_cli.model.codec import BlockCodec
from dit4sr_cli.model.transformer import MMDiTControl
from dit4sr_cli.training import checkpoint
from dit4sr_cli.training.config import OptimizerConfig, TrainConfig
from dit4sr_cli.training.dataset import TileDataset
from dit4sr_cli.training.initialise import initialise, measure_statistics
from dit4sr_cli.training.loss import losses, regress

VALIDATION_CROPS = 24


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a run stands; `validation` is (PSNR of the model, PSNR of bicubic) when measured."""

    step: int
    steps: int
    losses: dict[str, float]
    seconds_per_step: float
    validation: tuple[float, float] | None = None


class Networks(nn.Module):
    """What is trained: the transformer and its codec."""

    def __init__(self, config: TrainConfig) -> None:
        super().__init__()
        self.transformer = MMDiTControl(config.transformer)
        self.codec = BlockCodec(config.codec)


def train(
    config: TrainConfig,
    photographs: Sequence[np.ndarray],
    output: Path,
    *,
    observe: Callable[[Progress], None],
    initial: Mapping[str, Any] | None = None,
    stop_after: int | None = None,
    save_every: int = 100,
    validate_every: int = 200,
) -> Networks:
    """Train, or go on from `output`'s checkpoint; returns the averaged networks.

    Raises:
        Dit4srError: the loss is not a number; the last checkpoint stays.
    """
    output.mkdir(parents=True, exist_ok=True)
    held_out = config.data.validation_photographs
    training, validation = photographs[held_out:], photographs[:held_out]
    networks, average = Networks(config), Networks(config)
    optimizer = _optimizer(networks, config.optimizer)
    state = checkpoint.load(output)
    if state is None:
        _start(networks, config, training, initial)
        average.load_state_dict(networks.state_dict())
        step = 0
    else:
        networks.load_state_dict(state["networks"])
        average.load_state_dict(state["average"])
        optimizer.load_state_dict(state["optimizer"])
        step = state["step"]

    end = config.optimizer.steps if stop_after is None else min(stop_after, config.optimizer.steps)
    crops = config.optimizer.batch // config.data.tiles_per_crop
    dataset = _dataset(config, training, length=config.optimizer.steps * crops)
    started, first = time.monotonic(), step
    for original, enlarged in _batches(dataset, crops, step, end):
        parts = _train_step(networks, optimizer, config, original, enlarged, step)
        _update_average(average, networks, config.optimizer.ema, step)
        step += 1
        measured = None
        if step % validate_every == 0 or step == end:
            measured = validate(average, config, validation)
        if step % save_every == 0 or step == end:
            _save(output, networks, average, optimizer, step)
        pace = (time.monotonic() - started) / (step - first)
        observe(Progress(step, config.optimizer.steps, parts, pace, measured))
    return average


def _start(
    networks: Networks,
    config: TrainConfig,
    photographs: Sequence[np.ndarray],
    initial: Mapping[str, Any] | None,
) -> None:
    if initial is None:
        initialise(networks, config)
        measure_statistics(networks, _dataset(config, photographs, length=64))
        return
    try:
        networks.load_state_dict(initial)
    except RuntimeError as error:
        raise InputError("the initial weights are of another architecture") from error


def _train_step(
    networks: Networks,
    optimizer: torch.optim.Optimizer,
    config: TrainConfig,
    original: Tensor,
    enlarged: Tensor,
    step: int,
) -> dict[str, float]:
    generator = Generator().manual_seed(config.seed * 7_368_787 + step)
    parts = losses(networks.transformer, networks.codec, original, enlarged, config.loss, generator)
    total = parts.pixel + parts.flow
    if step >= config.loss.texture_from:
        total = total + config.loss.texture_weight * parts.texture
        total = total + config.loss.grid_weight * parts.grid
    if not torch.isfinite(total):
        raise Dit4srError(
            f"the loss at step {step} is not a number",
            hint="the last checkpoint is kept; lower the learning rate and go on from it",
        )
    total.backward()
    nn.utils.clip_grad_norm_(networks.parameters(), config.optimizer.clip)
    rate = config.optimizer.learning_rate * _schedule(step, config.optimizer)
    for group in optimizer.param_groups:
        group["lr"] = rate
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    return {
        "pixel": parts.pixel.item(),
        "flow": parts.flow.item(),
        "texture": parts.texture.item(),
        "grid": parts.grid.item(),
    }


def _schedule(step: int, config: OptimizerConfig) -> float:
    """Linear warm-up, then half a cosine to zero."""
    if step < config.warmup:
        return (step + 1) / config.warmup
    done = (step - config.warmup) / max(1, config.steps - config.warmup)
    return 0.5 * (1 + math.cos(math.pi * min(1.0, done)))


def _optimizer(networks: Networks, config: OptimizerConfig) -> torch.optim.Optimizer:
    return torch.optim.AdamW(
        networks.parameters(),
        lr=config.learning_rate,
        betas=(0.9, 0.98),
        weight_decay=config.weight_decay,
    )


@torch.no_grad()
def _update_average(average: Networks, networks: Networks, decay: float, step: int) -> None:
    # Early on the average would be mostly the start: let it follow faster.
    decay = min(decay, (1 + step) / (10 + step))
    for target, source in zip(average.parameters(), networks.parameters(), strict=True):
        target.lerp_(source, 1 - decay)


@torch.no_grad()
def validate(
    networks: Networks, config: TrainConfig, photographs: Sequence[np.ndarray]
) -> tuple[float, float]:
    """Mean PSNR over fixed held-out crops: of the model in one step, and of bicubic."""
    dataset = _dataset(config, photographs, length=VALIDATION_CROPS)
    ours, bicubic = [], []
    for index in range(VALIDATION_CROPS):
        original, enlarged = (_to_signed(t) for t in dataset[index])
        restored = networks.codec.decode(
            regress(networks.transformer, networks.codec.encode(enlarged))
        )
        ours.append(_psnr(restored.clamp(-1, 1), original))
        bicubic.append(_psnr(enlarged, original))
    return float(np.mean(ours)), float(np.mean(bicubic))


def _psnr(a: Tensor, b: Tensor) -> float:
    return -10 * math.log10(float(((a - b) / 2).square().mean()) + 1e-10)


def _dataset(config: TrainConfig, photographs: Sequence[np.ndarray], length: int) -> TileDataset:
    return TileDataset(
        photographs,
        seed=config.seed,
        tile=config.data.tile,
        tiles_per_crop=config.data.tiles_per_crop,
        light_share=config.data.light_share,
        length=length,
    )


def _batches(
    dataset: TileDataset, crops: int, start: int, end: int
) -> Iterator[tuple[Tensor, Tensor]]:
    """Batches of steps start..end in -1..1, made ahead by one worker process."""
    loader: Any = DataLoader(
        dataset,
        batch_size=crops,
        sampler=range(start * crops, end * crops),
        num_workers=1,
        prefetch_factor=4,
        worker_init_fn=_ignore_interrupt,
    )
    for original, enlarged in loader:
        yield _to_signed(original.flatten(0, 1)), _to_signed(enlarged.flatten(0, 1))


def _ignore_interrupt(worker: int) -> None:
    """Ctrl-C is for the main process, which then ends its workers."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _to_signed(image: Tensor) -> Tensor:
    return image.float() / 127.5 - 1


def _save(
    output: Path,
    networks: Networks,
    average: Networks,
    optimizer: torch.optim.Optimizer,
    step: int,
) -> None:
    checkpoint.save(
        output,
        {
            "networks": networks.state_dict(),
            "average": average.state_dict(),
            "optimizer": optimizer.state_dict(),
            "step": step,
        },
    )


def write_log(path: Path, progress: Progress) -> None:
    """Append one JSON line."""
    line = {
        "step": progress.step,
        **{key: round(value, 5) for key, value in progress.losses.items()},
        "seconds_per_step": round(progress.seconds_per_step, 4),
        "validation": progress.validation,
    }
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")
