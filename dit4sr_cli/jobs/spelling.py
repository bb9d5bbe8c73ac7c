"""Settings by their names: from words such as `steps=4` to the fields of frozen settings."""

from __future__ import annotations

import types
import typing
from collections.abc import Iterable
from dataclasses import replace
from enum import Enum
from typing import Any, TypeVar

from dit4sr_cli.core.errors import UsageError
from dit4sr_cli.core.words import did_you_mean

SPELLINGS = {"dtype": "precision"}
"""Options that are called otherwise than the field they set."""
_WORDS = {"yes": True, "no": False, "true": True, "false": False}
T = TypeVar("T")


def field_of(option: str) -> str:
    """The field that an option sets: `color-fix` sets `color_fix`, `dtype` sets `precision`."""
    name = option.replace("-", "_")
    return SPELLINGS.get(name, name)


def options_of(*settings: type) -> list[str]:
    """Every option that sets a field of these settings."""
    names = [name for kind in settings for name in _types_of(kind)]
    return [name.replace("_", "-") for name in (*SPELLINGS, *names)]


def has(settings: type, option: str) -> bool:
    """Whether an option sets a field of these settings."""
    return field_of(option) in _types_of(settings)


def changed(settings: T, option: str, value: str) -> T:
    """The settings with one field set by its option's name.

    Raises:
        UsageError: a value that it does not take.
    """
    name = field_of(option)
    return replace(settings, **{name: parsed(value, _types_of(type(settings))[name], option)})  # type: ignore[type-var]


def unknown(option: str, known: Iterable[str], where: str) -> UsageError:
    """What to raise for an option that there is not."""
    known = list(known)
    hint = did_you_mean(option, known) or f"known are {', '.join(known)}"
    return UsageError(f"{where!r}: no option {option!r}", hint=hint)


def pair(text: str, where: str) -> tuple[str, str]:
    """The two sides of `NAME=VALUE`.

    Raises:
        UsageError: it has no value.
    """
    option, sign, value = text.partition("=")
    if not sign:
        raise UsageError(f"{where!r}: {text!r} has no value", hint="write NAME=VALUE,NAME=VALUE")
    return option.strip(), value.strip()


def parsed(value: str, kinds: tuple[type, ...], option: str) -> Any:
    """A value as the first of these types that takes it.

    Raises:
        UsageError: none does.
    """
    for kind in kinds:
        try:
            return _read(value, kind)
        except (KeyError, ValueError):
            if issubclass(kind, Enum):  # its names are all there is, even where text may stand
                names = ", ".join(str(one.value) for one in kind)
                raise UsageError(f"{option}={value}: it is one of {names}") from None
    names = " or ".join("yes or no" if kind is bool else kind.__name__ for kind in kinds)
    raise UsageError(f"{option}={value}: it is {names}")


def _types_of(settings: type) -> dict[str, tuple[type, ...]]:
    """What each field may hold, None aside."""
    found = {}
    for name, kind in typing.get_type_hints(settings).items():
        is_union = typing.get_origin(kind) in (typing.Union, types.UnionType)
        kinds = typing.get_args(kind) if is_union else (kind,)
        found[name] = tuple(one for one in kinds if one is not type(None))
    return found


def _read(value: str, kind: type) -> Any:
    return _WORDS[value.lower()] if kind is bool else kind(value)
