"""What `check` says of results that are as they should be, and of results that are not."""

import json
from itertools import pairwise

import numpy as np
import pytest
from helpers.images import scene
from PIL import ImageFilter

from dit4sr_cli.fidelity import colour
from dit4sr_cli.fidelity.check import NUM_WORST, Verdict, check, fits
from dit4sr_cli.fidelity.reduction import reduced
from dit4sr_cli.fidelity.ssim import ssim_map
from dit4sr_cli.imaging.resize import bicubic

WIDTH, HEIGHT = 132, 90


def _large(width=4 * WIDTH, height=4 * HEIGHT):
    """A picture without aliasing, so that reducing and enlarging keep most of it."""
    soft = scene(width, height).filter(ImageFilter.GaussianBlur(3))
    return np.asarray(soft)


@pytest.fixture
def pair():
    large = _large()
    return bicubic(large, (WIDTH, HEIGHT)), large


def _as_16_bits(pixels):
    return pixels.astype(np.uint16) * 257


# ------------------------------------------------------------------------- reduction


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize(("size", "tolerance"), [((60, 40), 0), ((83, 37), 1)])
def test_strips_are_the_rows_of_the_whole(dtype, size, tolerance):
    top = np.iinfo(dtype).max
    pixels = np.random.default_rng(0).integers(0, top + 1, (160, 240, 3)).astype(dtype)
    whole = bicubic(pixels, size).astype(int)
    cuts = [0, 1, 17, size[1]]
    for first, last in pairwise(cuts):
        strip = reduced(pixels, size, (first, last)).astype(int)
        assert abs(strip - whole[first:last]).max() <= tolerance


# --------------------------------------------------------------------------- figures


def test_what_reduces_to_the_source_is_identical(pair):
    found = check(*pair)
    assert found.verdict is Verdict.FAITHFUL
    assert (found.psnr, found.mean, found.p95, found.drift) == (np.inf, 0, 0, 0)
    assert found.ssim == pytest.approx(1)
    assert found.likeness == pytest.approx(1)
    assert json.loads(json.dumps(found.as_json(tiles=True)))["psnr"] is None


def test_figures_are_those_of_the_whole_picture(pair):
    source, large = pair
    noisy = np.random.default_rng(0).normal(large, 25).clip(0, 255).astype(np.uint8)
    found = check(source, noisy)
    light = [colour.linear(pixels).astype(float) for pixels in (source, bicubic(noisy, (132, 90)))]
    labs = [colour.lab(value) for value in light]
    differences = colour.ciede2000(*labs)
    assert found.psnr == pytest.approx(
        -10 * np.log10(((light[0] - light[1]) ** 2).mean()), abs=0.01
    )
    assert found.mean == pytest.approx(differences.mean(), rel=1e-3)
    assert found.p95 == pytest.approx(np.percentile(differences, 95), abs=0.02)
    planes = [lab[..., 0].astype(np.float32) for lab in labs]
    assert found.ssim == pytest.approx(float(ssim_map(*planes).mean()), abs=1e-3)


def test_tiles_cover_the_result_and_agree_with_the_whole(pair):
    source, large = pair
    found = check(source, np.roll(large, 3, axis=1))
    covered = np.zeros(large.shape[:2], int)
    for tile in found.tiles:
        covered[tile.y : tile.y + tile.height, tile.x : tile.x + tile.width] += 1
    assert (covered == 1).all()
    assert len(found.tiles) == 2
    areas = [tile.width * tile.height for tile in found.tiles]
    assert np.average([t.mean for t in found.tiles], weights=areas) == pytest.approx(
        found.mean, 0.01
    )


def test_ssim_is_the_formula_with_a_gaussian_window():
    x, y = np.random.default_rng(0).random((2, 30, 40)) * 100
    offsets = np.arange(-5, 6)
    weights = np.exp(-(offsets[:, None] ** 2 + offsets**2) / (2 * 1.5**2))
    weights /= weights.sum()
    a, b = x[7:18, 12:23], y[7:18, 12:23]  # around row 12, column 17
    mean_a, mean_b = (weights * a).sum(), (weights * b).sum()
    var_a, var_b = (weights * (a - mean_a) ** 2).sum(), (weights * (b - mean_b) ** 2).sum()
    covariance = (weights * (a - mean_a) * (b - mean_b)).sum()
    wanted = (2 * mean_a * mean_b + 1) / (mean_a**2 + mean_b**2 + 1)
    wanted *= (2 * covariance + 9) / (var_a + var_b + 9)
    found = ssim_map(x.astype(np.float32), y.astype(np.float32))
    assert found[12, 17] == pytest.approx(wanted, abs=1e-4)


def test_a_flat_picture_has_no_trouble():
    grey = np.full((20, 30, 3), 128, np.uint8)
    assert check(grey, np.full((80, 120, 3), 128, np.uint8)).verdict is Verdict.FAITHFUL
    assert check(grey, np.full((80, 120, 3), 129, np.uint8)).verdict is Verdict.FAITHFUL


# -------------------------------------------------------------------------- verdicts


def test_three_levels_of_one_channel_are_noticed(pair):
    source, large = pair
    found = check(source, np.clip(large.astype(int) + np.array([0, 3, 0]), 0, 255).astype(np.uint8))
    assert found.verdict is Verdict.CLOSE
    assert any("drift" in reason for reason in found.reasons)


def test_a_small_invented_thing_is_found_where_it_is(pair):
    source, large = pair
    painted = large.copy()
    painted[200:232, 300:332] = (255, 0, 255)
    found = check(source, painted)
    assert found.verdict is Verdict.CHANGED
    worst = found.worst[0]
    assert worst.x < 332
    assert worst.x + worst.width > 300
    assert worst.y < 232
    assert worst.y + worst.height > 200
    assert found.mean < 1  # which no figure of the whole picture tells
    assert len(found.worst) <= NUM_WORST


@pytest.mark.parametrize("turn", [lambda x: x[::-1, ::-1], lambda x: 255 - x])
def test_another_picture_is_another_picture(pair, turn):
    source, large = pair
    found = check(source, np.ascontiguousarray(turn(large)))
    assert found.verdict is Verdict.DIFFERENT
    assert not found.verdict.holds
    assert found.reasons == ("these are not the same picture",)


# ------------------------------------------------------------------ kinds of pictures


@pytest.mark.parametrize("scale", [1.0, 1.5, 2.0, 8.0])
def test_any_scale(scale):
    size = round(120 * scale), round(70 * scale)
    large = _large(*size)
    found = check(bicubic(large, (120, 70)), large)
    assert found.verdict is Verdict.FAITHFUL
    assert found.mean < 0.01


@pytest.mark.parametrize("long_edge", [301, 517, 999])
def test_any_long_edge(long_edge):
    source = np.asarray(scene(132, 57).filter(ImageFilter.GaussianBlur(2)))
    size = long_edge, round(57 * long_edge / 132)
    assert fits((132, 57), size)
    assert check(source, bicubic(source, size)).verdict is Verdict.FAITHFUL


def test_depths_mix(pair):
    source, large = pair
    for a in (source, _as_16_bits(source)):
        for b in (large, _as_16_bits(large)):
            found = check(a, b)
            assert found.verdict is Verdict.FAITHFUL
            assert found.mean < 0.5


def test_grey_is_compared_with_grey_and_with_colour(pair):
    source, large = (pixels[..., 1] for pixels in pair)
    assert check(source, large).mean == 0
    assert check(source[..., None], np.repeat(large[..., None], 3, axis=2)).mean < 0.01


def test_alpha_is_left_out(pair):
    source, large = pair
    alpha = np.random.default_rng(0).integers(0, 256, (*large.shape[:2], 1), dtype=np.uint8)
    assert check(source, np.concatenate([large, alpha], axis=2)).mean == 0


def test_thin_pictures():
    for size in ((1, 1), (1, 50), (70, 2)):
        source = np.asarray(scene(*size).resize(size))
        found = check(source, bicubic(source, (size[0] * 4, size[1] * 4)))
        assert np.isfinite(found.mean)


@pytest.mark.parametrize("size", [(90, 132), (66, 45), (528, 400)])
def test_sizes_that_do_not_fit_are_refused(pair, size):
    with pytest.raises(ValueError, match="no enlargement"):
        check(pair[0], bicubic(pair[1], size))


def test_strips_do_not_hold_the_picture(pair):
    """Many rows of tiles give what one gives: the sums do not know where strips end."""
    tall = np.concatenate([pair[1]] * 4)
    size = (WIDTH, 4 * HEIGHT)
    moved = np.roll(tall, 5, axis=1)
    source = bicubic(tall, size)
    found = check(source, moved)
    labs = [colour.lab(colour.linear(pixels)) for pixels in (source, bicubic(moved, size))]
    assert found.mean == pytest.approx(colour.ciede2000(*labs).mean(), rel=1e-3)
    assert len(found.tiles) == 2 * 6
