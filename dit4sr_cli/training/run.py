"""A whole run: photographs from a folder, training with a log, the model's folder at the end."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from dit4sr_cli.core.errors import InputError, OutputError, UsageError
from dit4sr_cli.training import checkpoint
from dit4sr_cli.training.config import TrainConfig
from dit4sr_cli.training.dataset import load_photographs
from dit4sr_cli.training.export import export
from dit4sr_cli.training.loop import Networks, Progress, train, write_log

LOG_NAME = "log.jsonl"
MODEL_NAME = "model"
LOG_EVERY = 10


def run(
    config: TrainConfig,
    photographs: Path,
    output: Path,
    *,
    initial: Path | None = None,
    stop_after: int | None = None,
    observe: Callable[[Progress], None] = lambda progress: None,
) -> Path:
    """Train, or go on where `output` stands; returns the folder that `--model` takes.

    Args:
        config: the recipe.
        photographs: folder of them.
        output: holds the checkpoint, the log and, at the end, the model.
        initial: another run's folder, whose averaged weights this one starts from.
        stop_after: stop at this step and not at the recipe's last.
        observe: hears of every step.

    Raises:
        UsageError: the recipe needs an initial run, and there is none.
        InputError: photographs or a checkpoint cannot be read.
        OutputError: `output` cannot be written to.
    """
    if config.initial_share and initial is None:
        raise UsageError("this recipe goes on from another run", hint="name it with --initial RUN")
    start = None if initial is None else _average_of(initial)
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{output}: {error.strerror}") from error
    pictures = load_photographs(photographs)

    def follow(progress: Progress) -> None:
        if progress.step % LOG_EVERY == 0 or progress.validation:
            write_log(output / LOG_NAME, progress)
        observe(progress)

    average = train(config, pictures, output, initial=start, stop_after=stop_after, observe=follow)
    if start is not None:
        _blend(average, start, config.initial_share)
    export(average, output / MODEL_NAME, name=output.resolve().name)
    return output / MODEL_NAME


def _blend(networks: Networks, other: Mapping[str, Any], share: float) -> None:
    state = networks.state_dict()
    networks.load_state_dict({key: torch.lerp(state[key], other[key], share) for key in state})


def _average_of(run_folder: Path) -> dict[str, Any]:
    state = checkpoint.load(run_folder)
    if state is None:
        raise InputError(f"{run_folder}: no checkpoint ({checkpoint.NAME}) in it")
    average: dict[str, Any] = state["average"]
    return average
