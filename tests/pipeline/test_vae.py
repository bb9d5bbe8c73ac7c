"""The VAE codec gives what diffusers gives, and refuses what it cannot be."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from diffusers import AutoencoderKL
from helpers.tiny_published import tiny_vae
from safetensors.torch import load_file, save_file

from dit4sr_cli.core.errors import ModelError
from dit4sr_cli.model.codec import BlockCodec
from dit4sr_cli.pipeline.components import Codec
from dit4sr_cli.pipeline.vae import load_vae

CPU = torch.device("cpu")
WEIGHTS = "diffusion_pytorch_model.safetensors"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "vae"
    with torch.random.fork_rng():
        torch.manual_seed(0)
        tiny_vae().save_pretrained(path)
    return path


@pytest.fixture
def damaged(folder: Path, tmp_path: Path) -> Path:
    """A copy to break."""
    return Path(shutil.copytree(folder, tmp_path / "vae"))


@pytest.fixture
def images() -> torch.Tensor:
    return torch.rand(1, 3, 64, 40, generator=torch.Generator().manual_seed(1)) * 2 - 1


def _load(folder: Path) -> Codec:
    return load_vae(folder, device=CPU)


def test_latents_are_the_shifted_and_scaled_mode(folder: Path, images: torch.Tensor) -> None:
    vae = AutoencoderKL.from_pretrained(folder, local_files_only=True, low_cpu_mem_usage=False)
    with torch.no_grad():
        mode = vae.encode(images).latent_dist.mode()
    expected = (mode - vae.config.shift_factor) * vae.config.scaling_factor
    latents = _load(folder).encode(images)
    assert latents.shape == (1, 16, 8, 5)
    torch.testing.assert_close(latents, expected)


def test_decodes_as_diffusers_does(folder: Path) -> None:
    vae = AutoencoderKL.from_pretrained(folder, local_files_only=True, low_cpu_mem_usage=False)
    latents = torch.randn(1, 16, 4, 6, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        expected = vae.decode(latents / vae.config.scaling_factor + vae.config.shift_factor).sample
    images = _load(folder).decode(latents)
    assert images.shape == (1, 3, 32, 48)
    torch.testing.assert_close(images, expected)


def test_declares_what_the_pipeline_asks_of_a_codec(folder: Path) -> None:
    codec = _load(folder)
    assert (codec.downscale, codec.channels) == (BlockCodec.downscale, 16)
    assert codec.margin > 0


def test_reads_weights_stored_in_float16_under_their_variant_name(
    damaged: Path, images: torch.Tensor
) -> None:
    state = load_file(damaged / WEIGHTS)
    expected = _load(damaged).encode(images)
    (damaged / WEIGHTS).unlink()
    halves = {name: tensor.half() for name, tensor in state.items()}
    save_file(halves, damaged / "diffusion_pytorch_model.fp16.safetensors")
    torch.testing.assert_close(_load(damaged).encode(images), expected, atol=0.02, rtol=0.02)


def test_an_absent_folder_is_named_with_a_hint(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="vae: the VAE is not there") as caught:
        _load(tmp_path / "vae")
    assert "Stable Diffusion 3.5" in caught.value.hint


def test_absent_weights_are_named(damaged: Path) -> None:
    (damaged / WEIGHTS).unlink()
    with pytest.raises(ModelError, match=r"no \.safetensors weights"):
        _load(damaged)


def test_truncated_weights_are_named(damaged: Path) -> None:
    whole = (damaged / WEIGHTS).read_bytes()
    (damaged / WEIGHTS).write_bytes(whole[: len(whole) // 2])
    _refused(damaged, WEIGHTS)


def test_a_missing_tensor_is_named(damaged: Path) -> None:
    state = load_file(damaged / WEIGHTS)
    del state["decoder.conv_in.bias"]
    save_file(state, damaged / WEIGHTS)
    _refused(damaged, "decoder.conv_in.bias")


def test_a_tensor_of_another_shape_is_named(damaged: Path) -> None:
    state = load_file(damaged / WEIGHTS)
    state["decoder.conv_in.bias"] = torch.zeros(3)
    save_file(state, damaged / WEIGHTS)
    _refused(damaged, "decoder.conv_in.bias")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"sparkle": 1}, "sparkle"),
        ({"norm_num_groups": 3}, "num_groups"),
        ({"down_block_types": ["Nothing"] * 4}, "Nothing"),
        ({"block_out_channels": [8, 8]}, "does not shrink pictures by 8"),
    ],
)
def test_a_config_of_another_vae_is_refused(damaged: Path, change: dict, told: str) -> None:
    path = damaged / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    _refused(damaged, told)


def _refused(folder: Path, told: str) -> None:
    with pytest.raises(ModelError) as caught:
        _load(folder)
    assert told in caught.value.message
    assert "\n" not in caught.value.message
