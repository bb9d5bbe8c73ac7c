"""Where weights come from: what is taken over, what starts anew, and what is trained."""

import shutil

import pytest
import torch
from helpers import parity, tiny_published
from safetensors.torch import load_file, save_file

from dit4sr_cli.core.errors import ModelError
from dit4sr_cli.model.config import TransformerConfig
from dit4sr_cli.model.transformer import MMDiTControl
from dit4sr_cli.training.config import parse_config
from dit4sr_cli.training.networks import Networks, load_start
from dit4sr_cli.training.start import (
    CONTROL,
    base_values,
    freeze_base,
    load_base,
    transformer_folder,
    vae_folder,
)

FILE = "diffusion_pytorch_model.safetensors"


@pytest.fixture(scope="module")
def dit4sr(tmp_path_factory):
    folder = tmp_path_factory.mktemp("dit4sr")
    with torch.random.fork_rng():
        tiny_published.write_transformer(folder / "transformer")
    return folder


@pytest.fixture(scope="module")
def sd3(dit4sr, tmp_path_factory):
    """The same without control layers, as Stable Diffusion has it."""
    folder = tmp_path_factory.mktemp("sd3") / "transformer"
    folder.mkdir()
    (folder / "config.json").write_text((dit4sr / "transformer" / "config.json").read_text())
    state = load_file(dit4sr / "transformer" / FILE)
    save_file({name: t for name, t in state.items() if CONTROL not in name}, folder / FILE)
    return folder


def _recipe(base, **start):
    return parse_config({"start": {"base": str(base), **start}})


def test_a_base_without_control_starts_it_as_the_paper_does(sd3):
    config = _recipe(sd3)
    assert (config.transformer.wiring, config.transformer.injection_scale) == ("r1", 1.0)
    model = MMDiTControl(config.transformer)
    load_base(model, str(sd3))
    state = load_file(sd3 / FILE)
    assert all(torch.equal(model.state_dict()[name], tensor) for name, tensor in state.items())
    for block in model.transformer_blocks:
        for attention in (block.attn, *([block.attn2] if block.dual else [])):
            for layer in (attention.to_q_control, attention.to_k_control, attention.to_v_control):
                assert not any(parameter.any() for parameter in layer.parameters())
            assert torch.equal(attention.to_out_control.weight, attention.to_out[0].weight)
            assert torch.equal(attention.to_out_control.bias, attention.to_out[0].bias)
        assert not any(parameter.any() for parameter in block.ff.control_conv.parameters())


def test_a_dit4sr_goes_on_as_it_is(dit4sr):
    config = _recipe(dit4sr)
    assert config.transformer.wiring == "legacy"
    model = MMDiTControl(config.transformer)
    load_base(model, str(dit4sr))
    state = load_file(dit4sr / "transformer" / FILE)
    assert all(torch.equal(model.state_dict()[name], tensor) for name, tensor in state.items())


def test_control_alone_is_trained(sd3):
    networks = Networks(config := _recipe(sd3, trained="control"))
    load_start(networks, config)
    trained = {name for name, p in networks.named_parameters() if p.requires_grad}
    assert trained == {name for name, _ in networks.named_parameters() if CONTROL in name}


def test_the_paper_trains_351_million_of_2717():
    values = parity.table("sd35_medium_state_dict")["config"]
    with torch.device("meta"):
        model = MMDiTControl(TransformerConfig.from_dict(values))
    freeze_base(model, torch.float32)
    sizes = [(p.numel(), p.requires_grad) for p in model.parameters()]
    assert sum(size for size, trained in sizes if trained) == pytest.approx(350.878e6, abs=1e3)


def test_ablations_are_switches_of_the_recipe(sd3):
    config = parse_config({"start": {"base": str(sd3)}, "transformer": {"injection": "linear"}})
    networks = Networks(config)
    load_start(networks, config)
    assert not networks.transformer.transformer_blocks[0].ff.control_linear.weight.any()


def test_bases_that_are_not_there_are_named(tmp_path, sd3):
    with pytest.raises(ModelError, match=r"no transformer in this folder"):
        base_values(str(tmp_path))
    with pytest.raises(ModelError, match="no such model"):
        base_values("nobody")
    wrong = parse_config({"start": {"base": str(sd3)}, "transformer": {"num_layers": 3}})
    with pytest.raises(ModelError, match="tensors are missing"):
        load_start(Networks(wrong), wrong)


def test_what_was_pulled_is_found_by_name(sd3, dit4sr, tmp_path, monkeypatch):
    monkeypatch.setenv("DIT4SR_HOME", str(tmp_path))
    name = "sd3.5-medium-transformer"
    with pytest.raises(ModelError, match="not on this machine") as error:
        transformer_folder(name)
    assert error.value.hint == f"dit4sr models pull {name}"
    (tmp_path / "models" / name).mkdir(parents=True)
    shutil.copytree(sd3, tmp_path / "models" / name / "transformer")
    assert transformer_folder(name) == tmp_path / "models" / name / "transformer"
    shutil.copytree(dit4sr / "transformer", tmp_path / "models" / "dit4sr-f" / "transformer")
    shutil.copytree(dit4sr / "transformer", tmp_path / "models" / "sd3.5-medium" / "vae")
    assert transformer_folder("dit4sr-f") == tmp_path / "models" / "dit4sr-f" / "transformer"
    assert vae_folder(name) == tmp_path / "models" / "sd3.5-medium" / "vae"
