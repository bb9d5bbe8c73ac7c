"""Where a preview looks, and what it varies."""

from __future__ import annotations

import numpy as np
import pytest

import dit4sr_cli as dit4sr
from dit4sr_cli.core.errors import UsageError
from dit4sr_cli.core.settings import ModelSettings, UpscaleSettings
from dit4sr_cli.core.types import Box, ColorFix, Precision, Size
from dit4sr_cli.jobs.preview.places import box_at, boxes_at, most_detail, point_of, size_of
from dit4sr_cli.jobs.preview.variations import axes_of, axis_of, combined

PICTURE = Size(400, 300)


@pytest.mark.parametrize(
    ("point", "box"),
    [
        ((0.5, 0.5), Box(150, 120, 100, 60)),
        ((200, 150), Box(150, 120, 100, 60)),
        ((0, 0), Box(0, 0, 100, 60)),
        ((1, 1), Box(300, 240, 100, 60)),
        ((400, 300), Box(300, 240, 100, 60)),
        ((0.1, 0.9), Box(0, 240, 100, 60)),
    ],
)
def test_places(point, box):
    assert box_at(point, Size(100, 60), PICTURE) == box


def test_a_picture_smaller_than_the_box_is_seen_whole():
    assert box_at((0.9, 0.9), Size(900, 60), PICTURE) == Box(0, 240, 400, 60)


@pytest.mark.parametrize("point", [(401, 10), (-1, 5), (0.5, 301)])
def test_places_outside(point):
    with pytest.raises(UsageError, match="outside"):
        box_at(point, Size(8, 8), PICTURE)


def test_words():
    assert (size_of("128"), size_of("160x90")) == (Size(128, 128), Size(160, 90))
    assert (point_of("0.3,0.6"), point_of("1200, 800")) == ((0.3, 0.6), (1200, 800))
    for text in ("1,2,3", "x,1", "nan", ""):
        with pytest.raises(UsageError):
            point_of(text)


@pytest.mark.parametrize("side", [300, 3000])
@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_without_a_place_it_looks_where_detail_is(side, kind):
    pixels = np.full((side, side + 40, 3), 90, kind)
    noise = np.random.default_rng(0).integers(0, np.iinfo(kind).max, (60, 60, 3))
    top, left = side - 100, side // 3
    pixels[top : top + 60, left : left + 60] = noise
    box = most_detail(pixels, Size(64, 64))
    assert abs(box.x + 32 - left - 30) <= 8
    assert abs(box.y + 32 - top - 30) <= 8
    assert boxes_at((), Size(64, 64), pixels) == [box]


def test_a_plain_picture_is_looked_at_in_the_middle():
    assert most_detail(np.zeros((90, 120, 1), np.uint8), Size(20, 10)) == Box(50, 40, 20, 10)
    assert most_detail(np.zeros((1, 1, 3), np.uint8), Size(20, 10)) == Box(0, 0, 1, 1)


def test_every_combination_the_last_changing_fastest():
    axes = [axis_of("guidance=4,6"), axis_of("color-fix=none,adain"), axis_of('prompt="a, b",c')]
    found = combined(axes, UpscaleSettings(steps=3), ModelSettings(), "sharp")
    assert len(found) == 8
    assert [one.upscale.prompt for one in found[:3]] == ["a, b", "c", "a, b"]
    assert found[2].upscale.color_fix is ColorFix.ADAIN
    assert found[-1].label == "guidance 6, color-fix adain, prompt c"
    assert {(one.upscale.steps, one.suffix) for one in found} == {(3, "sharp")}


def test_a_model_a_suffix_and_a_preset_may_vary_too():
    axes = axes_of({"model": ["nano", "dit4sr-q"], "suffix": ["", "sharp"]})
    found = combined(axes, UpscaleSettings(), ModelSettings(), None)
    assert [(one.model.model, one.suffix) for one in found][:2] == [("nano", ""), ("nano", "sharp")]
    draft, best = combined(
        axes_of({"preset": ["draft", "best"]}), UpscaleSettings(), ModelSettings(), None
    )
    assert (draft.model.precision, best.model.precision) == (Precision.FAST, Precision.AUTO)


def test_from_python(tmp_path, photo):
    look = dit4sr.preview(photo, tmp_path / "s.png", at=[(5, 5)], size=8, grid={"steps": [1, 2]})
    assert [cell.record.steps for cell in look.cells] == [1, 2]
    assert look.cells[0].pixels.shape == (32, 32, 3)
    assert (tmp_path / "s.png").exists()
