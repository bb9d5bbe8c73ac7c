"""What is measured: settings under a name, from a string such as `steps=4,tile=32`."""

from __future__ import annotations

import types
import typing
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any

from dit4sr_cli.core.errors import UsageError
from dit4sr_cli.core.settings import ModelSettings, UpscaleSettings
from dit4sr_cli.core.words import did_you_mean
from dit4sr_cli.jobs.plan import choose_model

_SPELLINGS = {"dtype": "precision"}
_WORDS = {"yes": True, "no": False, "true": True, "false": False}


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """One side of a comparison; `plain` computes in the released implementation's order."""

    name: str
    upscale: UpscaleSettings = field(default_factory=UpscaleSettings)
    model: ModelSettings = field(default_factory=ModelSettings)
    plain: bool = False


def changed(variant: Variant, text: str) -> Variant:
    """The variant with the options in a string such as `steps=4,tile=32` set, named after it.

    Raises:
        UsageError: an option that there is not, or a value that it does not take.
    """
    upscale, model, plain = variant.upscale, variant.model, variant.plain
    kinds = {UpscaleSettings: _types_of(UpscaleSettings), ModelSettings: _types_of(ModelSettings)}
    for option, value in _pairs(text):
        name = option.replace("-", "_")
        name = _SPELLINGS.get(name, name)
        if name == "plain":
            plain = _parsed(value, (bool,), option)
        elif name in kinds[UpscaleSettings]:
            given = _parsed(value, kinds[UpscaleSettings][name], option)
            upscale = replace(upscale, **{name: given})
        elif name in kinds[ModelSettings]:
            model = replace(model, **{name: _parsed(value, kinds[ModelSettings][name], option)})
        else:
            known = ["plain", *_SPELLINGS, *kinds[UpscaleSettings], *kinds[ModelSettings]]
            known = [one.replace("_", "-") for one in known]
            hint = did_you_mean(option, known) or f"known are {', '.join(known)}"
            raise UsageError(f"{text!r}: no option {option!r}", hint=hint)
    model = choose_model(model, upscale)
    return Variant(name=text or variant.name, upscale=upscale, model=model, plain=plain)


def _pairs(text: str) -> list[tuple[str, str]]:
    pairs = []
    for part in text.split(",") if text.strip() else []:
        option, sign, value = part.partition("=")
        if not sign:
            raise UsageError(f"{text!r}: {part!r} has no value", hint="write NAME=VALUE,NAME=VALUE")
        pairs.append((option.strip(), value.strip()))
    return pairs


def _types_of(settings: type) -> dict[str, tuple[type, ...]]:
    """What each field may hold, None aside."""
    found = {}
    for name, kind in typing.get_type_hints(settings).items():
        is_union = typing.get_origin(kind) in (typing.Union, types.UnionType)
        kinds = typing.get_args(kind) if is_union else (kind,)
        found[name] = tuple(one for one in kinds if one is not type(None))
    return found


def _parsed(value: str, kinds: tuple[type, ...], option: str) -> Any:
    for kind in kinds:
        try:
            return _read(value, kind)
        except (KeyError, ValueError):
            if issubclass(kind, Enum):  # its names are all there is, even where text may stand
                names = ", ".join(str(one.value) for one in kind)
                raise UsageError(f"{option}={value}: it is one of {names}") from None
    names = " or ".join("yes or no" if kind is bool else kind.__name__ for kind in kinds)
    raise UsageError(f"{option}={value}: it is {names}")


def _read(value: str, kind: type) -> Any:
    return _WORDS[value.lower()] if kind is bool else kind(value)
