"""The figures of pixels against closed forms."""

from __future__ import annotations

import math

import numpy as np
import pytest
from helpers import images

from dit4sr_cli.evaluation import pixels


def flat(value, height=32, width=40):
    return np.full((height, width, 3), value, np.uint8)


def photo(width=48, height=40):
    return np.asarray(images.scene(width, height))


def test_luma_is_bt601():
    assert pixels.luma(flat(0))[0, 0] == 16
    assert pixels.luma(flat(255))[0, 0] == pytest.approx(235)
    red = np.array([[[255, 0, 0]]], np.uint8)
    assert pixels.luma(red)[0, 0] == pytest.approx(16 + 65.481)


def test_psnr_of_an_even_offset():
    error = 10 * 219 / 255  # ten levels of grey on the luma's shorter scale
    assert pixels.psnr(flat(110), flat(100)) == pytest.approx(20 * math.log10(255 / error))


def test_psnr_leaves_the_border_out():
    result = flat(100)
    result[:4] = result[-4:] = result[:, :4] = result[:, -4:] = 0
    assert pixels.psnr(result, flat(100)) == math.inf
    result[4, 4] = 0
    assert pixels.psnr(result, flat(100)) < 60


def test_identical_pictures():
    picture = photo()
    assert pixels.psnr(picture, picture) == math.inf
    assert pixels.ssim(picture, picture) == pytest.approx(1)
    assert pixels.sharpness(picture, picture) == 1


def test_ssim_of_flat_pictures_compares_their_means():
    a, b = (float(pixels.luma(flat(value))[0, 0]) for value in (60, 180))
    c1 = (0.01 * 255) ** 2
    expected = (2 * a * b + c1) / (a * a + b * b + c1)
    assert pixels.ssim(flat(60), flat(180)) == pytest.approx(expected)


def test_ssim_of_a_single_window_by_hand():
    rng = np.random.default_rng(1)
    first, second = rng.integers(0, 256, (2, 19, 19, 3), np.uint8)  # 11 x 11 without the border
    x, y = (pixels.luma(image)[4:-4, 4:-4] for image in (first, second))
    offsets = np.arange(11) - 5
    weights = np.exp(-(offsets[:, None] ** 2 + offsets**2) / (2 * 1.5**2))
    weights /= weights.sum()
    mean_x, mean_y = (weights * x).sum(), (weights * y).sum()
    var_x, var_y = (weights * (x - mean_x) ** 2).sum(), (weights * (y - mean_y) ** 2).sum()
    covariance = (weights * (x - mean_x) * (y - mean_y)).sum()
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    expected = (2 * mean_x * mean_y + c1) * (2 * covariance + c2)
    expected /= (mean_x**2 + mean_y**2 + c1) * (var_x + var_y + c2)
    assert pixels.ssim(first, second) == pytest.approx(expected)


def test_sharpness_is_quadratic_in_contrast():
    sharp = photo() // 2 * 2
    soft = (64 + sharp.astype(int) // 2).astype(np.uint8)
    assert pixels.sharpness(soft, sharp) == pytest.approx(0.25)
    assert pixels.sharpness(flat(9), flat(7)) == 1
    assert pixels.sharpness(sharp, flat(7, *sharp.shape[:2])) == math.inf


def test_a_tiny_picture_has_figures():
    for measure in (pixels.psnr, pixels.ssim, pixels.sharpness):
        assert math.isfinite(measure(flat(10, 3, 5), flat(90, 3, 5)))
