"""The public Upscaler with the embedded model, from Python."""

import dataclasses

import numpy as np
import pytest
import torch
from helpers import images
from PIL import Image

from dit4sr_cli import Upscaler
from dit4sr_cli.captions.prompts import NEGATIVE_PROMPT
from dit4sr_cli.core.errors import ModelError, UsageError
from dit4sr_cli.core.events import Advanced, PhaseStarted, Warned
from dit4sr_cli.pipeline import restore as restore_module


@pytest.fixture(scope="module")
def nano():
    return Upscaler.load("nano", device="cpu")


def _array(width=44, height=36, mode="RGB"):
    return np.asarray(images.scene(width, height, mode))


def test_what_comes_back(nano):
    result = nano.upscale(images.scene(30, 20))
    assert result.image.size == (120, 80) and result.image.mode == "RGB"
    record = result.record
    assert (record.model, record.steps, record.device, record.dtype) == (
        "nano",
        1,
        "cpu",
        "float32",
    )
    assert record.input_size == (30, 20) and record.output_size == (120, 80)


def test_batches_and_steps_do_not_change_a_picture(nano, monkeypatch):
    picture = _array(70, 60)
    together = nano.upscale(picture, steps=2, seed=5).pixels
    monkeypatch.setattr(restore_module, "tiles_at_once", lambda *sizes: 1)
    alone = nano.upscale(picture, steps=2, seed=5).pixels
    assert abs(together.astype(int) - alone).max() <= 1
    other_seed = nano.upscale(picture, steps=2, seed=6).pixels
    assert abs(together.astype(int) - other_seed).max() > 1


def test_one_step_does_not_depend_on_the_seed(nano):
    a, b = (nano.upscale(_array(), seed=seed).pixels for seed in (0, 1))
    assert abs(a.astype(int) - b).max() <= 1


@pytest.mark.parametrize("mode", ["1", "L", "LA", "RGB", "RGBA", "P", "CMYK"])
def test_any_pillow_picture_is_read(nano, mode):
    grey = mode in ("1", "L", "LA")
    image = nano.upscale(images.scene(12, 10).convert(mode)).image
    assert image.mode == ("L" if grey else "RGB") and image.size == (48, 40)


def test_16_bits_agree_with_8(nano):
    eight = _array()
    sixteen = nano.upscale(eight.astype(np.uint16) * 257)
    assert sixteen.pixels.dtype == np.uint16
    difference = sixteen.pixels / 257 - nano.upscale(eight).pixels
    # Rounding before the model is not rounding after it: a few pixels at hard edges differ more.
    assert np.quantile(abs(difference), 0.999) <= 4 and abs(difference).mean() < 0.6
    assert len(np.unique(sixteen.pixels)) > 256
    assert np.asarray(sixteen.image).dtype == np.uint8


def test_other_factors_are_resized_from_four(nano):
    four = nano.upscale(_array())
    two = nano.upscale(_array(), scale=2)
    assert two.image.size == (88, 72)
    reduced = four.image.resize((88, 72), Image.Resampling.BICUBIC)
    assert images.psnr(two.image, reduced) > 50
    assert nano.upscale(_array(), long_edge=100).image.size == (100, 82)


def test_tiles_leave_no_seam(nano):
    y, x = np.mgrid[0:96, 0:128]
    sky = np.stack([60 + x * 0.4, 110 + y * 0.5, 200 - x * 0.2], axis=-1).round().astype(np.uint8)
    result = nano.upscale(sky).pixels.astype(float)
    bicubic = np.asarray(Image.fromarray(sky).resize((512, 384), Image.Resampling.BICUBIC))
    error = (result - bicubic)[16:-16, 16:-16]
    assert abs(error).max() < 4
    # A seam would show as a column or row whose mean stands out from its neighbours.
    for axis in (0, 1):
        profile = error.mean(axis=(axis, 2))
        assert abs(np.diff(profile)).max() < 0.7


def test_progress_counts_every_tile(nano):
    seen = []
    record = nano.upscale(_array(90, 80), steps=2, observe=seen.append).record
    total = next(e.total for e in seen if isinstance(e, PhaseStarted) and e.total)
    assert total == record.tiles * record.steps
    assert [e.done for e in seen if isinstance(e, Advanced)][-1] == total


def test_ignored_settings_warn(nano):
    seen = []
    nano.upscale(_array(8, 8), prompt="a cat", guidance=5, observe=seen.append)
    warnings = [event.message for event in seen if isinstance(event, Warned)]
    assert len(warnings) == 2 and "prompt" in warnings[0] and "guidance" in warnings[1]


@pytest.mark.parametrize(
    "settings",
    [
        {"scale": 9},
        {"scale": 0.5},
        {"long_edge": 10},
        {"steps": 0},
        {"seed": -1},
        {"tile": 0},
        {"tile": 8, "overlap": 8},
        {"overlap": -1},
    ],
    ids=str,
)
def test_settings_that_make_no_sense_are_refused(nano, settings):
    with pytest.raises(UsageError):
        nano.upscale(_array(), **settings)


@pytest.mark.parametrize(
    "picture", [np.zeros((4, 4, 2), np.uint8), np.zeros((4, 4, 3)), np.zeros((0, 4, 3), np.uint8)]
)
def test_arrays_that_are_no_picture_are_refused(nano, picture):
    with pytest.raises(UsageError):
        nano.upscale(picture)


def test_models_and_precisions_that_are_not_there_are_refused():
    with pytest.raises(ModelError, match="no such model"):
        Upscaler.load("nanoo")
    with pytest.raises(ModelError, match="int8"):
        Upscaler.load("nano", dtype="int8")


def test_bfloat16_is_close(nano):
    half = Upscaler.load("nano", device="cpu", dtype=torch.bfloat16)
    difference = half.upscale(_array()).pixels.astype(int) - nano.upscale(_array()).pixels
    assert half.upscale(_array()).record.dtype == "bfloat16"
    assert abs(difference).mean() < 1.5


def test_all_texts_of_a_run_are_encoded_at_once(nano):
    asked = []
    spec = dataclasses.replace(nano.spec, text=True, guidance=7.0)
    upscaler = Upscaler(
        dataclasses.replace(nano.components, spec=spec, encode_text=asked.append), "reader"
    )
    upscaler.learn(["a", "b"], suffix="")
    upscaler.learn(["a"], suffix="sharp", negative_prompt="blur")
    upscaler.learn(["a"], suffix="", guidance=1.0)
    assert asked == [["a", "b", NEGATIVE_PROMPT], ["a sharp", "blur"], ["a"]]
