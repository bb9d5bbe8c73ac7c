import json
import shutil

import pytest
import torch
from helpers import parity
from safetensors.torch import load_file, save_file

from dit4sr_cli import Transformer
from dit4sr_cli.core.errors import ModelError

WEIGHTS = "diffusion_pytorch_model.safetensors"


@pytest.fixture
def folder(tmp_path):
    return shutil.copytree(parity.FOLDER / "transformer_r1", tmp_path / "transformer")


def test_shards_are_one_model(folder):
    whole = Transformer.from_folder(folder, wiring="r1").state_dict()
    state = load_file(folder / WEIGHTS)
    (folder / WEIGHTS).unlink()
    names = sorted(state)
    weight_map = {}
    for i in range(2):
        file = f"diffusion_pytorch_model-0000{i + 1}-of-00002.safetensors"
        save_file({name: state[name] for name in names[i::2]}, folder / file)
        weight_map |= dict.fromkeys(names[i::2], file)
    index = folder / "diffusion_pytorch_model.safetensors.index.json"
    index.write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))
    sharded = Transformer.from_folder(folder, wiring="r1").state_dict()
    assert all(torch.equal(sharded[name], whole[name]) for name in whole)
    (folder / "diffusion_pytorch_model-00002-of-00002.safetensors").unlink()
    with pytest.raises(ModelError, match=r"00002-of-00002.*missing"):
        Transformer.from_folder(folder)


def test_wiring_defaults_to_the_config(folder):
    assert Transformer.from_folder(folder).config.wiring == "legacy"
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"wiring": "r1"}))
    assert Transformer.from_folder(folder).config.wiring == "r1"
    assert Transformer.from_folder(folder, wiring="legacy").config.wiring == "legacy"


def test_dtype_is_kept_or_changed(folder):
    assert Transformer.from_folder(folder).proj_out.weight.dtype == torch.float32
    half = Transformer.from_folder(folder, dtype=torch.bfloat16)
    assert half.proj_out.weight.dtype == torch.bfloat16


def test_what_does_not_fit_is_named(folder):
    state = load_file(folder / WEIGHTS)
    save_file({**state, "extra.weight": torch.zeros(1)}, folder / WEIGHTS)
    with pytest.raises(ModelError, match=r"unexpected: extra\.weight"):
        Transformer.from_folder(folder)
    del state["proj_out.bias"]
    save_file(state, folder / WEIGHTS)
    with pytest.raises(ModelError, match=r"missing: proj_out\.bias"):
        Transformer.from_folder(folder)
    save_file({**state, "proj_out.bias": torch.zeros(3)}, folder / WEIGHTS)
    with pytest.raises(ModelError, match=r"another shape: proj_out\.bias"):
        Transformer.from_folder(folder)


def test_damage_is_named(folder, tmp_path):
    data = (folder / WEIGHTS).read_bytes()
    (folder / WEIGHTS).write_bytes(data[: len(data) // 2])
    with pytest.raises(ModelError, match="damaged or incomplete"):
        Transformer.from_folder(folder)
    for path in folder.glob("*.safetensors"):
        path.unlink()
    with pytest.raises(ModelError, match=r"no \.safetensors weights"):
        Transformer.from_folder(folder)
    (folder / "config.json").write_text("{")
    with pytest.raises(ModelError, match=r"config\.json"):
        Transformer.from_folder(folder)
    with pytest.raises(ModelError, match="not there"):
        Transformer.from_folder(tmp_path / "nowhere")


@pytest.mark.parametrize(
    "weight_map",
    [{"a": "../other.safetensors"}, {"a": "/x.safetensors"}, {"a": 1}, {}, ["a"], None],
)
def test_an_index_names_files_beside_it_only(folder, weight_map):
    (folder.parent / "other.safetensors").write_bytes((folder / WEIGHTS).read_bytes())
    index = folder / "diffusion_pytorch_model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": weight_map}))
    with pytest.raises(ModelError, match=r"index\.json: does not say which files"):
        Transformer.from_folder(folder)
