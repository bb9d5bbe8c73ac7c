import torch
from torch import Generator

from dit4sr_cli.training.loss import grid_loss, texture_loss


def _picture(seed=0, contrast=0.2):
    generator = Generator().manual_seed(seed)
    return contrast * torch.randn(2, 3, 64, 64, generator=generator)


def test_a_picture_is_no_distance_from_itself():
    assert texture_loss(_picture(), _picture()) == 0
    assert grid_loss(_picture(), _picture()) == 0


def test_texture_asks_for_as_much_detail_wherever_it_lies():
    other_grain = texture_loss(_picture(1), _picture(0))
    too_little = texture_loss(_picture(1, contrast=0.02), _picture(0))
    too_much = texture_loss(_picture(1, contrast=1.0), _picture(0))
    assert other_grain < 0.25 < too_little and too_much > 1


def test_grid_hears_blocks_and_not_contrast():
    blocks = _picture()
    blocks[..., ::8, :] += 0.3
    blocks[..., :, ::8] += 0.3
    assert grid_loss(blocks, _picture()) > 4 * grid_loss(_picture(1), _picture())
    assert grid_loss(3 * _picture(), _picture()) < 0.02
