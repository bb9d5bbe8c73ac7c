"""Recipes that ship with the package."""

from __future__ import annotations

from pathlib import Path

from dit4sr_cli.core.errors import InputError
from dit4sr_cli.core.words import did_you_mean
from dit4sr_cli.weights.resolve import NANO, embedded_dir


def shipped() -> dict[str, Path]:
    """Recipes by name."""
    here, nano = Path(__file__).parent, embedded_dir() / NANO
    return {
        "paper": here / "paper.toml",
        NANO: nano / "train.toml",
        f"{NANO}-begin": nano / "begin.toml",
        f"{NANO}-finish": nano / "finish.toml",
        f"{NANO}-draw": nano / "draw.toml",
        "ablations": here / "ablations.toml",
    }


def find(recipe: str) -> Path:
    """The file of a recipe: one that ships, or its path.

    Raises:
        InputError: the word looks like one that ships, and is none.
    """
    known = shipped()
    path = known.get(recipe, Path(recipe))
    if not path.exists() and (meant := did_you_mean(recipe, known)):
        raise InputError(f"{recipe}: no such recipe", hint=meant)
    return path
