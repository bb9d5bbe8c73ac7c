"""`dit4sr train`: a recipe and a folder of photographs to a model."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dit4sr_cli.cli import options
from dit4sr_cli.cli.console import console
from dit4sr_cli.core.types import DeviceChoice

if TYPE_CHECKING:
    from dit4sr_cli.training.loop import Progress

_REPORT_EVERY = 100

Recipe = Annotated[
    str,
    typer.Argument(metavar="CONFIG", help="A recipe in TOML; or paper, nano, nano-finish."),
]
Data = Annotated[
    Path,
    typer.Option(
        "--data", metavar="FOLDER", help="Photographs, or latents that `dit4sr data` prepared."
    ),
]
Run = Annotated[
    Path, typer.Option("--output", "-o", metavar="FOLDER", help="Checkpoint, log and model.")
]
Initial = Annotated[
    Path | None,
    typer.Option(metavar="RUN", help="Start from the weights of another run's folder."),
]
StopAfter = Annotated[
    int | None, typer.Option(min=1, metavar="STEP", help="Stop at this step; go on later.")
]


def train(
    recipe: Recipe,
    data: Data,
    output: Run,
    initial: Initial = None,
    stop_after: StopAfter = None,
    device: options.Device = DeviceChoice.AUTO,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
    json: options.Json = False,
) -> None:
    """Train a model; the same command again goes on where it stopped."""
    from dit4sr_cli.training.config import read_config
    from dit4sr_cli.training.run import run

    # torchrun starts several of us: one of them speaks.
    is_main = os.environ.get("RANK", "0") == "0"
    console.open(quiet=quiet or not is_main, verbose=verbose, as_json=json)
    config = read_config(_recipe_path(recipe))
    with _Follower(config.optimizer.steps) as follower:
        folder = run(
            config,
            data,
            output,
            initial=initial,
            stop_after=stop_after,
            device=device,
            observe=follower,
        )
    if not is_main:
        return
    last = follower.last
    console.summary(f"{folder}: step {last.step if last else 'unchanged'}, {_psnr(last)}")
    console.result("", {"command": "train", "model": str(folder), **_as_record(last)})


def _recipe_path(recipe: str) -> Path:
    from dit4sr_cli import training
    from dit4sr_cli.weights.resolve import NANO, embedded_dir

    nano, recipes = embedded_dir() / NANO, Path(training.__file__).parent / "recipes"
    shipped = {
        NANO: nano / "train.toml",
        f"{NANO}-finish": nano / "finish.toml",
        "paper": recipes / "paper.toml",
    }
    return shipped.get(recipe, Path(recipe))


class _Follower:
    """Draws a bar at a terminal; elsewhere says a line now and then."""

    def __init__(self, steps: int) -> None:
        from tqdm import tqdm

        self.last: Progress | None = None
        self._bar = tqdm(total=steps, desc="training", disable=not console.shows_progress)

    def __enter__(self) -> _Follower:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._bar.close()

    def __call__(self, progress: Progress) -> None:
        validation = progress.validation or (self.last.validation if self.last else None)
        self._bar.update(progress.step - self._bar.n)
        self._bar.set_postfix({key: f"{value:.3f}" for key, value in progress.losses.items()})
        self.last = progress
        if progress.validation:
            console.note(f"step {progress.step}: {_psnr(progress)}")
        elif progress.step % _REPORT_EVERY == 0 and not console.shows_progress:
            console.note(f"step {progress.step} of {progress.steps}: {_losses(progress)}")
        if validation and not progress.validation:
            from dataclasses import replace

            self.last = replace(progress, validation=validation)


def _losses(progress: Progress) -> str:
    values = ", ".join(f"{key} {value:.3f}" for key, value in progress.losses.items())
    return f"{values}, {progress.seconds_per_step:.2f} s a step"


def _psnr(progress: Progress | None) -> str:
    if progress is None or not progress.validation:
        return "not measured"
    ours, bicubic = progress.validation["psnr"], progress.validation["bicubic"]
    return f"PSNR {ours:.2f} dB on held-out samples, bicubic {bicubic:.2f} dB"


def _as_record(progress: Progress | None) -> dict[str, Any]:
    if progress is None:
        return {"step": None, "validation": None}
    return {"step": progress.step, "losses": progress.losses, "validation": progress.validation}
