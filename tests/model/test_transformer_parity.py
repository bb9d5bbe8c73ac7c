import pytest
import torch
from helpers import parity

from dit4sr_cli import Transformer
from dit4sr_cli.model.config import TransformerConfig
from dit4sr_cli.model.transformer import MMDiTControl


@pytest.mark.parametrize("wiring", ["legacy", "r1"])
def test_velocity_is_the_released_one(wiring):
    transformer = Transformer.from_folder(parity.FOLDER / f"transformer_{wiring}", wiring=wiring)
    io = parity.tensors(f"transformer_{wiring}/io")
    expected = io.pop("velocity")
    assert (transformer(**io) - expected).abs().max() <= 1e-4


def test_the_two_wirings_differ():
    folder = parity.FOLDER / "transformer_r1"
    io = parity.tensors("transformer_r1/io")
    expected = io.pop("velocity")
    other = Transformer.from_folder(folder, wiring="legacy")(**io)
    assert (other - expected).abs().max() > 1e-2


def test_every_name_and_shape_of_the_full_model():
    full = parity.table("sd35_medium_state_dict")
    with torch.device("meta"):
        model = MMDiTControl(TransformerConfig.from_dict(full["config"]))
    shapes = {name: list(tensor.shape) for name, tensor in model.state_dict().items()}
    assert shapes == full["state_dict"]
    parameters = dict(model.named_parameters())
    assert sum(p.numel() for p in parameters.values()) == full["parameters"] == 2_716_814_144
    control = sum(p.numel() for name, p in parameters.items() if "control" in name)
    assert control == full["control_parameters"] == 350_877_696


def test_any_grid_runs_and_a_tile_equals_its_batch():
    transformer = Transformer.from_folder(parity.FOLDER / "transformer_r1", wiring="r1")
    io = parity.tensors("transformer_r1/io")
    del io["velocity"]
    io["noisy_latents"] = io["noisy_latents"][..., :10, :]
    io["lr_latents"] = io["lr_latents"][..., :10, :]
    both = transformer(**io)
    assert both.shape == (2, 16, 10, 16)
    alone = transformer(**{name: x[1:] for name, x in io.items()})
    torch.testing.assert_close(alone, both[1:], rtol=0, atol=1e-5)


def test_a_grid_beyond_the_position_table_is_refused():
    transformer = Transformer.from_folder(parity.FOLDER / "transformer_r1", wiring="r1")
    io = parity.tensors("transformer_r1/io")
    big = torch.zeros(2, 16, 64, 16)
    with pytest.raises(ValueError, match="position table of 24"):
        transformer(big, big, io["timestep"], io["prompt_embeds"], io["pooled_prompt_embeds"])
