"""What is measured: settings under a name, from a string such as `steps=4,tile=32`."""

from __future__ import annotations

from dataclasses import dataclass, field

from dit4sr_cli.core.settings import ModelSettings, UpscaleSettings
from dit4sr_cli.jobs import spelling
from dit4sr_cli.jobs.plan import choose_model


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
    for part in text.split(",") if text.strip() else []:
        option, value = spelling.pair(part, text)
        if option == "plain":
            plain = spelling.parsed(value, (bool,), option)
        elif spelling.has(UpscaleSettings, option):
            upscale = spelling.changed(upscale, option, value)
        elif spelling.has(ModelSettings, option):
            model = spelling.changed(model, option, value)
        else:
            known = ["plain", *spelling.options_of(UpscaleSettings, ModelSettings)]
            raise spelling.unknown(option, known, text)
    model = choose_model(model, upscale)
    return Variant(name=text or variant.name, upscale=upscale, model=model, plain=plain)
