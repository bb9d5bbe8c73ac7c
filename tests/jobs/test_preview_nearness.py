"""A preview is what the whole run gives there: to the bit, or as near as docs/preview.md says."""

from __future__ import annotations

import math

import numpy as np
import pytest
from helpers import images
from PIL import Image

from dit4sr_cli import Upscaler
from dit4sr_cli.captions.source import NO_CAPTION
from dit4sr_cli.core.settings import UpscaleSettings
from dit4sr_cli.core.types import Box, Size
from dit4sr_cli.jobs.preview.window import bicubic_of, statistics_of, window_of

SIZE = (181, 150)
PICTURE = np.asarray(images.scene(*SIZE))
PLACES = [Box(0, 0, 16, 16), Box(40, 36, 24, 16), Box(161, 134, 20, 16)]


@pytest.fixture(scope="module")
def nano():
    return Upscaler.load("nano")


def both(upscaler, boxes=PLACES, pixels=PICTURE, **settings):
    """Each box of the whole result, and the same made alone, and what that took."""
    settings = UpscaleSettings(**settings)
    [whole] = upscaler.upscale_many([pixels], settings, captions=[NO_CAPTION])
    for box in boxes:
        window = window_of(pixels, box, settings, statistics_of(pixels))
        [part] = upscaler.upscale_many(
            [pixels],
            settings,
            captions=[NO_CAPTION],
            enlarge=window.enlarge,
            hold=window.hold,
        )
        place = window.place
        rows = slice(place.y, place.y + place.height)
        yield whole.pixels[rows, place.x : place.x + place.width], part.pixels, window.glimpse


def distance(first, second) -> float:
    assert first.shape == second.shape
    assert first.dtype == second.dtype
    error = ((first.astype(np.float64) - second) ** 2).mean()
    peak = np.iinfo(first.dtype).max
    return math.inf if error == 0 else 10 * math.log10(peak**2 / error)


@pytest.mark.parametrize(
    "settings",
    [{}, {"color_fix": "wavelet"}, {"scale": 2.7}, {"long_edge": 411}, {"grid": "reference"}],
    ids=str,
)
def test_one_step_is_the_same_to_the_bit(nano, settings):
    for whole, part, glimpse in both(nano, **settings):
        assert np.array_equal(whole, part)
        assert glimpse.tiles < glimpse.whole_tiles


def test_grey_and_16_bits_are_the_same_too(nano):
    grey = np.asarray(images.scene(*SIZE, mode="L"))[..., None].astype(np.uint16) * 257
    for whole, part, _ in both(nano, PLACES[1:2], grey):
        assert np.array_equal(whole, part)


@pytest.mark.parametrize("settings", [{"fidelity": 0.7}, {"fidelity": 1.0, "scale": 2.7}], ids=str)
def test_held_to_the_picture_it_is_the_same_but_for_rounding(nano, settings):
    for whole, part, _ in both(nano, **settings):
        assert distance(whole, part) > 80


def test_several_steps_miss_only_what_tiles_saw_of_others(nano):
    for whole, part, _ in both(nano, PLACES[1:2], steps=3):
        assert distance(whole, part) > 60


def test_adain_estimates_the_statistics_of_the_whole(nano):
    for whole, part, _ in both(nano, PLACES[1:], color_fix="adain"):
        assert distance(whole, part) > 45


def test_a_picture_of_one_tile_is_made_whole(nano):
    pixels = PICTURE[:30, :30]
    for whole, part, glimpse in both(
        nano, [Box(3, 5, 12, 12)], pixels, tile=32, steps=2, color_fix="adain"
    ):
        assert glimpse.tiles == glimpse.whole_tiles
        assert np.array_equal(whole, part)


def test_plain_enlargement_is_pillows():
    large = (SIZE[0] * 4, SIZE[1] * 4)
    whole = np.asarray(Image.fromarray(PICTURE).resize(large, Image.Resampling.BICUBIC))
    assert np.array_equal(bicubic_of(PICTURE, PLACES[1], Size(*large)), whole[144:208, 160:256])
