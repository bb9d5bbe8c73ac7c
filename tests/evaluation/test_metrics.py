"""The figures against closed forms, and what happens when a package is missing."""

from __future__ import annotations

import math
import sys

import numpy as np
import pytest
from helpers import images

from dit4sr_cli.core.errors import UsageError
from dit4sr_cli.evaluation import metrics


def flat(value, height=32, width=40):
    return np.full((height, width, 3), value, np.uint8)


def photo(width=48, height=40):
    return np.asarray(images.scene(width, height))


def test_luma_is_bt601():
    assert metrics.luma(flat(0))[0, 0] == 16
    assert metrics.luma(flat(255))[0, 0] == pytest.approx(235)
    red = np.array([[[255, 0, 0]]], np.uint8)
    assert metrics.luma(red)[0, 0] == pytest.approx(16 + 65.481)


def test_psnr_of_an_even_offset():
    error = 10 * 219 / 255  # ten levels of grey on the luma's shorter scale
    assert metrics.psnr(flat(110), flat(100)) == pytest.approx(20 * math.log10(255 / error))


def test_psnr_leaves_the_border_out():
    result = flat(100)
    result[:4] = result[-4:] = result[:, :4] = result[:, -4:] = 0
    assert metrics.psnr(result, flat(100)) == math.inf
    result[4, 4] = 0
    assert metrics.psnr(result, flat(100)) < 60


def test_identical_pictures():
    picture = photo()
    assert metrics.psnr(picture, picture) == math.inf
    assert metrics.ssim(picture, picture) == pytest.approx(1)
    assert metrics.sharpness(picture, picture) == 1


def test_ssim_of_flat_pictures_compares_their_means():
    a, b = (float(metrics.luma(flat(value))[0, 0]) for value in (60, 180))
    c1 = (0.01 * 255) ** 2
    expected = (2 * a * b + c1) / (a * a + b * b + c1)
    assert metrics.ssim(flat(60), flat(180)) == pytest.approx(expected)


def test_ssim_of_a_single_window_by_hand():
    rng = np.random.default_rng(1)
    first, second = rng.integers(0, 256, (2, 19, 19, 3), np.uint8)  # 11 x 11 without the border
    x, y = (metrics.luma(image)[4:-4, 4:-4] for image in (first, second))
    offsets = np.arange(11) - 5
    weights = np.exp(-(offsets[:, None] ** 2 + offsets**2) / (2 * 1.5**2))
    weights /= weights.sum()
    mean_x, mean_y = (weights * x).sum(), (weights * y).sum()
    var_x, var_y = (weights * (x - mean_x) ** 2).sum(), (weights * (y - mean_y) ** 2).sum()
    covariance = (weights * (x - mean_x) * (y - mean_y)).sum()
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    expected = (2 * mean_x * mean_y + c1) * (2 * covariance + c2)
    expected /= (mean_x**2 + mean_y**2 + c1) * (var_x + var_y + c2)
    assert metrics.ssim(first, second) == pytest.approx(expected)


def test_sharpness_is_quadratic_in_contrast():
    sharp = photo() // 2 * 2
    soft = (64 + sharp.astype(int) // 2).astype(np.uint8)
    assert metrics.sharpness(soft, sharp) == pytest.approx(0.25)
    assert metrics.sharpness(flat(9), flat(7)) == 1
    assert metrics.sharpness(sharp, flat(7, *sharp.shape[:2])) == math.inf


def test_a_tiny_picture_has_figures():
    for name in metrics.BASIC:
        assert math.isfinite(metrics.METRICS[name].load()(flat(10, 3, 5), flat(90, 3, 5)))


def test_choosing():
    assert [m.name for m in metrics.choose(["ssim", "psnr", "ssim"])] == ["ssim", "psnr"]
    assert [m.name for m in metrics.choose(["all"])] == list(metrics.METRICS)
    with pytest.raises(UsageError, match="'lpips' is no metric") as caught:
        metrics.choose(["psnr", "lpips"])
    assert "stlpips" in caught.value.hint
    with pytest.raises(UsageError, match="no metric is named"):
        metrics.choose([])


@pytest.mark.parametrize("name", ["stlpips", "stlpips-vgg", "dss", "haarpsi", "gmsd"])
def test_a_missing_package_is_named(name, monkeypatch):
    for package in ("piq", "stlpips_pytorch", "stlpips_pytorch.stlpips"):
        monkeypatch.setitem(sys.modules, package, None)  # as if it were not installed
    with pytest.raises(UsageError, match="not installed") as caught:
        metrics.METRICS[name].load()
    assert "dit4sr[eval]" in caught.value.hint


def test_a_package_that_does_not_load_is_reported(monkeypatch):
    def broken(name):
        raise RuntimeError("operator torchvision::nms does not exist")

    monkeypatch.setattr(metrics.importlib, "import_module", broken)
    with pytest.raises(UsageError, match="torchvision::nms"):
        metrics.METRICS["dss"].load()


@pytest.mark.parametrize(
    ("name", "package", "identical"),
    [
        ("stlpips", "stlpips_pytorch.stlpips", 0),
        ("dss", "piq", 1),
        ("haarpsi", "piq", 1),
        ("gmsd", "piq", 0),
    ],
)
def test_perceptual_metrics_know_better_from_worse(name, package, identical):
    try:
        __import__(package)
    except (ImportError, RuntimeError):
        pytest.skip(f"{package} is not installed")
    metric = metrics.METRICS[name]
    measure = metric.load()
    picture = photo(128, 128)
    noise = np.random.default_rng(0).normal(0, 1, picture.shape)
    slight, strong = ((picture + sigma * noise).clip(0, 255).astype(np.uint8) for sigma in (5, 60))
    assert measure(picture, picture) == pytest.approx(identical, abs=1e-3)
    assert metric.is_better(measure(slight, picture), measure(strong, picture))
