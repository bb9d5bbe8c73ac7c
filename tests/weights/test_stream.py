"""A streamed network computes what a whole one does, and keeps nothing of its blocks."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from helpers import tiny_published

from dit4sr_cli.core.errors import ModelError
from dit4sr_cli.weights.transformer import Transformer


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_published.build(tmp_path_factory.mktemp("model"), shards=2) / "transformer"


def _inputs() -> tuple[torch.Tensor, ...]:
    generator = torch.Generator().manual_seed(3)
    latents, lr = (torch.randn(2, 16, 8, 12, generator=generator) for _ in range(2))
    text = torch.randn(2, 5, tiny_published.TEXT_WIDTH, generator=generator)
    pooled = torch.randn(2, tiny_published.POOLED_WIDTH, generator=generator)
    return latents, lr, torch.tensor([900.0, 30.0]), text, pooled


def _in_blocks(model: Transformer) -> set[torch.device]:
    return {parameter.device for parameter in model.transformer_blocks.parameters()}


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_is_the_same_to_the_bit(folder: Path, dtype: torch.dtype) -> None:
    whole = Transformer.from_folder(folder, dtype=dtype)
    streamed = Transformer.from_folder(folder, dtype=dtype, stream=True)
    for _ in range(2):
        assert torch.equal(streamed(*_inputs()), whole(*_inputs()))


def test_only_the_running_block_is_in_memory(folder: Path) -> None:
    model = Transformer.from_folder(folder, stream=True)
    meta = torch.device("meta")
    assert _in_blocks(model) == {meta}
    there = []
    last = model.transformer_blocks[-1]
    last.register_forward_pre_hook(lambda block, _: there.append(_in_blocks(model)))
    model(*_inputs())
    assert there == [{meta, torch.device("cpu")}]
    assert _in_blocks(model) == {meta}


def test_a_block_leaves_when_it_fails(folder: Path) -> None:
    model = Transformer.from_folder(folder, stream=True)
    latents, lr, timestep, text, pooled = _inputs()
    with pytest.raises(RuntimeError):
        model(latents, lr, timestep, text[:1].expand(3, -1, -1), pooled)
    assert _in_blocks(model) == {torch.device("meta")}


def test_weights_that_went_away_are_told(folder: Path, tmp_path: Path) -> None:
    copy = tiny_published.build(tmp_path / "copy", shards=2) / "transformer"
    model = Transformer.from_folder(copy, stream=True)
    for path in copy.glob("*.safetensors"):
        path.unlink()
    with pytest.raises(ModelError, match="this shard is missing"):
        model(*_inputs())
