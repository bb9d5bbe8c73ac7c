"""The paper's objective against diffusers' scheduler and by hand."""

import pytest
import torch
from diffusers import FlowMatchEulerDiscreteScheduler
from helpers import tiny_published

from dit4sr_cli.model.config import TransformerConfig
from dit4sr_cli.model.flow import train_sigma
from dit4sr_cli.pipeline.conditioning import Conditioning
from dit4sr_cli.training.config import FlowConfig, TrainConfig
from dit4sr_cli.training.flow import Flow
from dit4sr_cli.training.networks import Networks
from dit4sr_cli.training.share import shares

SHAPE = (16, 8, 8)


def _flow(null_share=0.2, **values):
    transformer = TransformerConfig.from_dict({**tiny_published.TRANSFORMER, **values})
    config = TrainConfig(transformer=transformer, seed=5, flow=FlowConfig(null_share=null_share))
    torch.manual_seed(0)
    null = Conditioning(torch.zeros(1, 6, 32), torch.zeros(1, 24))
    return Flow(Networks(config), config, null, None)


def _batch(count):
    generator = torch.Generator().manual_seed(1)
    shapes = {
        "latent_hr": SHAPE,
        "latent_lr": SHAPE,
        "prompt_embeds": (6, 32),
        "pooled_prompt_embeds": (24,),
    }
    return {name: torch.randn(count, *shape, generator=generator) for name, shape in shapes.items()}


def test_noise_levels_are_those_of_diffusers_training_table():
    scheduler = FlowMatchEulerDiscreteScheduler(shift=3.0)
    uniform = torch.rand(500, generator=torch.Generator().manual_seed(0))
    index = (uniform * scheduler.config.num_train_timesteps).long()
    torch.testing.assert_close(train_sigma(uniform, 3.0), scheduler.sigmas[index])
    assert train_sigma(torch.tensor(1.0), 3.0) > 0


def test_levels_are_logit_normal_in_the_table():
    flow = _flow()
    levels = torch.stack([flow._draw(i, torch.Size((1,)))[0] for i in range(4000)])
    place = 1 - levels / (3 - 2 * levels)  # the shift undone
    logit = torch.logit(place.clamp(1e-4, 1 - 1e-4))
    assert abs(float(logit.mean())) < 4 / 4000**0.5
    assert float(logit.std()) == pytest.approx(1, abs=0.05)


def test_the_loss_is_the_squared_error_of_the_estimate():
    flow, batch = _flow(), _batch(4)
    (share,) = shares(4, 1, 0, 1)
    for parameter in flow.networks.transformer.proj_out.parameters():
        torch.nn.init.zeros_(parameter)  # the velocity is zero: the estimate is x_t itself
    expected = []
    for place, sample in enumerate(share.samples(3)):
        sigma, noise, _ = flow._draw(sample, torch.Size(SHAPE))
        error = sigma * (noise - batch["latent_hr"][place])
        expected.append(error.square().mean())
    found = flow(batch, share, 3)["total"]
    torch.testing.assert_close(found, torch.stack(expected).mean())


def test_one_prompt_in_five_is_left_out():
    flow = _flow()
    left_out = sum(flow._draw(i, torch.Size((1,)))[2] for i in range(4000))
    assert 0.2 * 4000 - 4 * (0.16 * 4000) ** 0.5 < left_out < 0.2 * 4000 + 4 * (0.16 * 4000) ** 0.5


def test_what_is_left_out_is_not_read():
    (share,) = shares(4, 1, 0, 1)
    batch, other = _batch(4), _batch(4)
    other["prompt_embeds"] = other["prompt_embeds"].flip(1, 2)
    for null_share, is_same in ((1.0, True), (0.0, False)):
        flow = _flow(null_share=null_share)
        losses = [flow(each, share, 0)["total"].item() for each in (batch, other)]
        assert (losses[0] == losses[1]) is is_same


def test_pieces_of_a_batch_average_to_the_whole():
    flow, batch = _flow(), _batch(4)
    (whole,) = shares(4, 1, 0, 1)
    halves = [
        flow({k: v[s.offset : s.offset + s.size] for k, v in batch.items()}, s, 2)["total"]
        for s in shares(4, 1, 0, 2)
    ]
    torch.testing.assert_close(sum(halves) / 2, flow(batch, whole, 2)["total"])


@pytest.mark.parametrize("dual", [[], [0]])
def test_computing_blocks_again_gives_the_same_gradients(dual):
    (share,) = shares(2, 1, 0, 1)
    gradients = []
    for again in (False, True):
        flow = _flow(dual_attention_layers=dual)
        flow.networks.transformer.checkpointing = again
        flow(_batch(2), share, 0)["total"].backward()
        gradients.append({n: p.grad for n, p in flow.named_parameters() if p.grad is not None})
    assert gradients[0].keys() == gradients[1].keys()
    assert all(torch.equal(gradients[0][name], gradients[1][name]) for name in gradients[0])
