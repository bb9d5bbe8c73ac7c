import pytest
import torch
from helpers import parity

from dit4sr_cli.tiles.blend import blended, cut
from dit4sr_cli.tiles.grid import Tiling, cover
from dit4sr_cli.tiles.window import gaussian_reference, ramp


def test_reference_weights_are_the_released_ones():
    for name, expected in parity.tensors("gaussian_weights").items():
        height, width = map(int, name.split("x"))
        assert (gaussian_reference(height, width) - expected).abs().max() <= 1e-12


def test_our_weights_are_symmetric():
    weights = ramp(16, 12, 4)
    torch.testing.assert_close(weights, weights.flip(0))
    torch.testing.assert_close(weights, weights.flip(1))


@pytest.mark.parametrize("overlap", [1, 4, 5])
def test_neighbours_add_up_to_one_over_their_overlap(overlap):
    row = ramp(1, 16, overlap)[0] / ramp(1, 16, overlap).max()
    torch.testing.assert_close(row[:overlap] + row[-overlap:], torch.ones(overlap).double())


@pytest.mark.parametrize("grid", ["even", "reference"])
@pytest.mark.parametrize("batch", [1, 3, 100])
def test_blending_what_was_cut_gives_it_back(grid, batch):
    x = torch.randn(1, 2, 37, 53)
    tiling = Tiling(16, 6, grid)
    boxes = cover(53, 37, tiling)
    finished = []
    out = blended(
        lambda some: torch.cat([cut(x, box) for box in some]),
        boxes,
        torch.empty_like(x),
        tiling=tiling,
        batch=batch,
        after=finished.append,
    )
    torch.testing.assert_close(out, x, rtol=1e-5, atol=1e-5)
    assert sum(finished) == len(boxes)
