"""The transformer as it is run computes what the transformer computes, and holds less."""

from dataclasses import replace

import pytest
import torch
from helpers import parity

from dit4sr_cli import Transformer
from dit4sr_cli.model.config import TransformerConfig
from dit4sr_cli.model.kernels import attention, gelu_
from dit4sr_cli.model.prepared import Prepared
from dit4sr_cli.model.transformer import MMDiTControl

TINY = TransformerConfig(
    sample_size=8,
    patch_size=1,
    in_channels=4,
    out_channels=4,
    num_layers=3,
    attention_head_dim=8,
    num_attention_heads=2,
    joint_attention_dim=4,
    caption_projection_dim=16,
    pooled_projection_dim=4,
    pos_embed_max_size=8,
    dual_attention_layers=(0,),
    injection_scale=1.2,
    wiring="r1",
)


def random(config: TransformerConfig) -> MMDiTControl:
    torch.manual_seed(0)
    return MMDiTControl(config).requires_grad_(False).eval()


def run(prepared: Prepared, noisy, lr, timesteps, embeds, pooled, which, step=0):
    conditions = prepared.conditions(timesteps, embeds, pooled)
    with torch.inference_mode():
        tokens = prepared.embed_lr(lr)
        return prepared(noisy, lr, tokens, which, conditions=conditions, step=step)


def far(got, expected) -> float:
    """Largest difference, relative to the largest value."""
    return float((got - expected).abs().max() / expected.abs().max())


@pytest.mark.parametrize("wiring", ["legacy", "r1"])
def test_velocity_is_the_released_one(wiring):
    module = Transformer.from_folder(parity.FOLDER / f"transformer_{wiring}", wiring=wiring)
    io = parity.tensors(f"transformer_{wiring}/io")
    prepared = Prepared.of(module, module.config)
    texts = io["prompt_embeds"], io["pooled_prompt_embeds"]
    for number in range(len(io["timestep"])):
        noisy, lr = (io[name][number : number + 1] for name in ("noisy_latents", "lr_latents"))
        which = torch.tensor([number])
        got = run(prepared, noisy, lr, io["timestep"], *texts, which, step=number)
        assert far(got, io["velocity"][number]) <= 1e-5


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"wiring": "legacy"},
        {"control_attention": "separate"},
        {"control_attention": "separate", "wiring": "legacy"},
        {"lr_residual": False},
        {"injection": "linear"},
        {"injection": "none"},
        {"preconditioning": "residual"},
        {"qk_norm": None},
        {"dual_attention_layers": (0, 1, 2)},
    ],
)
def test_every_switch_at_every_step_for_every_text(changes):
    module = random(replace(TINY, **changes))
    torch.manual_seed(1)
    noisy, lr = torch.randn(2, 4, 4, 6, 5).unbind()
    embeds, pooled = torch.randn(3, 3, 4), torch.randn(3, 4)
    which, timesteps = torch.tensor([2, 0, 1, 2]), torch.tensor([1000.0, 500.0, 20.0])
    prepared = Prepared.of(module, module.config)
    for step, timestep in enumerate(timesteps):
        expected = module(noisy, lr, timestep.expand(4), embeds[which], pooled[which])
        got = run(prepared, noisy, lr, timesteps, embeds, pooled, which, step)
        assert far(got, expected) <= 1e-5


def test_it_holds_neither_modulations_nor_what_is_never_read():
    """Of the full model; the position table of 226 M values goes, too."""
    full = parity.table("sd35_medium_state_dict")
    config = TransformerConfig.from_dict(full["config"])
    with torch.device("meta"):
        prepared = Prepared.of(MMDiTControl(config), config)
    held = sum(buffer.numel() for buffer in prepared.buffers())
    everything = sum(torch.Size(shape).numel() for shape in full["state_dict"].values())
    assert held < 0.6 * everything


def test_a_grid_beyond_the_position_table_is_refused():
    prepared = Prepared.of(random(TINY), TINY)
    with pytest.raises(ValueError, match="position table of 8"):
        prepared.embed_lr(torch.zeros(1, 4, 9, 4))


def test_half_precision_stays_near():
    module = random(replace(TINY, qk_norm="rms_norm"))
    torch.manual_seed(1)
    noisy, lr = torch.randn(2, 1, 4, 6, 5).unbind()
    embeds, pooled, timesteps = torch.randn(1, 3, 4), torch.randn(1, 4), torch.tensor([700.0])
    which = torch.tensor([0])
    expected = module(noisy, lr, timesteps, embeds, pooled)
    half = Prepared.of(module.to(torch.bfloat16), TINY)
    assert far(run(half, noisy, lr, timesteps, embeds, pooled, which), expected) < 0.05


@pytest.mark.parametrize(("dtype", "bound"), [(torch.float32, 1e-6), (torch.bfloat16, 2e-2)])
def test_attention_of_any_length(dtype, bound):
    torch.manual_seed(0)
    q, k, v = torch.randn(2, 3, 70, 16), torch.randn(2, 3, 90, 16), torch.randn(2, 3, 90, 16)
    expected = torch.softmax(q @ k.transpose(-1, -2) / 4, dim=-1) @ v
    assert far(attention(*(x.to(dtype) for x in (q, k, v))).float(), expected) < bound


def test_gelu_is_in_place():
    x = torch.linspace(-4, 4, 9)
    expected = torch.nn.functional.gelu(x, approximate="tanh")
    assert gelu_(x) is x
    torch.testing.assert_close(x, expected)
