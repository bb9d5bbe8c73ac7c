"""The tiles that a part of a grid needs are those of the whole grid, and no others."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dit4sr_cli.core.types import Box, Size
from dit4sr_cli.tiles.blend import blended, cut
from dit4sr_cli.tiles.grid import Tiling, cover
from dit4sr_cli.tiles.part import bounds, divided, grown, inside, multiplied, part_of, touching

WHOLE = Size(100, 60)


@st.composite
def wanted_boxes(draw):
    x, y = draw(st.integers(0, WHOLE.width - 1)), draw(st.integers(0, WHOLE.height - 1))
    width = draw(st.integers(1, WHOLE.width - x))
    return Box(x, y, width, draw(st.integers(1, WHOLE.height - y)))


@settings(deadline=None)  # the first call also warms torch up
@given(wanted_boxes(), st.sampled_from([(16, 4, "even"), (24, 5, "reference"), (80, 8, "even")]))
def test_a_part_is_blended_like_the_whole(wanted, tiling):
    tiling = Tiling(*tiling)
    x = torch.arange(WHOLE.pixels, dtype=torch.float32).reshape(1, 1, WHOLE.height, WHOLE.width)

    def predict(grid):
        # Depends on where in its tile a cell lies, as what a network says of it does.
        return lambda boxes: torch.cat([cut(grid, b) * (1 + torch.arange(b.width)) for b in boxes])

    everything = cover(WHOLE.width, WHOLE.height, tiling)
    whole = blended(predict(x), everything, torch.empty_like(x), tiling=tiling)
    part = part_of(WHOLE, wanted, tiling)
    mine = cut(x, part.box)
    some = blended(predict(mine), part.tiles, torch.empty_like(mine), tiling=tiling)
    # One tile alone is taken as it is, several are weighted and divided again: that rounds.
    torch.testing.assert_close(
        cut(some, inside(part.box, wanted)), cut(whole, wanted), rtol=1e-6, atol=0
    )
    assert part.whole == (len(everything), 0)
    assert len(part.tiles) == len(touching(everything, wanted))


@settings(deadline=None)  # the first call also warms torch up
@given(wanted_boxes())
def test_at_half_the_resolution_tiles_reach_around_those_at_full(wanted):
    tiling = Tiling(16, 4)
    part = part_of(WHOLE, wanted, tiling, is_coarse=True)
    small = bounds(part.coarse)
    assert (small.x, small.y) == (0, 0)
    assert (2 * small.width, 2 * small.height) == (part.box.width, part.box.height)
    assert bounds([part.covered, part.box]) == part.box
    assert bounds([part.covered, wanted]) == part.covered
    half = cover(WHOLE.width // 2, WHOLE.height // 2, tiling)
    corner = Box(part.box.x // 2, part.box.y // 2, 0, 0)
    assert {inside(corner, box) for box in half} >= set(part.coarse)


def test_cells_that_no_tile_covers_are_nothing():
    ones = torch.ones(2, 1, 4, 4)
    tiles = [Box(0, 0, 4, 4), Box(4, 4, 4, 4)]
    out = blended(
        lambda _: ones, tiles, torch.full((1, 1, 8, 9), 7.0), tiling=Tiling(4, 1), batch=2
    )
    assert out.sum() == 32
    assert out[0, 0, 0, 8] == out[0, 0, 7, 0] == 0
    single = blended(lambda _: ones[:1], tiles[:1], out, tiling=Tiling(4, 1))
    assert single.sum() == 16


@pytest.mark.parametrize(
    ("box", "cells"),
    [
        (Box(0, 0, 8, 8), Box(0, 0, 1, 1)),
        (Box(7, 8, 2, 8), Box(0, 1, 2, 1)),
        (Box(9, 1, 1, 1), Box(1, 0, 1, 1)),
    ],
)
def test_cells_around_pixels(box, cells):
    assert divided(box, 8) == cells
    assert bounds([multiplied(cells, 8), box]) == multiplied(cells, 8)


def test_a_margin_ends_at_the_edge():
    assert grown(Box(1, 5, 4, 4), 3, Size(8, 10)) == Box(0, 2, 8, 8)
