"""What `--grid guidance=4,6,8 steps=20,40` asks for: every combination of some settings."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import product
from typing import Any

from dit4sr_cli.core.errors import UsageError
from dit4sr_cli.core.settings import ModelSettings, UpscaleSettings
from dit4sr_cli.jobs import spelling
from dit4sr_cli.jobs.plan import choose_model

MAX_CELLS = 256
_SUFFIX = "suffix"
_SAME = ("scale", "long-edge", "device", "low-memory")
"""Options that all cells share: they change the size, or nothing that is seen."""


@dataclass(frozen=True, slots=True)
class Axis:
    """A setting and the values it takes in turn."""

    option: str
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Variation:
    """One combination; `values` are those of the axes, by option, as they were written."""

    values: Mapping[str, str]
    upscale: UpscaleSettings
    model: ModelSettings
    suffix: str | None

    @property
    def label(self) -> str:
        """`guidance 4, steps 20`."""
        return ", ".join(f"{option} {value}" for option, value in self.values.items())


def axis_of(text: str) -> Axis:
    """`guidance=4,6,8`; a value with a comma in it stands in double quotes.

    Raises:
        UsageError: no such option, or no values.
    """
    option, rest = spelling.pair(text, text)
    return _axis(option, next(csv.reader([rest], skipinitialspace=True), []), text)


def axes_of(grid: Mapping[str, Sequence[Any]]) -> list[Axis]:
    """The same from Python: `{"guidance": [4, 6, 8]}`.

    Raises:
        UsageError: no such option, or no values.
    """
    return [
        _axis(option.replace("_", "-"), [_written(value) for value in values], option)
        for option, values in grid.items()
    ]


def combined(
    axes: Sequence[Axis], upscale: UpscaleSettings, model: ModelSettings, suffix: str | None
) -> list[Variation]:
    """Every combination of the axes' values, the last axis changing fastest.

    Args:
        axes: none gives the settings as they are.
        upscale: for all that no axis sets.
        model: the same; as given, before the dial and the preset choose.
        suffix: what follows the prompt.

    Raises:
        UsageError: a value that an option does not take, an option twice, or too many cells.
    """
    options = [spelling.field_of(axis.option) for axis in axes]
    for axis, option in zip(axes, options, strict=True):
        if options.count(option) > 1:
            raise UsageError(f"--grid {axis.option}: given twice", hint="write all values at once")
    found = [
        _variation(zip(axes, values, strict=True), upscale, model, suffix)
        for values in product(*(axis.values for axis in axes))
    ]
    if len(found) > MAX_CELLS:
        raise UsageError(f"--grid: {len(found)} combinations, at most {MAX_CELLS} make a sheet")
    return found


def _axis(option: str, values: Iterable[str], text: str) -> Axis:
    known = [*spelling.options_of(UpscaleSettings, ModelSettings), _SUFFIX]
    if option in _SAME:
        raise UsageError(
            f"--grid {text}: {option} is one for all", hint=f"give it apart: --{option}"
        )
    if option != _SUFFIX and not any(
        spelling.has(kind, option) for kind in (UpscaleSettings, ModelSettings)
    ):
        raise spelling.unknown(option, [one for one in known if one not in _SAME], text)
    values = tuple(dict.fromkeys(value.strip() for value in values))
    if not values or ("" in values and option not in (_SUFFIX, "prompt", "negative-prompt")):
        raise UsageError(f"--grid {text}: a value is missing", hint="write NAME=VALUE,VALUE")
    return Axis(option, values)


def _variation(
    chosen: Iterable[tuple[Axis, str]],
    upscale: UpscaleSettings,
    model: ModelSettings,
    suffix: str | None,
) -> Variation:
    values = {axis.option: value for axis, value in chosen}
    for option, value in values.items():
        if option == _SUFFIX:
            suffix = value
        elif spelling.has(UpscaleSettings, option):
            upscale = spelling.changed(upscale, option, value)
        else:
            model = spelling.changed(model, option, value)
    model = choose_model(model, upscale)
    return Variation(values=values, upscale=upscale, model=model, suffix=suffix)


def _written(value: Any) -> str:
    return str(value.value) if isinstance(value, Enum) else str(value)
