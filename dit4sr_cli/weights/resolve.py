"""A model's name to its folder, by ordered rules; `auto` prefers published weights to nano."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from dit4sr_cli.core.errors import ModelError
from dit4sr_cli.core.paths import models_dir

AUTO = "auto"
NANO = "nano"
PUBLISHED = ("dit4sr-q", "dit4sr-f", "dit4sr-r1")
"""Names of the published models, the preferred one first."""


@dataclass(frozen=True, slots=True)
class Resolved:
    """A model's name and folder, and the rule that found it."""

    name: str
    folder: Path
    rule: str


def embedded_dir() -> Path:
    """Where the models that ship with the package are."""
    return Path(__file__).resolve().parent.parent / "embedded"


def resolve(model: str = AUTO) -> Resolved:
    """Find a model.

    Args:
        model: `auto`, `nano`, a name in the models folder, or a folder.

    Raises:
        ModelError: there is no such model.
    """
    if model == AUTO:
        return _first_published() or Resolved(NANO, embedded_dir() / NANO, "embedded")
    if model == NANO:
        return Resolved(NANO, embedded_dir() / NANO, "embedded")
    named = models_dir() / model
    if _is_plain_name(model) and _holds_model(named):
        return Resolved(model, named, "models folder")
    folder = Path(model).expanduser()
    if _holds_model(folder):
        return Resolved(folder.resolve().name, folder, "path")
    raise ModelError(_explain(model, folder), hint=_hint(model))


def installed() -> list[Resolved]:
    """The embedded model and every model in the models folder."""
    found = [Resolved(NANO, embedded_dir() / NANO, "embedded")]
    folder = models_dir()
    if folder.is_dir():
        found += [
            Resolved(path.name, path, "models folder")
            for path in sorted(folder.iterdir())
            if _holds_model(path)
        ]
    return found


def _first_published() -> Resolved | None:
    for name in PUBLISHED:
        if _holds_model(models_dir() / name):
            return Resolved(name, models_dir() / name, "models folder")
    return None


def _holds_model(folder: Path) -> bool:
    return (folder / "transformer" / "config.json").is_file()


def _is_plain_name(model: str) -> bool:
    return Path(model).name == model and model not in ("", ".", "..")


def _explain(model: str, folder: Path) -> str:
    if folder.is_dir():
        return f"{model}: no model in this folder (transformer/config.json is not there)"
    if model in PUBLISHED:
        return f"{model}: not on this machine (looked in {models_dir()})"
    return f"{model}: no such model"


def _hint(model: str) -> str:
    known = ", ".join(found.name for found in installed())
    if model in PUBLISHED:
        return f"put its folders (transformer, vae, ...) under {models_dir() / model}"
    return f"give the folder of a model, or one of: {AUTO}, {known}"
