"""Every model, base and captioner that has a name: what is here and what could be pulled."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dit4sr_cli.core.errors import ModelError
from dit4sr_cli.core.paths import models_dir
from dit4sr_cli.weights.catalog import PARTS, Kind
from dit4sr_cli.weights.registry import user_models
from dit4sr_cli.weights.resolve import (
    NANO,
    PUBLISHED,
    Resolved,
    catalog_spec,
    embedded_dir,
    resolve,
)
from dit4sr_cli.weights.shelf import OnShelf, State, holds, look_up, num_bytes
from dit4sr_cli.weights.spec import ModelSpec, read_spec

EMBEDDED, YOURS, BROKEN = "embedded", State.YOURS.value, "broken"
MODEL = "model"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A name and what is behind it. `num_bytes` on disk are without a base that is shared.

    Args:
        kind: `model`, `base` or `captioner`.
        state: `embedded`, `pulled`, `partly pulled`, `not pulled`, `yours` or `broken`.
        spec: of a model: its defaults.
        on_shelf: of what is published.
        problem: why a model that is here cannot be loaded.
    """

    name: str
    kind: str
    state: str
    folder: Path
    num_bytes: int
    licence: str
    spec: ModelSpec | None = None
    on_shelf: OnShelf | None = None
    problem: str = ""

    def as_json(self) -> dict[str, Any]:
        """The fields that `models list --json` shows."""
        spec = self.spec
        return {
            "name": self.name,
            "kind": self.kind,
            "state": self.state,
            "folder": str(self.folder),
            "bytes": self.num_bytes,
            "licence": self.licence,
            "steps": spec.steps if spec else None,
            "guidance": spec.guidance if spec else None,
            "wiring": spec.wiring if spec else None,
            "injection_scale": spec.injection_scale if spec else None,
            "base": spec.base or None if spec else None,
            "problem": self.problem or None,
        }


def entries() -> list[Entry]:
    """All of them: models first, the embedded one at the top; then bases and captioners.

    Raises:
        ModelError: models.toml is broken.
    """
    mine = user_models()
    models = {NANO: _nano()}
    models |= {name: _published(name) for name in PUBLISHED}
    models |= {entry.name: entry for entry in _by_hand()}
    models |= {name: _mine(name, model.folder) for name, model in mine.items()}
    return [*models.values(), *_other_parts()]


def entry(name: str) -> Entry:
    """What is behind one name, or a model's folder.

    Raises:
        ModelError: there is nothing of this name.
    """
    known = {found.name: found for found in entries()}
    return known[name] if name in known else _resolved(resolve(name))


def _nano() -> Entry:
    folder = embedded_dir() / NANO
    spec = read_spec(folder)
    return Entry(
        name=NANO,
        kind=MODEL,
        state=EMBEDDED,
        folder=folder,
        num_bytes=num_bytes(folder),
        licence=spec.licence,
        spec=spec,
    )


def _published(name: str) -> Entry:
    found = look_up(name)
    state, problem, spec = found.state.value, "", catalog_spec(name)
    if found.is_usable:
        try:
            spec = resolve(name).spec
        except ModelError as error:  # its base is missing
            state, problem = State.PARTLY.value, error.message
    return Entry(
        name=name,
        kind=MODEL,
        state=state,
        folder=found.folder,
        num_bytes=num_bytes(found.root),
        licence=spec.licence,
        spec=spec,
        on_shelf=found,
        problem=problem,
    )


def _by_hand() -> Iterator[Entry]:
    """Models that the user put into the models folder under names of their own."""
    folder = models_dir()
    for path in sorted(folder.iterdir()) if folder.is_dir() else []:
        if path.name not in PARTS and holds(Kind.TRANSFORMER, path):
            yield _mine(path.name, path)


def _mine(name: str, folder: Path) -> Entry:
    try:
        return _resolved(resolve(name))
    except ModelError as error:
        return Entry(
            name=name,
            kind=MODEL,
            state=BROKEN,
            folder=folder,
            num_bytes=num_bytes(folder),
            licence="",
            problem=error.message,
        )


def _resolved(found: Resolved) -> Entry:
    return Entry(
        name=found.name,
        kind=MODEL,
        state=YOURS,
        folder=found.folder,
        num_bytes=num_bytes(found.folder),
        licence=found.spec.licence,
        spec=found.spec,
    )


def _other_parts() -> Iterator[Entry]:
    for part in PARTS.values():
        if part.name not in PUBLISHED:
            found = look_up(part.name)
            yield Entry(
                name=part.name,
                kind=part.kind.value,
                state=found.state.value,
                folder=found.folder,
                num_bytes=num_bytes(found.root),
                licence=part.licence,
                on_shelf=found,
            )
