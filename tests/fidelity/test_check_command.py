"""`dit4sr check` from outside: the table, the JSON, the exit codes."""

import json

import numpy as np
import pytest
from helpers.cli import run_cli
from helpers.images import scene
from PIL import Image, ImageFilter

from dit4sr_cli.imaging.resize import bicubic


@pytest.fixture
def pair(tmp_path):
    large = np.asarray(scene(400, 280).filter(ImageFilter.GaussianBlur(3)))
    source, result = tmp_path / "scan.png", tmp_path / "out.png"
    Image.fromarray(bicubic(large, (100, 70))).save(source)
    Image.fromarray(large).save(result)
    return source, result


def test_a_table_and_a_verdict(pair):
    done = run_cli("check", *pair)
    assert done.code == 0
    text = done.stdout.decode()
    assert text.startswith("scan.png 100x70 -> out.png 400x280: faithful\n")
    assert "CIEDE2000, mean" in text
    assert "worst places" in text


def test_json_names_the_places_and_the_tiles(pair):
    source, result = pair
    pixels = np.array(Image.open(result))
    pixels[100:140, 200:240] = 255 - pixels[100:140, 200:240]
    Image.fromarray(pixels).save(result)
    found = json.loads(run_cli("check", source, result, "--json").stdout)
    assert found["command"] == "check"
    assert found["verdict"] == "changed"
    worst = found["worst"][0]
    assert 168 < worst["x"] < 240
    assert 68 < worst["y"] < 140
    assert found["tiles"]


def test_strict_ends_with_9_for_what_does_not_hold(pair):
    source, result = pair
    assert run_cli("check", source, result, "--strict").code == 0
    Image.open(result).rotate(180).save(result)
    done = run_cli("check", source, result, "--strict")
    assert done.code == 9
    assert "not the same picture" in done.stderr
    assert run_cli("check", source, result).code == 0


def test_orientation_is_heeded(pair, tmp_path):
    source, result = pair
    tagged = Image.open(source).transpose(Image.Transpose.ROTATE_90)
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned right by a quarter to be upright
    turned = tmp_path / "turned.png"
    tagged.save(turned, exif=exif)
    done = run_cli("check", turned, result)
    assert done.code == 0
    assert "faithful" in done.stdout.decode()


@pytest.mark.parametrize("how", ["swapped", "turned", "cropped"])
def test_sizes_that_cannot_be_are_an_input_error(pair, how):
    source, result = pair
    if how == "turned":
        Image.open(result).transpose(Image.Transpose.ROTATE_90).save(result)
    if how == "cropped":
        Image.open(result).crop((0, 0, 400, 200)).save(result)
    done = run_cli("check", *([result, source] if how == "swapped" else [source, result]))
    hints = {"swapped": "source comes first", "turned": "is turned", "cropped": "shape"}
    assert done.code == 3
    assert "not the same picture" in done.stderr
    assert hints[how] in done.stderr
