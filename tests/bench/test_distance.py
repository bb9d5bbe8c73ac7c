"""How far results are apart."""

from __future__ import annotations

import math

import numpy as np
import pytest
from PIL import Image

from dit4sr_cli.bench.distance import between, distance
from dit4sr_cli.core.errors import UsageError


def _save(path, value):
    Image.fromarray(np.full((8, 8, 3), value, np.uint8)).save(path)
    return path


def test_pictures(tmp_path):
    a, b = _save(tmp_path / "a.png", 100), _save(tmp_path / "b.png", 151)
    found = distance(a, b)
    assert found.max_difference == pytest.approx(51 / 255)
    assert found.psnr == pytest.approx(20 * math.log10(5))
    same = distance(a, a)
    assert (same.psnr, same.max_difference) == (math.inf, 0)


def test_latents_are_told_by_their_largest_value(tmp_path):
    a, b = tmp_path / "a.npy", tmp_path / "b.npy"
    np.save(b, np.array([-50.0, 10.0], np.float32))
    np.save(a, np.array([-50.0, 10.5], np.float32))
    assert distance(a, b).max_difference == pytest.approx(0.01)


def test_other_sizes(tmp_path):
    large = tmp_path / "large.png"
    Image.new("RGB", (9, 8)).save(large)
    with pytest.raises(UsageError):
        distance(_save(tmp_path / "a.png", 1), large)


def test_a_hair():
    assert between(np.array([0.0, 1.0]), np.array([0.0, 0.9])).psnr == pytest.approx(
        -10 * math.log10(0.005)
    )
