"""A study: the network, its ablations and the baseline, trained alike; see the paper's Table 3.

All runs of a seed see the same samples in the same order with the same noise. Each is an ordinary
run in its own folder, claimed by a lock: a study goes on where it stopped, and the same command
started twice shares the work.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
from filelock import FileLock, Timeout

from dit4sr_cli.core.errors import InputError, OutputError, UsageError
from dit4sr_cli.core.types import DeviceChoice
from dit4sr_cli.training.config import TrainConfig
from dit4sr_cli.training.loop import Progress
from dit4sr_cli.training.networks import Networks
from dit4sr_cli.training.run import LOG_NAME, MODEL_NAME, run
from dit4sr_cli.weights.files import read_json, write_json
from dit4sr_cli.weights.spec import NetworkName

SCHEMA = 1
FILE_NAME = "study.json"
RECIPE_NAME, RUN_NAME = "recipe.json", "run.json"
"""In a run's folder: from its first step on, and once it has come to its end."""
BASELINE = "sd3-controlnet"
ABLATIONS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "full": {},
        "A": {"control_attention": "separate"},
        "B": {"lr_residual": False},
        "C": {"injection": "none"},
        "D": {"injection": "linear"},
        BASELINE: {},
    }
)
"""What each variant changes in the transformer's config; the baseline is another network."""


@dataclass(frozen=True, slots=True)
class Item:
    """One run of a study."""

    variant: str
    config: TrainConfig
    parameters: int
    """Of the transformer, with all that belongs to it."""

    @property
    def name(self) -> str:
        """Of its folder."""
        return f"{self.variant}-{self.config.seed}"


def plan(
    config: TrainConfig, *, seeds: int = 1, variants: Sequence[str] = tuple(ABLATIONS)
) -> list[Item]:
    """The runs, one seed after the other; the first seed is the recipe's.

    Raises:
        UsageError: there is no such variant.
    """
    for name in variants:
        if name not in ABLATIONS:
            raise UsageError(f"{name}: no such variant", hint=f"they are {', '.join(ABLATIONS)}")
    changed = {name: variant_of(config, name) for name in ABLATIONS if name in variants}
    parameters = {name: count_parameters(each) for name, each in changed.items()}
    return [
        Item(name, replace(each, seed=config.seed + number), parameters[name])
        for number in range(seeds)
        for name, each in changed.items()
    ]


def variant_of(config: TrainConfig, name: str) -> TrainConfig:
    """The recipe with what the variant changes in it."""
    transformer = replace(config.transformer, **ABLATIONS[name])
    network: NetworkName = "sd3-controlnet" if name == BASELINE else "dit4sr"
    return replace(config, transformer=transformer, network=network)


def count_parameters(config: TrainConfig) -> int:
    """Of the transformer that a recipe names, the ControlNet included."""
    with torch.device("meta"):
        transformer = Networks(config).transformer
    return sum(parameter.numel() for parameter in transformer.parameters())


def train_study(
    items: Sequence[Item],
    data: Path,
    output: Path,
    *,
    device: DeviceChoice | str = DeviceChoice.AUTO,
    observe: Callable[[Item, Progress], None] = lambda item, progress: None,
) -> dict[str, Any]:
    """Train what is not trained yet and not being trained; returns what `study.json` then says.

    Args:
        items: the runs, as `plan` has them.
        data: as `run` takes it.
        output: holds `study.json` and a folder for each run.
        device: where to train.
        observe: hears of every step.

    Raises:
        InputError: the folder has a run of another recipe; and what `run` raises.
        UsageError: torchrun started this: a study's runs are trained by one process each.
        OutputError: `output` cannot be written to.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise UsageError(
            "a study trains each of its runs in one process",
            hint="start the command several times without torchrun: they share the runs",
        )
    for item in items:
        folder = output / item.name
        with _claimed(folder) as is_ours:
            if is_ours:
                _check_recipe(folder, item)
            if is_ours and not (folder / RUN_NAME).is_file():
                run(item.config, data, folder, device=device, observe=partial(observe, item))
                write_json(folder / RUN_NAME, _as_record(folder, item))
        _write_summary(output)
    return read_json(output / FILE_NAME)


@contextmanager
def _claimed(folder: Path) -> Iterator[bool]:
    """Whether the run is ours for now; the lock goes with the process, however that ends."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{folder}: {error.strerror}") from error
    lock = FileLock(folder / ".lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        yield False
        return
    try:
        yield True
    finally:
        lock.release()


def _check_recipe(folder: Path, item: Item) -> None:
    """Every run of a study's folder has been of one recipe from its first step on."""
    recipe = json.loads(json.dumps(asdict(item.config)))
    path = folder / RECIPE_NAME
    if path.is_file() and read_json(path) != recipe:
        raise InputError(
            f"{folder}: of another recipe", hint="give each recipe a folder of its own"
        )
    write_json(path, recipe)


def _as_record(folder: Path, item: Item) -> dict[str, Any]:
    last = json.loads((folder / LOG_NAME).read_text(encoding="utf-8").splitlines()[-1])
    return {
        "variant": item.variant,
        "seed": item.config.seed,
        "model": f"{item.name}/{MODEL_NAME}",
        "parameters": item.parameters,
        "steps": last["step"],
        "seconds_per_step": last["seconds_per_step"],
        "validation": last["validation"],
    }


def _write_summary(output: Path) -> None:
    """`study.json`: every run that has come to its end, of whichever process."""
    with FileLock(output / ".lock"):
        records = [read_json(path) for path in sorted(output.glob(f"*/{RUN_NAME}"))]
        order = list(ABLATIONS)
        records.sort(key=lambda record: (order.index(record["variant"]), record["seed"]))
        summary = {
            "schema": SCHEMA,
            "variants": list(dict.fromkeys(record["variant"] for record in records)),
            "seeds": sorted({record["seed"] for record in records}),
            "runs": {f"{record['variant']}-{record['seed']}": record for record in records},
        }
        write_json(output / FILE_NAME, summary)
