import math

import numpy as np
import pytest
import torch
from torch import Generator

from dit4sr_cli.training import degrade as d


def _photo(seed=0, side=64):
    coarse = torch.rand(1, 3, side // 4, side // 4, generator=Generator().manual_seed(seed))
    return torch.nn.functional.interpolate(coarse, size=(side, side), mode="bicubic").clamp(0, 1)[0]


def test_a_picture_is_a_function_of_its_seed():
    a, b, c = (d.degrade(_photo(), Generator().manual_seed(seed)) for seed in (1, 1, 2))
    assert a.shape == (3, 16, 16)
    assert torch.equal(a, b) and not torch.equal(a, c)
    assert a.min() >= 0 and a.max() <= 1


@pytest.mark.parametrize("seed", range(30))
def test_any_draw_keeps_the_picture_recognisable(seed):
    small = d.degrade(_photo(), Generator().manual_seed(seed))
    expected = torch.nn.functional.avg_pool2d(_photo()[None], 4)[0]
    assert small.isfinite().all()
    assert abs(small.mean() - expected.mean()) < 0.1


def test_light_degradation_is_bicubic_or_its_jpeg():
    errors = []
    for seed in range(20):
        small = d.degrade_lightly(_photo(), Generator().manual_seed(seed))
        size = (16, 16)
        plain = d.from_pil(d.to_pil(_photo()).resize(size, d.Image.Resampling.BICUBIC))
        errors.append(float((small - plain).abs().mean()))
    assert 4 <= sum(error == 0 for error in errors) <= 16
    assert 0 < max(errors) < 0.25


def test_gaussian_kernel_has_its_closed_form():
    kernel = d.gaussian_kernel(21, 1.5, 1.5, 0.0, 1.0, plateau=False)
    axis = np.arange(21) - 10
    expected = np.exp(-(axis[:, None] ** 2 + axis[None] ** 2) / (2 * 1.5**2))
    np.testing.assert_allclose(kernel.numpy(), expected / expected.sum(), atol=1e-7)


def test_anisotropic_kernel_turns_with_its_angle():
    flat = d.gaussian_kernel(21, 3.0, 0.7, 0.0, 1.0, plateau=False)
    upright = d.gaussian_kernel(21, 3.0, 0.7, math.pi / 2, 1.0, plateau=False)
    torch.testing.assert_close(flat, upright.T)
    assert flat[10].sum() > 2 * flat[:, 10].sum()


def test_generalised_and_plateau_kernels_have_their_shape():
    generalised = d.gaussian_kernel(21, 2.0, 2.0, 0.0, 4.0, plateau=False)
    plateau = d.gaussian_kernel(21, 2.0, 2.0, 0.0, 2.0, plateau=True)
    # q = 1 at radius 2 and q = 4 at radius 4.
    ratio = generalised[10, 12] / generalised[10, 10]
    assert ratio == pytest.approx(math.exp(-0.5), rel=1e-4)
    assert plateau[10, 14] / plateau[10, 10] == pytest.approx(1 / (1 + 4**2), rel=1e-4)


def test_sinc_kernel_passes_low_and_stops_high_frequencies():
    kernel = d.sinc_kernel(21, math.pi / 2)
    assert kernel.sum() == pytest.approx(1, abs=1e-5)
    response = torch.fft.fft2(kernel, (64, 64)).abs()
    assert response[0, 6] > 0.85 and response[0, 30] < 0.15
    assert (kernel < 0).any()


def test_draws_follow_the_table():
    generator = Generator().manual_seed(0)
    kinds = [d._choose(d._KIND_WEIGHTS, generator) for _ in range(4000)]
    shares = np.bincount(kinds, minlength=6) / 4000
    np.testing.assert_allclose(shares, d._KIND_WEIGHTS, atol=0.025)
    factors = np.array([d._resize_factor(d.FIRST, generator) for _ in range(4000)])
    assert factors.min() >= 0.3 and factors.max() <= 1.5
    assert np.mean(factors > 1) == pytest.approx(0.2, abs=0.025)
    assert np.mean(factors < 1) == pytest.approx(0.7, abs=0.025)


def test_noise_has_its_strength():
    settings = d.Pass(1, (0, 0), (0, 0, 1), (1, 1), (10, 10), (1.0, 1.0), (90, 90))
    grey = torch.full((3, 64, 64), 0.5)
    for seed in range(12):
        noise = d._noisy(grey, settings, Generator().manual_seed(seed)) - grey
        gaussian = noise.std().item() == pytest.approx(10 / 255, rel=0.1)
        # One distinct value: two levels, so the photon noise has variance 0.5 / 2.
        poisson = noise.std().item() == pytest.approx(0.5, rel=0.1)
        assert gaussian or poisson
        assert abs(noise.mean()) < 0.03


def test_jpeg_is_worse_at_lower_quality():
    errors = [(d.jpeg(_photo(), q) - _photo()).abs().mean() for q in (95, 60, 20)]
    assert errors[0] < errors[1] < errors[2]
