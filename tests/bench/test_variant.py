"""Settings that are written as a string."""

from __future__ import annotations

import pytest

from dit4sr_cli.bench.variant import Variant, changed
from dit4sr_cli.core.errors import UsageError
from dit4sr_cli.core.types import ColorFix, DeviceChoice, Precision, Quantize, StartPoint

BASE = Variant(name="base")


def test_every_kind_of_value():
    text = (
        "steps=4, guidance=2.5,start=lr,color-fix=none,dtype=bf16,device=cpu,low-memory=yes,"
        "t5=no,model=nano,plain=yes,quantize=int4,prompt=a cat"
    )
    found = changed(BASE, text)
    assert found.name == text
    upscale, model = found.upscale, found.model
    assert (upscale.steps, upscale.guidance, upscale.prompt) == (4, 2.5, "a cat")
    assert (upscale.start, upscale.color_fix) == (StartPoint.LR, ColorFix.NONE)
    assert (model.precision, model.device) == (Precision.BF16, DeviceChoice.CPU)
    assert model.quantize is Quantize.INT4
    assert (model.low_memory, model.t5, model.model, found.plain) == (True, False, "nano", True)


def test_nothing_changes_nothing():
    assert changed(BASE, "") == BASE


def test_the_rest_stays():
    base = changed(BASE, "steps=4,plain=yes")
    found = changed(base, "tile=32")
    assert (found.upscale.steps, found.upscale.tile, found.plain) == (4, 32, True)


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("stops=4", "steps"),
        ("nothing=4", "known are"),
        ("steps", "NAME=VALUE"),
        ("steps=many", "int"),
        ("plain=perhaps", "yes or no"),
        ("start=middle", "noise, lr"),
        ("dtype=fp8", "bf16"),
        ("steps=4,,tile=3", "NAME=VALUE"),
    ],
)
def test_what_makes_no_sense(text, word):
    with pytest.raises(UsageError) as raised:
        changed(BASE, text)
    assert word in raised.value.message + raised.value.hint
