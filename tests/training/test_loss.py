import pytest
import torch
from torch import Generator

from dit4sr_cli.model.codec import BlockCodec, CodecConfig
from dit4sr_cli.model.config import TransformerConfig
from dit4sr_cli.model.transformer import MMDiTControl
from dit4sr_cli.training.config import LossConfig
from dit4sr_cli.training.loss import grid_loss, losses, texture_loss


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


@pytest.mark.parametrize("share", [0.5, 1.0])
def test_a_model_that_says_nothing_costs_what_bicubic_costs(share):
    config = TransformerConfig(
        sample_size=8,
        patch_size=1,
        in_channels=192,
        out_channels=192,
        num_layers=1,
        attention_head_dim=8,
        num_attention_heads=1,
        caption_projection_dim=8,
        joint_attention_dim=2,
        pooled_projection_dim=2,
        pos_embed_max_size=8,
        preconditioning="residual",
    )
    model = MMDiTControl(config)
    for parameter in model.proj_out.parameters():
        torch.nn.init.zeros_(parameter)
    original, enlarged = _picture(0), _picture(1)
    parts = losses(
        model,
        BlockCodec(CodecConfig()),
        original,
        enlarged,
        LossConfig(regression_share=share, pixel_scale=0.5),
        Generator().manual_seed(0),
    )
    count = round(2 * share)
    expected = (enlarged - original)[:count].abs().mean() / 0.5
    torch.testing.assert_close(parts.pixel, expected, rtol=1e-4, atol=1e-5)
    assert (parts.flow > 0) == (share < 1)
