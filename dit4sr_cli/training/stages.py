"""Recipes that go on from others: one run after another."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from dit4sr_cli.core.errors import UsageError
from dit4sr_cli.training.config import TrainConfig, read_config
from dit4sr_cli.training.recipes import find, shipped


@dataclass(frozen=True, slots=True)
class Stage:
    """One of the runs that a recipe takes; the last has no name: it is the recipe itself."""

    name: str
    config: TrainConfig

    def folder(self, output: Path) -> Path:
        """Where it runs, of the folder that the whole runs in."""
        return output / self.name if self.name else output


def stages(recipe: str, *, alone: bool = False) -> list[Stage]:
    """The runs that a recipe takes, in order: those that it goes on from, and itself.

    Args:
        recipe: one that ships, or a path.
        alone: only itself.

    Raises:
        InputError: one of the files cannot be read.
        UsageError: one makes no sense, or they go on from each other.
    """
    path = find(recipe)
    found, seen = [Stage("", read_config(path))], {path.resolve()}
    while not alone and (name := found[0].config.initial):
        # A path is meant from where it is written.
        path = shipped().get(name, path.parent / name)
        if path.resolve() in seen:
            raise UsageError(f"{recipe}: goes on from itself, by way of {name}")
        seen.add(path.resolve())
        found.insert(0, Stage(Path(name).stem, read_config(path)))
    return found
