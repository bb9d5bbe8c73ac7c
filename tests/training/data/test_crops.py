import math

import numpy as np
from torch import Generator

from dit4sr_cli.core.types import Size
from dit4sr_cli.training.data.crops import CropSettings, cut, share_out, usual_count


def _places(height, width):
    """A picture whose pixels say where they are."""
    y, x = np.mgrid[0:height, 0:width]
    return np.stack([y * 255 / height, x * 255 / width, 0 * y], axis=-1).astype(np.uint8)


def test_crops_of_a_photograph_of_their_own_size_are_all_of_it():
    photograph = _places(64, 64)
    crop = cut(photograph, CropSettings(size=64), Generator().manual_seed(0))
    np.testing.assert_array_equal(crop, photograph)


def test_small_photographs_are_never_reduced_and_crops_lie_on_no_grid():
    photograph = np.random.default_rng(0).integers(0, 255, (100, 127, 3), dtype=np.uint8)
    places = set()
    for seed in range(60):
        crop = cut(photograph, CropSettings(size=64), Generator().manual_seed(seed))
        found = [
            (y, x)
            for y in range(100 - 64 + 1)
            for x in range(127 - 64 + 1)
            if np.array_equal(photograph[y, x], crop[0, 0])
            and np.array_equal(photograph[y : y + 64, x : x + 64], crop)
        ]
        places |= set(found)
    assert len(places) > 55
    assert {y for y, _ in places} >= {0} or min(y for y, _ in places) < 4
    assert len({x % 8 for _, x in places}) == 8


def test_crops_of_large_photographs_are_reduced_by_all_factors_up_to_the_largest():
    photograph = _places(1000, 1400)
    spans = []
    for seed in range(150):
        crop = cut(
            photograph, CropSettings(size=64, max_reduction=4), Generator().manual_seed(seed)
        )
        assert crop.shape == (64, 64, 3)
        spans.append((int(crop[-1, 0, 0]) - int(crop[0, 0, 0])) * 1000 / 255 / 63)
    assert 0.9 < min(spans) < 1.15 and 3.5 < max(spans) < 4.2
    # Log-uniform: half of them below the root.
    assert 0.35 < np.mean(np.array(spans) < 2) < 0.65
    half = [cut(photograph, CropSettings(size=256), Generator().manual_seed(i)) for i in range(40)]
    spans = [(int(c[-1, 0, 0]) - int(c[0, 0, 0])) * 1000 / 255 / 255 for c in half]
    assert max(spans) < 1000 / 512 + 0.1  # a window has at most half of the shorter side
    assert all(
        len(np.unique(cut(photograph, CropSettings(size=64, max_reduction=1), g)[:, 0, 0])) < 20
        for g in [Generator().manual_seed(i) for i in range(5)]
    )


def test_half_are_mirrored_if_asked_for_and_lie_where_they_would_anyway():
    photograph = _places(100, 100)
    flipped = 0
    for seed in range(60):
        plain, mirrored = (
            cut(photograph, CropSettings(size=64, mirror=m), Generator().manual_seed(seed))
            for m in (False, True)
        )
        is_flipped = not np.array_equal(plain, mirrored)
        np.testing.assert_array_equal(plain, mirrored[:, ::-1] if is_flipped else mirrored)
        flipped += is_flipped
    assert 15 <= flipped <= 45  # four deviations


def test_counts_follow_the_area_or_share_out_a_total():
    assert usual_count(Size(512, 512), 512) == 1
    assert usual_count(Size(2048, 2048), 512) == 4
    assert usual_count(Size(6000, 4000), 512) == 16
    sizes = [Size(100, 100), Size(400, 400), None, Size(100, 100)]
    assert share_out(60, sizes) == [10, 40, 0, 10]
    assert sum(share_out(61, sizes)) == 61
    assert share_out(5, [None]) == [0]
    assert math.isclose(sum(share_out(7, [Size(9, 9)] * 3)), 7)
