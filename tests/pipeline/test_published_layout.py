"""A folder in the published layout is a model: it loads, restores, and says what it lacks."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import tiny_published
from helpers.images import scene

from dit4sr_cli.core.errors import ModelError
from dit4sr_cli.jobs.upscaler import Upscaler


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_published.build(tmp_path_factory.mktemp("published"))


@pytest.fixture
def damaged(folder: Path, tmp_path: Path) -> Path:
    """A copy to break."""
    return Path(shutil.copytree(folder, tmp_path / "model"))


@pytest.fixture(scope="module")
def upscaler(folder: Path) -> Upscaler:
    return Upscaler.load(str(folder), device="cpu")


def _weights(upscaler: Upscaler) -> dict[str, torch.Tensor]:
    with upscaler.components.transformer.in_use() as transformer:
        return transformer.state_dict()


def test_shards_load_as_one_file_does(upscaler: Upscaler, tmp_path: Path) -> None:
    sharded = tiny_published.build(tmp_path / "sharded", shards=3)
    assert len(list((sharded / "transformer").glob("*.safetensors"))) == 3
    expected, got = _weights(upscaler), _weights(Upscaler.load(str(sharded), device="cpu"))
    assert expected.keys() == got.keys()
    for name, values in expected.items():  # folded by products of matrices, which round
        torch.testing.assert_close(got[name], values)


def test_has_the_published_defaults(upscaler: Upscaler) -> None:
    spec = upscaler.spec
    assert (spec.codec, spec.text, spec.steps, spec.guidance) == ("vae", True, 40, 8.0)
    assert upscaler.components.config.wiring == "legacy"


def test_a_picture_goes_through_the_whole_chain(upscaler: Upscaler) -> None:
    result = upscaler.upscale(scene(16, 24), steps=2, prompt="a cat", negative_prompt="dirty")
    assert result.image.size == (64, 96)
    assert result.record.tiles == 2
    assert np.asarray(result.image).std() > 0
    again = upscaler.upscale(scene(16, 24), steps=2, prompt="a cat", negative_prompt="dirty")
    assert np.array_equal(result.pixels, again.pixels)


def test_the_prompt_reaches_the_picture(upscaler: Upscaler) -> None:
    plain, prompted = (
        upscaler.upscale(scene(16, 16), steps=1, guidance=30.0, prompt=prompt)
        for prompt in ("a cat", "a house by 7 - 8 rivers")
    )
    assert not np.array_equal(plain.pixels, prompted.pixels)


@pytest.mark.parametrize(
    "name",
    ["vae", "tokenizer", "text_encoder", "tokenizer_2", "text_encoder_2", "tokenizer_3"],
)
def test_a_missing_part_is_named(damaged: Path, name: str) -> None:
    shutil.rmtree(damaged / name)
    _refused(damaged, str(damaged / name))


def test_a_missing_transformer_is_named(damaged: Path) -> None:
    shutil.rmtree(damaged / "transformer")
    _refused(damaged, "transformer/config.json is not there")


def test_a_missing_shard_is_named(tmp_path: Path) -> None:
    sharded = tiny_published.build(tmp_path / "sharded", shards=2)
    name = "diffusion_pytorch_model-00002-of-00002.safetensors"
    (sharded / "transformer" / name).unlink()
    _refused(sharded, f"{name}: this shard is missing")


def test_without_t5_it_still_restores(damaged: Path) -> None:
    shutil.rmtree(damaged / "text_encoder_3")
    shutil.rmtree(damaged / "tokenizer_3")
    result = Upscaler.load(str(damaged), device="cpu").upscale(scene(16, 16), steps=1)
    assert result.image.size == (64, 64)


def _refused(folder: Path, told: str) -> None:
    with pytest.raises(ModelError) as caught:
        Upscaler.load(str(folder), device="cpu")
    assert told in caught.value.message
    assert "\n" not in caught.value.message
    assert caught.value.hint
