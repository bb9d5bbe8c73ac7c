"""A whole run: photographs from a folder, training with a log, the model's folder at the end."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from dit4sr_cli.core.errors import InputError, OutputError
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
        InputError: photographs or a checkpoint cannot be read.
        OutputError: `output` cannot be written to.
    """
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
    export(average, output / MODEL_NAME, name=output.resolve().name)
    return output / MODEL_NAME


def export_checkpoint(config: TrainConfig, output: Path, *, name: str) -> Path:
    """Write the model of a run as it stands; returns its folder.

    Raises:
        InputError: there is no checkpoint yet, or it does not fit the recipe.
    """
    networks = Networks(config)
    try:
        networks.load_state_dict(_average_of(output))
    except RuntimeError as error:
        raise InputError(f"{output}: the checkpoint is of another recipe") from error
    export(networks, output / MODEL_NAME, name=name)
    return output / MODEL_NAME


def _average_of(run_folder: Path) -> dict[str, object]:
    state = checkpoint.load(run_folder)
    if state is None:
        raise InputError(f"{run_folder}: no checkpoint ({checkpoint.NAME}) in it")
    average: dict[str, object] = state["average"]
    return average
