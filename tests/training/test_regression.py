"""nano's objective: bicubic's cost where the model says nothing, and pieces that add up."""

import pytest
import torch

from dit4sr_cli.model.codec import CodecConfig
from dit4sr_cli.model.config import TransformerConfig
from dit4sr_cli.training.config import DataConfig, LossConfig, TrainConfig
from dit4sr_cli.training.networks import Networks
from dit4sr_cli.training.regression import Regression
from dit4sr_cli.training.share import shares

TRANSFORMER = TransformerConfig(
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


def _regression(**loss):
    config = TrainConfig(
        transformer=TRANSFORMER,
        objective="regression",
        codec=CodecConfig(refine_width=8),
        data=DataConfig(tiles_per_crop=2),
        loss=LossConfig(pixel_scale=0.5, **loss),
    )
    torch.manual_seed(0)
    return Regression(Networks(config), config)


def _batch(items):
    generator = torch.Generator().manual_seed(1)
    shape = (items, 2, 3, 64, 64)
    return {
        name: torch.randint(0, 256, shape, generator=generator, dtype=torch.uint8)
        for name in ("original", "enlarged")
    }


@pytest.mark.parametrize("share", [0.5, 1.0])
def test_a_model_that_says_nothing_costs_what_bicubic_costs(share):
    objective, batch = _regression(regression_share=share), _batch(1)
    for parameter in objective.networks.transformer.proj_out.parameters():
        torch.nn.init.zeros_(parameter)
    (whole,) = shares(2, 1, 0, 1)
    parts = objective(batch, whole, 0)
    original, enlarged = (batch[key].flatten(0, 1).float() for key in ("original", "enlarged"))
    expected = (enlarged - original)[: round(2 * share)].abs().mean() / 127.5 / 0.5
    torch.testing.assert_close(parts["pixel"], expected, rtol=1e-4, atol=1e-5)
    assert (parts["flow"] > 0) == (share < 1)


def test_texture_counts_from_its_step_on():
    weights = {"texture_weight": 0.5, "grid_weight": 0.25, "texture_from": 3}
    objective, (whole,) = _regression(**weights), shares(2, 1, 0, 1)
    early, late = (objective(_batch(1), whole, step) for step in (2, 3))
    torch.testing.assert_close(early["total"], early["pixel"] + early["flow"])
    more = 0.5 * late["texture"] + 0.25 * late["grid"]
    torch.testing.assert_close(late["total"], late["pixel"] + late["flow"] + more)
    assert more > 0


@pytest.mark.parametrize("pieces", [2, 4])
def test_pieces_of_a_batch_average_to_the_whole(pieces):
    objective, batch = _regression(regression_share=0.75), _batch(4)
    (whole,) = shares(8, 1, 0, 1)
    expected = objective(batch, whole, 1)
    found = []
    for share in shares(8, 1, 0, pieces):
        first, last = share.offset // 2, (share.offset + share.size) // 2
        found.append(objective({k: v[first:last] for k, v in batch.items()}, share, 1))
    for name in ("pixel", "flow", "total"):
        mean = sum(part[name] for part in found) / pieces
        torch.testing.assert_close(mean, expected[name], rtol=1e-4, atol=1e-6)
