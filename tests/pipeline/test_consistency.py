"""The projection: reduced again, a result becomes its source, and keeps its detail."""

import numpy as np
import pytest
from helpers.images import scene
from PIL import Image, ImageFilter

from dit4sr_cli.core.types import Box
from dit4sr_cli.evaluation.pixels import sharpness
from dit4sr_cli.imaging.resize import bicubic
from dit4sr_cli.pipeline import consistency
from dit4sr_cli.pipeline.consistency import bicubic_matrix, project

SIZE = 60, 44


@pytest.fixture
def source():
    return np.asarray(scene(*SIZE).filter(ImageFilter.GaussianBlur(0.7)))


def _result(source, scale=4.0, dtype=np.uint8):
    """Sharper than it should be, too warm, and with made-up grain."""
    size = round(source.shape[1] * scale), round(source.shape[0] * scale)
    sharp = Image.fromarray(source).resize(size, Image.Resampling.LANCZOS)
    pixels = np.asarray(sharp.filter(ImageFilter.UnsharpMask(3, 80))).astype(int)
    grain = np.random.default_rng(0).normal(0, 6, pixels.shape)
    pixels = (pixels + np.array([6, 0, -6]) + grain).clip(0, 255).astype(np.uint8)
    return pixels if dtype == np.uint8 else pixels.astype(np.uint16) * 257


def _distance(result, source):
    size = source.shape[1], source.shape[0]
    error = bicubic(result, size).astype(float) - source
    return float(np.sqrt((error**2).mean()))


@pytest.mark.parametrize(("length", "new"), [(40, 10), (10, 40), (37, 101), (53, 17), (8, 8)])
def test_matrices_are_pillows_bicubic(length, new):
    line = np.random.default_rng(0).random((1, length), np.float32)
    wanted = np.asarray(Image.fromarray(line).resize((new, 1), Image.Resampling.BICUBIC))[0]
    found = bicubic_matrix(length, new, (0, new), (0, length)).numpy() @ line[0]
    np.testing.assert_allclose(found, wanted, atol=1e-6)


def test_a_part_of_a_matrix_is_cut_from_the_whole():
    whole = bicubic_matrix(40, 130, (0, 130), (0, 40))
    part = bicubic_matrix(40, 130, (20, 70), (9, 18))
    assert (part == whole[20:70, 9:18]).all()


@pytest.mark.parametrize("scale", [1.5, 2.0, 4.0])
def test_the_reduced_result_meets_the_source(source, scale):
    result = _result(source, scale)
    before = _distance(result, source)
    project(result, source, strength=1)
    assert before > 5
    assert _distance(result, source) < min(1.0, before / 8)


def test_detail_stays(source):
    result = _result(source)
    projected = result.copy()
    project(projected, source, strength=1)
    assert 0.9 < sharpness(projected, result) < 1.1


def test_strength_goes_from_nothing_to_all(source):
    distances = []
    for strength in (0, 0.25, 0.5, 0.75, 1):
        result = _result(source)
        project(result, source, strength=strength)
        distances.append(_distance(result, source))
        if strength == 0:
            assert (result == _result(source)).all()
    assert distances == sorted(distances, reverse=True)
    assert distances[2] == pytest.approx(distances[0] / 2, rel=0.15)


def test_a_result_that_meets_its_source_stays():
    result = np.asarray(scene(160, 120).filter(ImageFilter.GaussianBlur(3))).copy()
    before = result.copy()
    project(result, bicubic(result, (40, 30)), strength=1)
    assert abs(result.astype(int) - before).max() <= 2


@pytest.mark.parametrize("scale", [2.4, 4.0])
def test_windows_give_what_the_whole_gives(source, scale, monkeypatch):
    whole, parts = _result(source, scale, np.uint16), _result(source, scale, np.uint16)
    project(whole, source.astype(np.uint16) * 257, strength=0.8, iterations=2)
    monkeypatch.setattr(consistency, "WINDOW", 17)
    project(parts, source.astype(np.uint16) * 257, strength=0.8, iterations=2)
    assert abs(whole.astype(int) - parts).max() <= 1  # of 65535


def test_a_window_reads_no_more_than_its_margin(source):
    result = _result(source)
    far = result.copy()
    far[:, 180:] = 0
    at = Box(0, 0, 20, 20)
    _, near = consistency.window(result, source, at, strength=1, iterations=2)
    _, same = consistency.window(far, source, at, strength=1, iterations=2)
    assert (near == same).all()


def test_grey_and_16_bits(source):
    grey = source[..., :1].astype(np.uint16) * 257
    result = _result(source, dtype=np.uint16)[..., :1].copy()
    project(result, grey, strength=1)
    assert result.dtype == np.uint16
    assert _distance(result, grey) < 257
