from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dit4sr_cli.tiles.grid import Tiling, cover
from dit4sr_cli.weights.resolve import embedded_dir
from dit4sr_cli.weights.spec import ModelSpec, read_spec

side = st.integers(1, 90)


@given(width=side, height=side, size=st.integers(1, 40), data=st.data())
def test_every_cell_is_covered_and_no_tile_leaves_the_grid(width, height, size, data):
    overlap = data.draw(st.integers(0, size - 1))
    for grid in ("even", "reference"):
        boxes = cover(width, height, Tiling(size, overlap, grid))
        covered = np.zeros((height, width), bool)
        for box in boxes:
            assert box.x >= 0 and box.x + box.width <= width
            assert box.y >= 0 and box.y + box.height <= height
            covered[box.y : box.y + box.height, box.x : box.x + box.width] = True
        assert covered.all()
        assert len(boxes) == len(set(boxes))


@given(width=st.integers(20, 200), height=st.integers(20, 200))
def test_even_neighbours_overlap_enough_and_are_never_more_than_the_reference(width, height):
    even = cover(width, height, Tiling(16, 4, "even"))
    reference = cover(width, height, Tiling(16, 4, "reference"))
    assert len(even) <= len(reference)
    xs = sorted({box.x for box in even})
    assert all(a + even[0].width - b >= 4 for a, b in pairwise(xs))


@given(width=st.integers(256, 800), height=st.integers(256, 800))
def test_large_pictures_are_computed_little_more_than_once(width, height):
    """From 4 megapixels on; the released grid takes 2.25 and more."""
    for spec in (ModelSpec(), read_spec(embedded_dir() / "nano")):
        boxes = cover(width, height, Tiling(spec.tile, spec.overlap))
        assert sum(box.width * box.height for box in boxes) <= 1.35 * width * height


@given(width=side, height=side)
def test_tokens_of_two_cells_are_never_cut(width, height):
    for box in cover(2 * width, 2 * height, Tiling(16, 3)):
        assert box.width % 2 == box.height % 2 == 0


def test_reference_is_the_released_grid():
    assert [b.x for b in cover(38, 16, Tiling(16, 6, "reference"))] == [0, 10, 20, 22]


def test_a_tile_no_larger_than_its_overlap_still_ends():
    # The short side shrinks the tile below the overlap: the released code never returns here.
    boxes = cover(400, 10, Tiling(16, 12, "reference"))
    assert boxes[-1].x + boxes[-1].width == 400


def test_a_picture_of_one_tile_is_not_cut():
    assert len(cover(128, 2, Tiling(16, 4))) == 1
    assert len(cover(16, 16, Tiling(16, 4))) == 1


@pytest.mark.parametrize(("size", "overlap"), [(0, 0), (16, 16), (16, -1)])
def test_impossible_tilings_are_refused(size, overlap):
    with pytest.raises(ValueError):
        Tiling(size, overlap)
