"""Which folders go when a model is removed."""

from __future__ import annotations

from pathlib import Path

from dit4sr_cli.core.errors import ModelError, UsageError
from dit4sr_cli.core.paths import models_dir
from dit4sr_cli.core.words import did_you_mean
from dit4sr_cli.weights.catalog import MODELS
from dit4sr_cli.weights.registry import FILE_NAME, user_models
from dit4sr_cli.weights.resolve import NANO, installed
from dit4sr_cli.weights.shelf import look_up


def plan_removal(name: str, *, with_base: bool = False) -> list[Path]:
    """The folders to delete: the model's, and its base's unless another model needs it.

    Args:
        name: of a model, base or captioner in the models folder.
        with_base: the base goes even if another model needs it.

    Raises:
        UsageError: it is not in the models folder.
        ModelError: there is nothing to delete.
    """
    if name == NANO:
        raise UsageError(f"{NANO} is part of dit4sr: it cannot be removed")
    if name in user_models():
        raise UsageError(f"{name} is yours: delete its table in {FILE_NAME}, and its folder")
    root = models_dir() / name
    if Path(name).name != name or name.startswith(".") or not (root.is_dir() or root.is_symlink()):
        known = sorted(path.name for path in models_dir().glob("[!.]*"))
        hint = did_you_mean(name, known) or f"here are: {', '.join(known) or 'none'}"
        raise ModelError(f"{name}: nothing of this name in {models_dir()}", hint=hint)
    if name not in MODELS:
        return [root]
    base = look_up(MODELS[name].base).root
    others = [model for model in installed() if model.name != name and model.base == base]
    has_base = base.is_dir() and (with_base or not others)
    return [root, base] if has_base else [root]
