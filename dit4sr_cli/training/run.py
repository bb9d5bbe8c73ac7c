"""A whole run: data from a folder, training with a log, the model's folder at the end."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from torch import Tensor

from dit4sr_cli.core.errors import InputError, ModelError, OutputError, UsageError
from dit4sr_cli.core.types import DeviceChoice
from dit4sr_cli.pipeline.components import Codec
from dit4sr_cli.training import checkpoint, engine, loop
from dit4sr_cli.training.config import TrainConfig
from dit4sr_cli.training.export import export
from dit4sr_cli.training.initialise import initialise, initialise_drawing, measure_statistics
from dit4sr_cli.training.loop import Progress, Run, write_log
from dit4sr_cli.training.networks import Networks, load_start
from dit4sr_cli.training.objective import build
from dit4sr_cli.training.source import Source, open_source
from dit4sr_cli.training.start import vae_folder
from dit4sr_cli.weights.reader import read_state_dict
from dit4sr_cli.weights.spec import FILE_NAME

LOG_NAME = "log.jsonl"
MODEL_NAME = "model"
LOG_EVERY = 10
_MEASURED = 64
"""Items from which the scales of channels are measured."""


def run(
    config: TrainConfig,
    data: Path,
    output: Path,
    *,
    initial: Path | None = None,
    stop_after: int | None = None,
    device: DeviceChoice | str = DeviceChoice.AUTO,
    observe: Callable[[Progress], None] = lambda progress: None,
) -> Path:
    """Train, or go on where `output` stands; returns the folder that `--model` takes.

    Args:
        config: the recipe.
        data: folder of photographs, or of latents that were prepared.
        output: holds the checkpoint, the log and, at the end, the model.
        initial: another run's folder, whose averaged weights this one starts from; or a model's.
        stop_after: stop at this step and not at the recipe's last.
        device: where to train; several processes share a batch where torchrun started them.
        observe: hears of every step, in the main process.

    Raises:
        UsageError: the recipe needs an initial run, and there is none; or it cannot be run here.
        InputError: data or a checkpoint cannot be read.
        ModelError: the weights that the recipe starts from are not there.
        OutputError: `output` cannot be written to.
    """
    needs_initial = config.initial_share or config.objective == "drawing"
    if needs_initial and initial is None:
        raise UsageError("this recipe goes on from another run", hint="name it with --initial RUN")
    start = None if initial is None else averaged(initial)
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{output}: {error.strerror}") from error
    accelerator = engine.make_accelerator(config, output, device)
    source = open_source(config, data)
    networks = _networks(config, source, start, resumes=checkpoint.exists(output))
    codec = _codec(config, networks, accelerator.device)
    objective = build(networks, config, source.null, codec)
    state = Run(objective, config, accelerator, output)
    state.resume()
    engine.start_board(accelerator, config)

    def follow(progress: Progress) -> None:
        if not accelerator.is_main_process:
            return
        if progress.step % LOG_EVERY == 0 or progress.validation:
            write_log(output / LOG_NAME, progress)
            engine.log_figures(accelerator, _figures(progress), progress.step)
        observe(progress)

    try:
        loop.train(state, source, observe=follow, stop_after=stop_after)
        if accelerator.is_main_process:
            with state.average.applied():
                _export(state, start, output)
        accelerator.wait_for_everyone()
    finally:
        engine.close(accelerator)
    return output / MODEL_NAME


def averaged(run_folder: Path) -> dict[str, Tensor]:
    """The averaged weights of another run, and what it measured; or those of a model's folder.

    Raises:
        InputError: there is no checkpoint, or a damaged one.
    """
    if (run_folder / FILE_NAME).is_file():
        return {
            f"{part}.{name}": value.float()
            for part in ("transformer", "codec")
            for name, value in read_state_dict(run_folder / part).items()
        }
    state = checkpoint.load(run_folder)
    if state is None:
        raise InputError(f"{run_folder}: no checkpoint ({checkpoint.NAME}) in it")
    return {**state["networks"], **state["average"]}


def _networks(
    config: TrainConfig, source: Source, start: Mapping[str, Tensor] | None, *, resumes: bool
) -> Networks:
    networks = Networks(config)
    load_start(networks, config)
    if start is not None:
        try:
            networks.load_state_dict(
                {**_drawing(networks, config), **start}, strict=not config.start.base
            )
        except RuntimeError as error:
            raise InputError("the initial weights are of another architecture") from error
    elif not config.start.base:
        initialise(networks, config)
        if not resumes:  # what was measured then is in the checkpoint
            measure_statistics(networks, [source.training[i] for i in range(_MEASURED)])
    return networks


def _drawing(networks: Networks, config: TrainConfig) -> dict[str, Tensor]:
    """Start values of a drawing stage, which the run that this one starts from may lack."""
    if not config.codec.draw_width or config.objective == "flow":
        return {}
    initialise_drawing(networks.codec.draw, config.seed)
    values = networks.codec.draw.state_dict(prefix="codec.draw.")
    return {name: value.clone() for name, value in values.items()}


def _codec(config: TrainConfig, networks: Networks, device: torch.device) -> Codec | None:
    """What turns pictures into the latents that are trained on, and back, if it is here."""
    if config.has_block_latents:
        return networks.codec
    folder = vae_folder(config.start.base)
    if folder is None:
        return None
    from dit4sr_cli.pipeline.vae import load_vae

    codec = load_vae(folder, device=device)
    if codec.channels != config.transformer.in_channels:
        raise ModelError(f"{folder}: a VAE of {codec.channels} channels does not fit the recipe's")
    return codec


def _export(state: Run, start: Mapping[str, Tensor] | None, output: Path) -> None:
    networks = state.networks
    if start is not None and state.config.initial_share:
        _blend(networks, start, state.config.initial_share)
    export(networks, state.config, output / MODEL_NAME, name=output.resolve().name)


@torch.no_grad()
def _blend(networks: Networks, other: Mapping[str, Tensor], share: float) -> None:
    for name, parameter in networks.named_parameters():
        if parameter.requires_grad:
            parameter.data = torch.lerp(parameter.data, other[name].to(parameter.device), share)


def _figures(progress: Progress) -> dict[str, float]:
    found = {f"loss/{name}": value for name, value in progress.losses.items()}
    found |= {f"validation/{name}": value for name, value in (progress.validation or {}).items()}
    return {**found, "seconds_per_step": progress.seconds_per_step}
