"""SD3-ControlNet, the paper's baseline, on diffusers' networks."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from diffusers import SD3ControlNetModel, SD3Transformer2DModel
from helpers import parity, tiny_published
from helpers.images import scene
from helpers.tiny_baseline import write_baseline

from dit4sr_cli.core.errors import ModelError, UsageError
from dit4sr_cli.jobs.upscaler import Upscaler
from dit4sr_cli.model.config import TransformerConfig
from dit4sr_cli.model.transformer import MMDiTControl
from dit4sr_cli.pipeline.controlnet import ControlNetBaseline, load_controlnet
from dit4sr_cli.weights.transformer import read_config

TINY = TransformerConfig.from_dict(tiny_published.TRANSFORMER)
NANO = TransformerConfig(
    sample_size=64,
    patch_size=1,
    in_channels=192,
    out_channels=192,
    num_layers=5,
    attention_head_dim=64,
    num_attention_heads=2,
    caption_projection_dim=128,
    joint_attention_dim=4,
    pooled_projection_dim=4,
    pos_embed_max_size=64,
    preconditioning="residual",
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tiny_published.build(tmp_path_factory.mktemp("baseline"))
    write_baseline(folder, TINY)
    return folder


def _inputs(config, height=10, width=6, batch=2):
    generator = torch.Generator().manual_seed(0)
    size, patch = (batch, config.in_channels), config.patch_size
    x, lr = (torch.randn(*size, height * patch, width * patch, generator=generator) for _ in "xl")
    text = torch.randn(batch, 3, config.joint_attention_dim, generator=generator)
    pooled = torch.randn(batch, config.pooled_projection_dim, generator=generator)
    return x, lr, torch.tensor([900.0, 100.0][:batch]), text, pooled


def _drawn(config, seed=0):
    """A network whose every layer does something."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = ControlNetBaseline(config)
        for parameter in model.parameters():
            torch.nn.init.normal_(parameter, std=0.05)
    return model.eval()


def test_the_papers_has_12_blocks_and_3504_million_parameters():
    values = parity.table("sd35_medium_state_dict")["config"]
    with torch.device("meta"):
        model = ControlNetBaseline(TransformerConfig.from_dict(values))
    count = sum(parameter.numel() for parameter in model.parameters())
    assert count == 3_504_341_184
    assert count == pytest.approx(3504.4e6, abs=0.1e6)  # as the paper has it
    assert len(model.controlnet.transformer_blocks) == 12
    assert all(block.attn2 is not None for block in model.controlnet.transformer_blocks)


def test_at_its_start_it_is_the_base_exactly():
    model = _drawn(TINY)
    x, lr, timestep, text, pooled = _inputs(TINY)
    before = model(x, lr, timestep, text, pooled)
    model.start_from_base()
    alone = model.base(x, text, pooled, timestep, return_dict=False)[0]
    assert not torch.equal(before, alone)
    assert torch.equal(model(x, lr, timestep, text, pooled), alone)
    first = model.controlnet.transformer_blocks[0].attn.to_q.weight
    assert torch.equal(first, model.base.transformer_blocks[0].attn.to_q.weight)


def test_its_base_is_ours_without_the_control_layers():
    model = _drawn(TINY)
    model.start_from_base()
    ours = MMDiTControl(replace(TINY, control_attention="separate", injection="none")).eval()
    own = dict(ours.state_dict())
    base = model.base.state_dict()
    assert set(base) < set(own)
    ours.load_state_dict({**own, **base})
    inputs = _inputs(TINY)
    torch.testing.assert_close(model(*inputs), ours(*inputs), rtol=0, atol=1e-5)


def test_the_condition_and_the_text_reach_the_velocity():
    model = _drawn(TINY)
    inputs = _inputs(TINY)
    expected = model(*inputs)
    for place in range(len(inputs)):
        changed = list(inputs)
        changed[place] = changed[place] + 1
        assert not torch.allclose(model(*changed), expected)


def test_it_runs_at_nanos_size_on_any_grid_and_a_tile_equals_its_batch():
    model = _drawn(NANO)
    model.preconditioner.residual_std.fill_(0.5)
    inputs = _inputs(NANO, 12, 7)
    both = model(*inputs)
    assert both.shape == (2, 192, 12, 7)
    alone = model(*(tensor[1:] for tensor in inputs))
    torch.testing.assert_close(alone, both[1:], rtol=1e-4, atol=1e-4)


def test_preconditioning_is_that_of_our_network():
    model = _drawn(NANO)
    for parameter in model.base.proj_out.parameters():
        torch.nn.init.zeros_(parameter)
    x, lr, _, text, pooled = _inputs(NANO)
    velocity = model(x, lr, torch.tensor([1000.0, 1000.0]), text, pooled)
    torch.testing.assert_close(x - velocity, lr)  # nothing predicted: nothing but L


def test_computing_blocks_again_gives_the_same_gradients():
    gradients = []
    for again in (False, True):
        model = _drawn(TINY).train()
        model.checkpointing = again
        assert model.checkpointing is again
        model(*_inputs(TINY)).square().mean().backward()
        gradients.append({n: p.grad for n, p in model.named_parameters() if p.grad is not None})
    assert gradients[0].keys() == gradients[1].keys() and any(
        "controlnet" in n for n in gradients[0]
    )
    for name, gradient in gradients[0].items():
        torch.testing.assert_close(gradients[1][name], gradient)


def test_diffusers_reads_the_folder_too(folder):
    base = SD3Transformer2DModel.from_pretrained(folder / "transformer")
    controlnet = SD3ControlNetModel.from_pretrained(folder / "controlnet")
    model = load_controlnet(folder, read_config(folder / "transformer"))
    x, lr, timestep, text, pooled = _inputs(TINY)
    controls = controlnet(x, lr, 1.0, text, pooled, timestep, return_dict=False)[0]
    expected = base(x, text, pooled, timestep, controls, return_dict=False)[0]
    with torch.no_grad():
        torch.testing.assert_close(model(x, lr, timestep, text, pooled), expected)


def test_a_picture_goes_through_the_whole_chain(folder):
    settings = {"steps": 2, "prompt": "a cat", "negative_prompt": "dirty"}
    upscaler = Upscaler.load(str(folder), device="cpu")
    assert upscaler.spec.network == "sd3-controlnet" and not upscaler.components.plain
    result = upscaler.upscale(scene(16, 24), **settings)
    assert result.image.size == (64, 96)
    assert result.record.tiles == 2
    streamed = Upscaler.load(str(folder), device="cpu", low_memory=True)
    apart = streamed.upscale(scene(16, 24), **settings).pixels - result.pixels.astype(int)
    assert abs(apart).mean() < 2  # the VAE goes by smaller windows


def test_blocks_read_one_by_one_compute_the_same(folder):
    config, inputs = read_config(folder / "transformer"), _inputs(TINY)
    whole, streamed = (load_controlnet(folder, config, stream=stream) for stream in (False, True))
    assert torch.equal(whole(*inputs), streamed(*inputs))
    assert streamed.controlnet.transformer_blocks[0].attn.to_q.weight.is_meta


def test_what_it_cannot_do_is_said(folder, tmp_path):
    import shutil

    with pytest.raises(UsageError, match="cannot be quantised"):
        Upscaler.load(str(folder), device="cpu", quantize="int4")
    broken = Path(shutil.copytree(folder, tmp_path / "model"))
    shutil.rmtree(broken / "controlnet")
    with pytest.raises(ModelError, match=r"controlnet.config\.json"):
        Upscaler.load(str(broken), device="cpu")
    (broken / "model.json").write_text('{"network": "unet"}')
    with pytest.raises(ModelError, match="network = 'unet': it is one of dit4sr, sd3-controlnet"):
        Upscaler.load(str(broken), device="cpu")
