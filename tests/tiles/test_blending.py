import pytest
import torch
from helpers import parity

from dit4sr_cli.tiles.blend import blended, cut
from dit4sr_cli.tiles.grid import Tiling, cover
from dit4sr_cli.tiles.window import gaussian, gaussian_reference


def test_reference_weights_are_the_released_ones():
    for name, expected in parity.tensors("gaussian_weights").items():
        height, width = map(int, name.split("x"))
        assert (gaussian_reference(height, width) - expected).abs().max() <= 1e-12


def test_our_weights_are_symmetric():
    weights = gaussian(16, 12)
    torch.testing.assert_close(weights, weights.flip(0))
    torch.testing.assert_close(weights, weights.flip(1))


@pytest.mark.parametrize("grid", ["even", "reference"])
@pytest.mark.parametrize("batch", [1, 3, 100])
def test_blending_what_was_cut_gives_it_back(grid, batch):
    x = torch.randn(1, 2, 37, 53)
    boxes = cover(53, 37, Tiling(16, 6, grid))
    finished = []
    out = blended(
        lambda some: torch.cat([cut(x, box) for box in some]),
        boxes,
        torch.empty_like(x),
        grid=grid,
        batch=batch,
        after=finished.append,
    )
    torch.testing.assert_close(out, x, rtol=1e-5, atol=1e-5)
    assert sum(finished) == len(boxes)
