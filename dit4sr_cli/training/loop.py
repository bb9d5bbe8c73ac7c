"""The training loop: steps, moving average, validation, checkpoints; resumes exactly.

Every random choice about a sample is a function of the seed and the sample's number, so a run is
the same however often it stopped, and up to rounding however many processes share its batches.
"""

from __future__ import annotations

import json
import math
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from dit4sr_cli.core.errors import Dit4srError, InputError
from dit4sr_cli.training import checkpoint, engine
from dit4sr_cli.training.average import Average
from dit4sr_cli.training.config import OptimizerConfig, TrainConfig
from dit4sr_cli.training.drawing import Drawing
from dit4sr_cli.training.flow import Flow
from dit4sr_cli.training.objective import parameter_groups
from dit4sr_cli.training.regression import Regression
from dit4sr_cli.training.share import Share, shares
from dit4sr_cli.training.source import Source, batched
from dit4sr_cli.training.start import trained_state
from dit4sr_cli.training.validation import Validation, save_pictures, validate

if TYPE_CHECKING:
    from accelerate import Accelerator


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a run stands; `validation` are figures of held-out samples, when measured."""

    step: int
    steps: int
    losses: dict[str, float]
    seconds_per_step: float
    validation: dict[str, float] | None = None


class Run:
    """A run's state: what is trained, its average and its optimizer, at a step."""

    def __init__(
        self,
        objective: Regression | Drawing | Flow,
        config: TrainConfig,
        accelerator: Accelerator,
        output: Path,
    ) -> None:
        self.config, self.accelerator, self.output = config, accelerator, output
        self.objective = objective.to(accelerator.device)
        self.networks = objective.networks
        self.adversary = objective.adversary if isinstance(objective, Drawing) else None
        self.average = Average(self.networks, config.optimizer.ema)
        optimizer = _optimizer(objective, config)
        self.wrapped, self.optimizer = accelerator.prepare(self.objective, optimizer)
        self.step = 0
        self._saved = 0
        self._is_whole = True

    def resume(self) -> None:
        """Go on from the folder's checkpoint, if there is one.

        Raises:
            InputError: it is damaged, or of another recipe.
        """
        state = checkpoint.load(self.output)
        if state is None:
            return
        try:
            self.networks.load_state_dict(state["networks"], strict=False)
            self.average.load(state["average"])
            if self.adversary is not None:
                self.adversary.load_state_dict(state["adversary"])
            self.optimizer.load_state_dict(state["optimizer"])
        except (KeyError, ValueError, RuntimeError) as error:
            raise InputError(
                f"{self.output / checkpoint.NAME}: of another recipe",
                hint="give each recipe a folder of its own",
            ) from error
        if self.accelerator.scaler is not None and state.get("scaler"):
            self.accelerator.scaler.load_state_dict(state["scaler"])
        self.step = self._saved = state["step"]

    def advance(self, batches: Iterator[dict[str, Tensor]]) -> dict[str, float]:
        """Take one step; the parts of its loss, over all processes.

        Raises:
            Dit4srError: the loss is not a number; the weights are as before.
        """
        accelerator, settings = self.accelerator, self.config.optimizer
        rate = settings.learning_rate * _schedule(self.step, settings)
        for group in self.optimizer.param_groups:
            group["lr"] = rate * group.get("share", 1.0)
        parts: dict[str, Tensor] = {}
        for share in self.pieces():
            with accelerator.accumulate(self.wrapped):
                found = self._losses(next(batches), share)
                for name, value in found.items():
                    parts[name] = (
                        parts.get(name, 0) + value.detach() / self.config.compute.accumulation
                    )
                accelerator.backward(found["total"])
                if accelerator.sync_gradients:
                    means = self._means(parts)
                    accelerator.clip_grad_norm_(self.networks.parameters(), settings.clip)
                    self._is_whole = False
                self.optimizer.step()
                self.optimizer.zero_grad(set_to_none=True)
        self.average.update(self.step)
        self.step += 1
        self._is_whole = True
        return means

    def save_if_whole(self) -> None:
        """What can be done when the run is stopped: unless weights were changing just then."""
        if self._is_whole:
            self.save()

    def validate(self, source: Source) -> Validation:
        """Measure and show the averaged weights; the main process does."""
        found = Validation({})
        if self.accelerator.is_main_process:
            with self.average.applied(), self.accelerator.autocast():
                found = validate(
                    self.objective, source, self.config.validation, self.accelerator.device
                )
            save_pictures(found.pictures, self.output, self.step)
            engine.log_pictures(self.accelerator, found.pictures, self.step)
        self.accelerator.wait_for_everyone()
        return found

    def save(self) -> None:
        """Write the checkpoint; the main process does."""
        if self.accelerator.is_main_process and self.step != self._saved:
            scaler = self.accelerator.scaler
            checkpoint.save(
                self.output,
                {
                    "networks": trained_state(self.networks),
                    "average": self.average.state,
                    "adversary": None if self.adversary is None else self.adversary.state_dict(),
                    "optimizer": self.optimizer.state_dict(),
                    "scaler": None if scaler is None else scaler.state_dict(),
                    "step": self.step,
                },
            )
        self._saved = self.step

    def pieces(self) -> Iterator[Share]:
        """Its shares of every step's batch."""
        world, rank = self.accelerator.num_processes, self.accelerator.process_index
        return shares(self.config.optimizer.batch, world, rank, self.config.compute.accumulation)

    def _losses(self, batch: Mapping[str, Tensor], share: Share) -> dict[str, Tensor]:
        device = self.accelerator.device
        batch = {name: tensor.to(device, non_blocking=True) for name, tensor in batch.items()}
        found: dict[str, Tensor] = self.wrapped(batch, share, self.step)
        return found

    def _means(self, parts: Mapping[str, Tensor]) -> dict[str, float]:
        names = sorted(parts)
        values = torch.stack([parts[name].float() for name in names])
        means: list[float] = self.accelerator.reduce(values, reduction="mean").tolist()
        found = dict(zip(names, means, strict=True))
        if not math.isfinite(found["total"]):
            raise Dit4srError(
                f"the loss at step {self.step} is not a number",
                hint="the last checkpoint is kept; lower the learning rate and go on from it",
            )
        return found


def train(
    run: Run,
    source: Source,
    *,
    observe: Callable[[Progress], None],
    stop_after: int | None = None,
) -> None:
    """Take steps from where the run stands to its end; what stops it in between is saved first.

    Raises:
        Dit4srError: the loss is not a number; the last checkpoint stays.
    """
    config = run.config
    steps = config.optimizer.steps
    end = steps if stop_after is None else min(stop_after, steps)
    started, first = time.monotonic(), run.step
    batches = _batches(run, source, end)
    try:
        while run.step < end:
            losses, step = run.advance(batches), run.step
            measured = None
            if step % config.validation.every == 0 or step == end:
                measured = run.validate(source).figures
            if step % config.save_every == 0 or step == end:
                run.save()
            pace = (time.monotonic() - started) / (step - first)
            observe(Progress(step, steps, losses, pace, measured))
    except Exception:
        raise
    except BaseException:  # a signal
        run.save_if_whole()
        raise


def _batches(run: Run, source: Source, end: int) -> Iterator[dict[str, Tensor]]:
    """This process's pieces of the steps to come, made ahead by worker processes."""
    per_item, workers = run.config.samples_per_item, run.config.data.workers
    pieces = list(run.pieces())
    items = (
        [sample // per_item for sample in share.samples(step)[::per_item]]
        for step in range(run.step, end)
        for share in pieces
    )
    loader: Any = DataLoader(
        source.training,
        batch_sampler=items,
        collate_fn=batched,
        num_workers=workers,
        prefetch_factor=4 if workers else None,
        worker_init_fn=_ignore_interrupt,
        pin_memory=run.accelerator.device.type == "cuda",
    )
    return iter(loader)


def _ignore_interrupt(worker: int) -> None:
    """Ctrl-C is for the main process, which then ends its workers."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _optimizer(
    objective: Regression | Drawing | Flow, config: TrainConfig
) -> torch.optim.Optimizer:
    settings = config.optimizer
    return torch.optim.AdamW(
        parameter_groups(objective, config),
        lr=settings.learning_rate,
        betas=(settings.beta1, settings.beta2),
        weight_decay=settings.weight_decay,
    )


def _schedule(step: int, config: OptimizerConfig) -> float:
    """Linear warm-up, then half a cosine to zero, or all of the rate."""
    if step < config.warmup:
        return (step + 1) / config.warmup
    if config.schedule == "constant":
        return 1.0
    done = (step - config.warmup) / max(1, config.steps - config.warmup)
    return 0.5 * (1 + math.cos(math.pi * min(1.0, done)))


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
