"""accelerate, set up for a run: device, processes, mixed precision, TensorBoard."""

from __future__ import annotations

import atexit
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from dit4sr_cli.core.errors import UsageError
from dit4sr_cli.core.types import DeviceChoice
from dit4sr_cli.pipeline.device import pick_device
from dit4sr_cli.training.config import TrainConfig, table_fields

if TYPE_CHECKING:
    from accelerate import Accelerator

EXTRA = "pip install 'dit4sr[train]'"
BOARD = "tensorboard"


def make_accelerator(
    config: TrainConfig, output: Path, device: DeviceChoice | str = DeviceChoice.AUTO
) -> Accelerator:
    """The engine of a run; under torchrun or `accelerate launch`, one of several.

    Raises:
        UsageError: accelerate is not installed, the device is not here, or the batch cannot be
            shared evenly.
    """
    try:
        from accelerate import Accelerator
        from accelerate.state import AcceleratorState
        from accelerate.utils import DistributedDataParallelKwargs, ProjectConfiguration
    except ImportError as error:
        raise UsageError("training needs the package accelerate", hint=EXTRA) from error
    # A process may train more than once, and not always in the same precision.
    AcceleratorState._reset_state()
    engine = Accelerator(
        cpu=pick_device(device).type == "cpu",
        mixed_precision=config.compute.mixed_precision,
        gradient_accumulation_steps=config.compute.accumulation,
        log_with=BOARD if _has_board() else None,
        project_config=ProjectConfiguration(project_dir=str(output), logging_dir=str(output)),
        # Some wirings leave layers of the published layout unused.
        kwargs_handlers=[DistributedDataParallelKwargs(find_unused_parameters=True)],
        step_scheduler_with_optimizer=False,
    )
    pieces = engine.num_processes * config.compute.accumulation * config.samples_per_item
    if config.optimizer.batch % pieces:
        raise UsageError(
            f"a batch of {config.optimizer.batch} cannot be shared evenly: {engine.num_processes}"
            f" processes x {config.compute.accumulation} parts x {config.samples_per_item} tiles"
            f" of a crop",
            hint=f"set [optimizer] batch to a multiple of {pieces}",
        )
    return engine


def close(engine: Accelerator) -> None:
    """End a run's log. Its processes keep in touch to their end: another run may follow."""
    for tracker in engine.trackers:
        tracker.finish()
    if engine.num_processes > 1:
        _part_at_exit()


@cache
def _part_at_exit() -> None:
    from torch import distributed

    atexit.register(lambda: distributed.is_initialized() and distributed.destroy_process_group())


def start_board(engine: Accelerator, config: TrainConfig) -> None:
    """Open TensorBoard's log, in `tensorboard/` of the run's folder, where it is installed."""
    if engine.log_with:
        settings = {name: _plain(value) for name, value in table_fields(config).items()}
        engine.init_trackers(BOARD, config=settings)


def log_figures(engine: Accelerator, figures: dict[str, float], step: int) -> None:
    """Draw figures over steps."""
    engine.log(figures, step=step)


def log_pictures(engine: Accelerator, pictures: list[Tensor], step: int) -> None:
    """Show pictures [3, H, W] in 0..1."""
    for tracker in engine.trackers:
        if tracker.name == BOARD and pictures:
            tracker.writer.add_images("validation", torch.stack(pictures), global_step=step)


def _has_board() -> bool:
    import importlib.util

    return importlib.util.find_spec(BOARD) is not None


def _plain(value: Any) -> int | float | str | bool:
    return value if isinstance(value, (int, float, str, bool)) else str(value)
