import pytest
import torch

from dit4sr_cli.training.artefacts import (
    dot_loss,
    lattice_loss,
    outlier_loss,
    phase_loss,
    teeth_loss,
)


def _grain():
    generator = torch.Generator().manual_seed(0)
    return (0.5 + 0.2 * torch.randn(1, 3, 64, 64, generator=generator)).clamp(0, 1)


def _dots():
    picture = torch.full((1, 3, 64, 64), 0.5)
    picture[..., ::4, ::4] -= 0.2
    return picture


def _edge():
    picture = torch.full((1, 3, 64, 64), 0.2)
    picture[..., 32:] = 0.8
    return picture


@pytest.mark.parametrize("period", [4, 8])
def test_lattice_hears_dots_and_neither_grain_nor_edges(period):
    assert lattice_loss(_dots(), _grain(), period) > 0.01
    assert lattice_loss(_dots(), _dots(), period) < 1e-6
    assert lattice_loss(_grain(), torch.zeros(1, 3, 64, 64), period) < 2e-3
    assert lattice_loss(_edge(), _edge(), period) < 1e-6


def test_phases_are_those_of_the_grid_and_not_of_contrast():
    assert phase_loss(_dots(), _grain()) > 0.5
    assert phase_loss(_grain(), 0.5 + 0.5 * (_grain() - 0.5)) < 0.05


def test_dots_count_where_the_original_has_none():
    original = _edge()
    dotted = original.clone()
    dotted[..., 10, 10:12] = 0.9
    assert dot_loss(original, original) == dot_loss(original, dotted) == 0
    assert dot_loss(dotted, dotted) == 0
    torch.testing.assert_close(dot_loss(dotted, original), torch.tensor(2 * 0.7 / 64**2))


def test_outliers_are_what_no_neighbour_of_the_original_is_like():
    original = _edge()
    moved, halo = original.roll(2, 3), original.clone()
    halo[..., 8:-8, 33] = 0.95
    assert outlier_loss(moved[..., 4:-4], original[..., 4:-4]) == 0
    assert outlier_loss(halo, original) > 1e-4


def _slanting(wave: float = 0.0, shift: float = 0.0) -> torch.Tensor:
    """A soft edge that falls by one in three; its outline waves with a period of 6."""
    y, x = torch.meshgrid(torch.arange(64.0), torch.arange(64.0), indexing="ij")
    distance = y - x / 3 - 20 - shift - wave * torch.sin(x * torch.pi / 3)
    return (0.2 + 0.6 * torch.sigmoid(2 * distance)).expand(1, 3, -1, -1)


def test_teeth_are_what_varies_along_an_edge():
    straight = _slanting()
    assert teeth_loss(straight, straight) == 0
    assert teeth_loss(_slanting(shift=1.0), straight) < 5e-4
    small, large = (teeth_loss(_slanting(wave), straight) for wave in (0.5, 1.5))
    assert large > small > 2e-3
    assert teeth_loss(straight, _slanting(1.5)) < 1e-4  # one may be straighter than the original


def test_teeth_of_colour_are_teeth():
    """A wave in red and its opposite in green and blue, of the same luma."""
    straight, bent = _slanting(), _slanting(1.5)
    wave = (bent - straight)[:, :1]
    coloured = straight + torch.cat([wave, -0.43 * wave, -0.43 * wave], dim=1)
    assert teeth_loss(coloured, straight) > 0.4 * teeth_loss(bent, straight)


def test_teeth_are_none_where_the_original_has_no_direction():
    flat = torch.full((1, 3, 64, 64), 0.5)
    assert teeth_loss(_grain(), flat) == 0
    assert teeth_loss(_grain().roll(3, 3), _grain()) < 0.02 * _grain().std()
