"""The user's own models by name: `models.toml` in the settings folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dit4sr_cli.core.errors import ModelError
from dit4sr_cli.core.paths import config_dir
from dit4sr_cli.core.words import did_you_mean
from dit4sr_cli.weights.catalog import PARTS
from dit4sr_cli.weights.files import read_toml
from dit4sr_cli.weights.spec import ModelSpec, with_values

FILE_NAME = "models.toml"
SPEC_KEYS = (
    "base",
    "wiring",
    "injection_scale",
    "steps",
    "guidance",
    "start",
    "color_fix",
    "tile",
    "overlap",
    "licence",
)


_TAKEN = frozenset({"auto", "nano", "none", *PARTS})
"""Names that mean something else already."""


@dataclass(frozen=True, slots=True)
class UserModel:
    """A table `[models.NAME]`: a folder, and what is to be different from what the folder says."""

    name: str
    folder: Path
    values: dict[str, Any]
    where: str
    """The file and table, for messages."""

    def apply(self, spec: ModelSpec) -> ModelSpec:
        """The folder's spec with this table's values.

        Raises:
            ModelError: a value is wrong.
        """
        return with_values(spec, {"name": self.name, **self.values}, where=self.where)


def user_models() -> dict[str, UserModel]:
    """All tables of the file, by name; relative folders are relative to the file's.

    Raises:
        ModelError: the file is broken, or has a key that is not known.
    """
    path = config_dir() / FILE_NAME
    values = read_toml(path)
    _refuse_unknown(values, ("models",), str(path))
    tables = values.get("models", {})
    if not isinstance(tables, dict) or not all(isinstance(t, dict) for t in tables.values()):
        raise ModelError(
            f"{path}: models is not a table", hint='write [models.NAME], folder = "..."'
        )
    return {name: _user_model(path, name, dict(table)) for name, table in tables.items()}


def _user_model(path: Path, name: str, table: dict[str, Any]) -> UserModel:
    where = f"{path}: [models.{name}]"
    if name in _TAKEN:
        raise ModelError(f"{where}: this name is taken", hint="choose another name for yours")
    _refuse_unknown(table, ("folder", *SPEC_KEYS), where)
    folder = table.pop("folder", None)
    if not isinstance(folder, str) or not folder:
        raise ModelError(f"{where}: no folder", hint='write folder = "/where/the/weights/are"')
    model = UserModel(name, path.parent / Path(folder).expanduser(), table, where)
    model.apply(ModelSpec())  # a wrong value is said now, whichever model is asked for
    return model


def _refuse_unknown(values: dict[str, Any], known: tuple[str, ...], where: str) -> None:
    for key in values:
        if key not in known:
            hint = did_you_mean(key, known) or f"known are {', '.join(known)}"
            raise ModelError(f"{where}: unknown key {key!r}", hint=hint)
