"""`dit4sr train`: a recipe and a folder of photographs to a model."""

from __future__ import annotations

import os
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dit4sr_cli.cli import options
from dit4sr_cli.cli.console import console
from dit4sr_cli.core.errors import UsageError
from dit4sr_cli.core.types import DeviceChoice

if TYPE_CHECKING:
    from dit4sr_cli.training.config import TrainConfig
    from dit4sr_cli.training.loop import Progress
    from dit4sr_cli.training.study import Item

_REPORT_EVERY = 100


class StudyChoice(str, Enum):
    """What can be studied."""

    ABLATIONS = "ablations"


def complete_recipe(incomplete: str) -> list[str]:
    """Recipes that ship with the package, for shell completion."""
    from dit4sr_cli.training.recipes import shipped

    return [name for name in shipped() if name.startswith(incomplete)]


Recipe = Annotated[
    str | None,
    typer.Argument(
        metavar="CONFIG",
        help="A recipe in TOML; or paper, nano, ablations, or a stage of nano: nano-begin, "
        "nano-finish, nano-draw.",
        autocompletion=complete_recipe,
    ),
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
    typer.Option(
        metavar="RUN",
        help="Start from another run's folder, or from its model's. [default: the runs that the "
        "recipe goes on from are made first]",
    ),
]
StopAfter = Annotated[
    int | None, typer.Option(min=1, metavar="STEP", help="Stop at this step; go on later.")
]
Study = Annotated[
    StudyChoice | None,
    typer.Option(
        help="Train the network, its ablations and the baseline alike; of the recipe ablations, "
        "if none is given."
    ),
]
Seeds = Annotated[
    int | None,
    typer.Option(min=1, metavar="N", help="Of a study: train each so often. [default: 1]"),
]
Only = Annotated[
    str | None,
    typer.Option(
        metavar="A,B", help="Of a study: these alone, of full, A, B, C, D, sd3-controlnet."
    ),
]


def train(
    data: Data,
    output: Run,
    recipe: Recipe = None,
    initial: Initial = None,
    stop_after: StopAfter = None,
    study: Study = None,
    seeds: Seeds = None,
    only: Only = None,
    device: options.Device = DeviceChoice.AUTO,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
    json: options.Json = False,
) -> None:
    """Train a model. The same command again goes on where it stopped."""
    from dit4sr_cli.training.config import read_config
    from dit4sr_cli.training.recipes import find
    from dit4sr_cli.training.run import run
    from dit4sr_cli.training.stages import stages

    # torchrun starts several of us: one of them speaks.
    is_main = os.environ.get("RANK", "0") == "0"
    console.open(quiet=quiet or not is_main, verbose=verbose, as_json=json)
    _check(recipe, study, {"--initial": initial, "--stop-after": stop_after}, (seeds, only))
    if study:
        config = read_config(find(recipe or "ablations"))
        _train_study(config, data, output, seeds=seeds or 1, only=only, device=device)
        return
    for stage in stages(recipe or "", alone=initial is not None):
        with _Follower(stage.config.optimizer.steps, stage.name) as follower:
            folder = run(
                stage.config,
                data,
                stage.folder(output),
                initial=initial,
                stop_after=None if stage.name else stop_after,
                device=device,
                observe=follower,
            )
        initial = stage.folder(output)
    if not is_main:
        return
    last = follower.last
    console.summary(f"{folder}: step {last.step if last else 'unchanged'}, {_psnr(last)}")
    console.result("", {"command": "train", "model": str(folder), **_as_record(last)})


def _check(
    recipe: str | None,
    study: StudyChoice | None,
    of_one_run: dict[str, Any],
    of_a_study: tuple[Any, ...],
) -> None:
    """Refuse options that mean nothing together."""
    if not study:
        if recipe is None:
            raise UsageError("no recipe is given", hint="dit4sr train CONFIG, or --study ablations")
        if any(value is not None for value in of_a_study):
            raise UsageError("--seeds and --only belong to --study", hint="add --study ablations")
    elif given := [name for name, value in of_one_run.items() if value is not None]:
        raise UsageError(f"{given[0]} and --study exclude each other", hint="leave one of them out")


def _train_study(
    config: TrainConfig,
    data: Path,
    output: Path,
    *,
    seeds: int,
    only: str | None,
    device: DeviceChoice,
) -> None:
    from dit4sr_cli.training import study

    names = [name.strip() for name in only.split(",")] if only else list(study.ABLATIONS)
    items = study.plan(config, seeds=seeds, variants=names)
    for item in items[: len(items) // seeds]:
        console.note(f"{item.variant}: {item.parameters / 1e6:.3f} M parameters")
    with _StudyFollower() as follower:
        found = study.train_study(items, data, output, device=device, observe=follower)
    done = sum(item.name in found["runs"] for item in items)
    console.summary(f"{output / study.FILE_NAME}: {done} of {len(items)} runs are trained")
    console.result("", {"command": "train", "study": str(output), **found})


class _Follower:
    """Draws a bar at a terminal; elsewhere says a line now and then."""

    def __init__(self, steps: int, name: str = "") -> None:
        from tqdm import tqdm

        self._prefix = f"{name}: " if name else ""

        self.last: Progress | None = None
        self._bar = tqdm(total=steps, desc=name or "training", disable=not console.shows_progress)

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
            console.note(f"{self._prefix}step {progress.step}: {_psnr(progress)}")
        elif progress.step % _REPORT_EVERY == 0 and not console.shows_progress:
            place = f"{self._prefix}step {progress.step} of {progress.steps}"
            console.note(f"{place}: {_losses(progress)}")
        if validation and not progress.validation:
            from dataclasses import replace

            self.last = replace(progress, validation=validation)


class _StudyFollower:
    """Follows one run after the other, each by its name."""

    def __init__(self) -> None:
        self._name, self._follower = "", _Follower(0)

    def __enter__(self) -> _StudyFollower:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._follower.__exit__()

    def __call__(self, item: Item, progress: Progress) -> None:
        if item.name != self._name:
            self._follower.__exit__()
            self._name, self._follower = item.name, _Follower(progress.steps, item.name)
        self._follower(progress)


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
