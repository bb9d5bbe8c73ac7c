"""The degradation against closed forms, and its draws against the paper's table.

Every statistical check is at the level of one in a thousand, on draws of a fixed seed.
"""

import math
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Generator

from dit4sr_cli.training.degrade import (
    degrade,
    degrade_lightly,
    degrade_once,
    from_pil,
    kernels,
    once,
    passes,
    to_pil,
)
from dit4sr_cli.training.degrade.kernels import Bell, Sinc
from dit4sr_cli.training.degrade.noise import Noise, noisy
from dit4sr_cli.training.degrade.pictures import jpeg

LEVEL = 1e-3
DRAWS = 20_000
KINDS = {
    ("gaussian", True): 0.45,
    ("gaussian", False): 0.25,
    ("generalized", True): 0.12,
    ("generalized", False): 0.03,
    ("plateau", True): 0.12,
    ("plateau", False): 0.03,
}
SIZES = (7, 9, 11, 13, 15, 17, 19, 21)


def _photo(seed=0, side=64):
    coarse = torch.rand(1, 3, side // 4, side // 4, generator=Generator().manual_seed(seed))
    return torch.nn.functional.interpolate(coarse, size=(side, side), mode="bicubic").clamp(0, 1)[0]


def assert_shares(found, expected):
    """Chi-square: counts of what was drawn against probabilities; nothing else was drawn."""
    counts, total = Counter(found), len(found)
    assert set(counts) <= set(expected)
    statistic = sum(
        (counts[key] - total * share) ** 2 / (total * share) for key, share in expected.items()
    )
    freedom = torch.tensor((len(expected) - 1) / 2, dtype=torch.float64)
    half = torch.tensor(statistic / 2, dtype=torch.float64)
    assert float(torch.special.gammaincc(freedom, half)) > LEVEL, (counts, expected)


def assert_uniform(found, low, high):
    """Kolmogorov-Smirnov, and both ends: none beyond, and as near as so many draws come."""
    values, count = np.sort(np.asarray(found, dtype=float)), len(found)
    assert count > 100
    shares = (values - low) / (high - low)
    ranks = np.arange(count + 1) / count
    distance = max((ranks[1:] - shares).max(), (shares - ranks[:-1]).max())
    assert distance * math.sqrt(count) < math.sqrt(-math.log(LEVEL / 2) / 2)
    margin = -math.log(LEVEL) / count
    assert 0 <= shares[0] < margin and 1 - margin < shares[-1] <= 1


# ------------------------------------------------------------------------- kernels


@pytest.mark.parametrize(("size", "sigma"), [(7, 0.4), (21, 1.5), (21, 3.0)])
def test_a_round_gaussian_has_its_closed_form(size, sigma):
    axis = np.arange(size) - size // 2
    expected = np.exp(-(axis[:, None] ** 2 + axis[None] ** 2) / (2 * sigma**2))
    np.testing.assert_allclose(Bell(size, sigma, sigma).weights(), expected / expected.sum())


@pytest.mark.parametrize("angle", [0.0, 0.3, -1.1, math.pi / 2, 3.0])
def test_moments_of_a_gaussian_are_its_sigmas_along_its_axes(angle):
    weights = Bell(41, 2.0, 1.2, angle).weights().numpy()
    axis = np.arange(41) - 20
    x, y = np.meshgrid(axis, axis)
    along, across = np.cos(angle) * x + np.sin(angle) * y, np.cos(angle) * y - np.sin(angle) * x
    assert (weights * along**2).sum() == pytest.approx(2.0**2, rel=1e-3)
    assert (weights * across**2).sum() == pytest.approx(1.2**2, rel=1e-3)
    assert (weights * along * across).sum() == pytest.approx(0, abs=1e-3)


@pytest.mark.parametrize("bell", [Bell(15, 1.7, 1.7), Bell(15, 2.0, 0.6, 0.7)])
def test_exponent_one_is_the_plain_gaussian_and_the_cauchy_like_plateau(bell):
    plain = bell.weights()
    torch.testing.assert_close(replace(bell, shape="generalized", beta=1.0).weights(), plain)
    plateau = replace(bell, shape="plateau", beta=1.0).weights()
    q = -2 * (plain / plain.max()).log()  # what the Gaussian says of the distance
    torch.testing.assert_close(plateau / plateau.max(), 1 / (1 + q))


@pytest.mark.parametrize("beta", [0.5, 1.3, 4.0])
def test_generalised_and_plateau_bells_have_their_closed_forms(beta):
    axis = torch.arange(21, dtype=torch.float64) - 10
    q = (axis[None] / 2.5) ** 2 + (axis[:, None] / 2.5) ** 2
    for shape, expected in (
        ("generalized", torch.exp(-(q**beta) / 2)),
        ("plateau", 1 / (1 + q**beta)),
    ):
        weights = Bell(21, 2.5, 2.5, shape=shape, beta=beta).weights()
        torch.testing.assert_close(weights, expected / expected.sum())


def _bessel_j1(x):
    """Its integral: J1(x) = 1/pi int_0^pi cos(t - x sin t) dt, by the midpoint rule."""
    t = (np.arange(4000) + 0.5) * math.pi / 4000
    return np.cos(t - np.asarray(x)[..., None] * np.sin(t)).mean(-1)


@pytest.mark.parametrize("cutoff", [math.pi / 5, math.pi / 2, math.pi])
def test_a_sinc_has_bessels_closed_form(cutoff):
    axis = np.arange(13) - 6
    radius = np.hypot(axis[:, None], axis[None])
    radius[6, 6] = 1e-6
    expected = cutoff * _bessel_j1(cutoff * radius) / (2 * math.pi * radius)
    np.testing.assert_allclose(Sinc(13, cutoff).weights(), expected / expected.sum(), atol=1e-7)


@pytest.mark.parametrize("cutoff", [math.pi / 3, math.pi / 2])
def test_a_sinc_passes_what_is_below_its_cutoff_and_stops_what_is_above(cutoff):
    response = torch.fft.fft2(Sinc(21, cutoff).weights(), (256, 256)).abs()
    frequency = torch.fft.fftfreq(256) * math.tau
    radius = torch.hypot(frequency[:, None], frequency[None])
    # Cut to 21 px, its edge is as wide as a period of that.
    assert (response[radius < cutoff - math.tau / 21] - 1).abs().max() < 0.17
    assert response[radius > cutoff + math.tau / 21].max() < 0.15
    at_cutoff = response[(radius - cutoff).abs() < 0.02].mean()
    assert at_cutoff == pytest.approx(0.5, abs=0.05)


def test_filtering_is_a_convolution_with_reflected_borders():
    image = _photo(side=32).double()
    kernel = Bell(7, 2.0, 0.8, 0.5)
    padded = np.pad(image.numpy(), ((0, 0), (3, 3), (3, 3)), mode="reflect")
    expected = np.zeros((3, 32, 32))
    for y in range(7):
        for x in range(7):
            shifted = padded[:, y : y + 32, x : x + 32]
            expected += float(kernel.weights()[y, x]) * shifted
    np.testing.assert_allclose(kernels.filtered(image, kernel), expected, atol=1e-12)
    assert kernels.filtered(image, None) is image


# --------------------------------------------------------------------- the table


@pytest.fixture(scope="module")
def plans():
    generator = Generator().manual_seed(1)
    return [passes.draw(generator) for _ in range(DRAWS)]


TABLE = {
    "first": {
        "blurred": 1.0,
        "sigma": (0.2, 3.0),
        "up_down_keep": (0.2, 0.7, 0.1),
        "range": (0.3, 1.5),
        "gaussian": (1.0, 15.0),
        "poisson": (0.05, 2.0),
        "quality": (60, 95),
    },
    "second": {
        "blurred": 0.5,
        "sigma": (0.2, 1.5),
        "up_down_keep": (0.3, 0.4, 0.3),
        "range": (0.6, 1.2),
        "gaussian": (1.0, 12.0),
        "poisson": (0.05, 1.0),
        "quality": (60, 100),
    },
}


@pytest.fixture(params=TABLE)
def one_pass(request, plans):
    """The row of the table, and the draws that it should have ruled."""
    return TABLE[request.param], [getattr(plan, request.param) for plan in plans]


def test_kernels_are_as_frequent_as_the_table_says(one_pass):
    row, drawn = one_pass
    blurred = [one.kernel for one in drawn if one.kernel is not None]
    if row["blurred"] == 1:
        assert len(blurred) == DRAWS
    else:
        assert_shares(
            [one.kernel is not None for one in drawn],
            {True: row["blurred"], False: 1 - row["blurred"]},
        )
    assert_shares([isinstance(k, Sinc) for k in blurred], {True: 0.1, False: 0.9})
    assert_shares([k.size for k in blurred], dict.fromkeys(SIZES, 1 / 8))
    bells = [k for k in blurred if isinstance(k, Bell)]
    assert_shares([(k.shape, k.sigma_x == k.sigma_y) for k in bells], KINDS)


def test_widths_angles_and_exponents_cover_their_ranges(one_pass):
    row, drawn = one_pass
    bells = [one.kernel for one in drawn if isinstance(one.kernel, Bell)]
    tilted = [k for k in bells if k.sigma_x != k.sigma_y]
    assert_uniform([k.sigma_x for k in bells], *row["sigma"])
    assert_uniform([k.sigma_y for k in tilted], *row["sigma"])
    assert_uniform([k.angle for k in tilted], -math.pi, math.pi)
    assert all(k.angle == 0 for k in bells if k.sigma_x == k.sigma_y)
    assert all(k.beta == 1 for k in bells if k.shape == "gaussian")
    generalized = [k.beta for k in bells if k.shape == "generalized"]
    assert_uniform([beta for beta in generalized if beta < 1], 0.5, 1.0)
    assert_uniform([beta for beta in generalized if beta > 1], 1.0, 4.0)
    plateaus = [k.beta for k in bells if k.shape == "plateau"]
    assert_uniform([beta for beta in plateaus if beta != 1], 1.0, 2.0)
    for betas, is_low in ((generalized, lambda b: b < 1), (plateaus, lambda b: b == 1)):
        assert_shares([is_low(beta) for beta in betas], {True: 0.5, False: 0.5})


def test_cutoffs_cover_their_ranges(plans):
    sincs = [
        one.kernel
        for plan in plans
        for one in (plan.first, plan.second)
        if isinstance(one.kernel, Sinc)
    ]
    assert_uniform([k.cutoff for k in sincs if k.size < 13], math.pi / 3, math.pi)
    assert_uniform([k.cutoff for k in sincs if k.size >= 13], math.pi / 5, math.pi)
    assert min(k.cutoff for k in sincs if k.size == 13) < math.pi / 3


def test_sizes_are_changed_as_the_table_says(one_pass):
    row, drawn = one_pass
    factors = [one.factor for one in drawn]
    up, down, keep = row["up_down_keep"]
    kinds = ["up" if f > 1 else "down" if f < 1 else "keep" for f in factors]
    assert_shares(kinds, {"up": up, "down": down, "keep": keep})
    assert_uniform([f for f in factors if f > 1], 1.0, row["range"][1])
    assert_uniform([f for f in factors if f < 1], row["range"][0], 1.0)
    thirds = dict.fromkeys(("area", "bilinear", "bicubic"), 1 / 3)
    assert_shares([one.mode for one in drawn], thirds)


def test_noise_and_quality_are_drawn_as_the_table_says(one_pass):
    row, drawn = one_pass
    noises = [one.noise for one in drawn]
    assert_shares([n.kind for n in noises], {"gaussian": 0.5, "poisson": 0.5})
    for kind, scale in (("gaussian", 255), ("poisson", 1)):
        some = [n for n in noises if n.kind == kind]
        assert_uniform([n.strength * scale for n in some], *row[kind])
        assert_shares([n.is_grey for n in some], {True: 0.4, False: 0.6})
    low, high = row["quality"]
    each = 1 / (high - low + 1)
    assert_shares([one.quality for one in drawn], dict.fromkeys(range(low, high + 1), each))


def test_the_last_filter_comes_on_either_side_of_the_last_jpeg(plans):
    assert_shares([plan.is_jpeg_last for plan in plans], {True: 0.5, False: 0.5})
    assert_shares([plan.last_kernel is not None for plan in plans], {True: 0.8, False: 0.2})
    last = [plan.last_kernel for plan in plans if plan.last_kernel is not None]
    assert_shares([k.size for k in last], dict.fromkeys(SIZES, 1 / 8))
    assert_uniform([k.cutoff for k in last], math.pi / 3, math.pi)
    thirds = dict.fromkeys(("area", "bilinear", "bicubic"), 1 / 3)
    assert_shares([plan.last_mode for plan in plans], thirds)


# ------------------------------------------------------------------------- noise


@pytest.mark.parametrize("is_grey", [True, False])
def test_gaussian_noise_has_its_deviation_and_is_grey_or_not(is_grey):
    image = torch.full((3, 128, 128), 0.5)
    noise = noisy(image, Noise("gaussian", 0.04, is_grey), Generator().manual_seed(0)) - image
    count = noise[0].numel()
    assert abs(noise.mean()) < 0.04 * 3.3 / math.sqrt(count)
    for channel in noise:
        assert channel.std().item() == pytest.approx(0.04, rel=3.3 / math.sqrt(2 * count))
    _assert_grey(noise, is_grey)


@pytest.mark.parametrize("is_grey", [True, False])
def test_photon_noise_has_mean_0_and_variance_v_by_levels(is_grey):
    """Half of the picture at 51 of 255, half at 204; 32 levels, as there are 17 to 32 values."""
    image = torch.full((3, 128, 256), 51 / 255)
    image[..., 128:] = 204 / 255
    image[:, 0, :30] = torch.arange(30) / 255
    noise = noisy(image, Noise("poisson", 1.0, is_grey), Generator().manual_seed(0)) - image
    for half, value in ((noise[:, 1:, :128], 51 / 255), (noise[:, 1:, 128:], 204 / 255)):
        for channel in half:
            count = channel.numel()
            variance = value / 32
            assert abs(channel.mean()) < 3.3 * math.sqrt(variance / count)
            # Of a Poisson variable: the variance's own deviation, with its kurtosis.
            spread = 3.3 * math.sqrt((2 + 1 / (value * 32)) / count)
            assert channel.var().item() == pytest.approx(variance, rel=spread)
    _assert_grey(noise, is_grey)


def test_photon_noise_grows_with_its_scale_and_with_fewer_values():
    flat = torch.full((3, 64, 64), 0.5)
    fine = flat.clone()
    fine[:, 0, :] = torch.linspace(0, 1, 64)

    def deviation(image, scale):
        noise = noisy(image, Noise("poisson", scale, True), Generator().manual_seed(3)) - image
        return noise[:, 1:].std().item()

    assert deviation(flat, 2.0) == pytest.approx(2 * deviation(flat, 1.0), rel=1e-4)
    # One value is one level, 65 values are 128.
    assert deviation(flat, 1.0) == pytest.approx(math.sqrt(128) * deviation(fine, 1.0), rel=0.1)


def _assert_grey(noise, is_grey):
    same = (noise[0] - noise[1]).abs().max() < 1e-6 and (noise[0] - noise[2]).abs().max() < 1e-6
    assert same == is_grey
    if not is_grey:
        pair = torch.stack([noise[0].flatten(), noise[1].flatten()])
        assert abs(torch.corrcoef(pair)[0, 1]) < 3.3 / math.sqrt(noise[0].numel())


# ---------------------------------------------------------------- what comes out


def test_a_result_is_a_function_of_picture_and_seed():
    a, b, c = (degrade(_photo(), Generator().manual_seed(seed)) for seed in (1, 1, 2))
    assert torch.equal(a, b) and not torch.equal(a, c)
    assert not torch.equal(a, degrade(_photo(1), Generator().manual_seed(1)))


@pytest.mark.parametrize(("height", "width"), [(64, 64), (96, 160), (76, 44)])
def test_the_size_is_a_quarter_and_the_values_are_of_8_bits(height, width):
    image = torch.rand(3, height, width, generator=Generator().manual_seed(0))
    for seed in range(8):
        small = degrade(image, Generator().manual_seed(seed))
        assert small.shape == (3, height // 4, width // 4)
        assert small.min() >= 0 and small.max() <= 1
        assert torch.equal(from_pil(to_pil(small)), small)


@pytest.mark.parametrize("seed", range(30))
def test_any_draw_keeps_the_picture_recognisable_and_in_its_place(seed):
    small = degrade(_photo(), Generator().manual_seed(seed))
    expected = torch.nn.functional.avg_pool2d(_photo()[None], 4)[0]
    assert abs(small.mean() - expected.mean()) < 0.1
    assert (small - expected).abs().mean() < (small.flip(2) - expected).abs().mean()


def _quiet_plan(**changes):
    """Nothing is done, but for what a test is about."""
    one = passes.OnePass(None, 1.0, "area", Noise("gaussian", 0.0, False), 95)
    return replace(passes.Degradation(one, one, "area", None, False), **changes)


def test_each_pass_works_at_its_own_size(monkeypatch):
    seen = []

    def spy(image, noise, generator):
        seen.append(tuple(image.shape[1:]))
        return image

    monkeypatch.setattr(passes, "noisy", spy)
    plan = _quiet_plan()
    plan = replace(plan, first=replace(plan.first, factor=1.37))
    plan = replace(plan, second=replace(plan.second, factor=0.71))
    small = passes.apply(torch.rand(3, 64, 96), plan, Generator())
    assert seen == [(int(64 * 1.37), int(96 * 1.37)), (int(16 * 0.71), int(24 * 0.71))]
    assert small.shape == (3, 16, 24)


def test_both_orders_of_the_last_filter():
    """What a JPEG wrote last is a JPEG's to the bit; the filter, where it is last, undoes that."""
    ringing = Sinc(21, math.pi / 3)
    photo = _photo(side=128)
    plan = _quiet_plan(last_kernel=ringing)
    reduced = torch.nn.functional.interpolate(jpeg(photo, 95)[None], size=(32, 32), mode="area")[0]
    before = jpeg(kernels.filtered(reduced, ringing), 95)
    after = kernels.filtered(jpeg(reduced, 95), ringing).clamp(0, 1)
    last, first = (
        passes.apply(photo, replace(plan, is_jpeg_last=is_last), Generator())
        for is_last in (True, False)
    )
    assert torch.equal(last, before)
    torch.testing.assert_close(first, after, atol=0.5 / 255 + 1e-6, rtol=0)
    assert not torch.equal(first, last)


def test_interpolations_are_those_of_their_names():
    ramp = torch.linspace(0, 1, 64).expand(3, 64, 64).contiguous()
    ramp[..., 20] = 1.0  # a line that only `area` cannot miss when it reduces by four
    results = {
        mode: passes._resized(ramp, (16, 16), mode) for mode in ("area", "bilinear", "bicubic")
    }
    torch.testing.assert_close(results["area"], torch.nn.functional.avg_pool2d(ramp[None], 4)[0])
    torch.testing.assert_close(results["bilinear"], (ramp[:, 1::4, 1::4] + ramp[:, 1::4, 2::4]) / 2)
    assert not torch.equal(results["bicubic"], results["bilinear"])


def test_jpeg_is_libjpegs_and_worse_at_lower_quality():
    errors = [(jpeg(_photo(), q) - _photo()).abs().mean() for q in (100, 95, 60, 20)]
    assert errors == sorted(errors) and errors[0] > 0


def test_light_degradation_is_bicubic_or_its_jpeg():
    errors = []
    for seed in range(20):
        small = degrade_lightly(_photo(), Generator().manual_seed(seed))
        plain = from_pil(to_pil(_photo()).resize((16, 16), Image.Resampling.BICUBIC))
        errors.append(float((small - plain).abs().mean()))
    assert 4 <= sum(error == 0 for error in errors) <= 16
    assert 0 < max(errors) < 0.25


def test_one_pass_lies_between_bicubic_and_the_papers_two():
    generators = [Generator().manual_seed(seed) for seed in range(40)]
    errors = {}
    plain = from_pil(to_pil(_photo()).resize((16, 16), Image.Resampling.BICUBIC))
    for how in (degrade_lightly, degrade_once, degrade):
        results = [how(_photo(), generator) for generator in generators]
        assert all(small.shape == (3, 16, 16) for small in results)
        assert all(torch.equal(small, (small * 255).round() / 255) for small in results)
        errors[how] = sum(float((small - plain).abs().mean()) for small in results)
    assert errors[degrade_lightly] < errors[degrade_once] < errors[degrade]


def test_one_pass_is_a_function_of_the_seed():
    first, again, other = (
        degrade_once(_photo(), Generator().manual_seed(seed)) for seed in (3, 3, 4)
    )
    assert torch.equal(first, again) and not torch.equal(first, other)


def _once(**settings):
    """The camera's settings with everything left out but what is named."""
    nothing = replace(
        once.table.ONCE,
        blur_probability=0,
        aliased_probability=0,
        noise_sigma=(0, 0),
        poisson_scale=(0, 0),
        sharpened_probability=0,
        jpeg_probability=0,
    )
    return replace(nothing, **settings)


def test_aliased_pixels_are_the_middle_of_their_square(monkeypatch):
    monkeypatch.setattr(once.table, "ONCE", _once(aliased_probability=1))
    small = degrade_once(_photo(), Generator().manual_seed(0))
    pixels = _photo().numpy()
    middles = sum(pixels[:, y::4, x::4] for y in (1, 2) for x in (1, 2)) / 4
    np.testing.assert_allclose(small, middles, atol=0.51 / 255)


def test_a_slanting_edge_steps_only_where_pixels_see_their_middle(monkeypatch):
    y, x = torch.meshgrid(torch.arange(256.0), torch.arange(256.0), indexing="ij")
    edge = (y > 100 + x / 8).float().expand(3, -1, -1)
    between = []
    for probability in (0, 1):
        monkeypatch.setattr(once.table, "ONCE", _once(aliased_probability=probability))
        small = degrade_once(edge, Generator().manual_seed(0))
        between.append(int(((small > 0.05) & (small < 0.95)).sum()))
    assert between[1] < 0.7 * between[0]


def test_sharpening_adds_what_a_bell_takes_away(monkeypatch):
    settings = _once(
        sharpened_probability=1, sharpened_sigma=(0.8, 0.8), sharpened_amount=(1.5, 1.5)
    )
    monkeypatch.setattr(once.table, "ONCE", settings)
    sharp = degrade_once(_photo(), Generator().manual_seed(1))
    monkeypatch.setattr(once.table, "ONCE", _once())
    plain = degrade_once(_photo(), Generator().manual_seed(1))
    soft = kernels.filtered(plain, Bell(7, 0.8, 0.8))
    expected = (plain + 1.5 * (plain - soft)).clamp(0, 1)
    torch.testing.assert_close(sharp, expected, atol=0.51 / 255, rtol=0)
    assert float((sharp - plain).abs().max()) > 0.02
