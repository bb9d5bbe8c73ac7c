"""Transformers of random weights: their shapes, and that they compute."""

from __future__ import annotations

import json

import pytest
import torch

from dit4sr_cli.bench.architecture import FULL, SMALL, Architecture, architecture_of
from dit4sr_cli.bench.random_model import FreeCodec, components, random_network
from dit4sr_cli.bench.subject import Subject
from dit4sr_cli.bench.task import Task
from dit4sr_cli.bench.variant import Variant
from dit4sr_cli.core.errors import ModelError, UsageError
from dit4sr_cli.core.settings import ModelSettings
from dit4sr_cli.core.types import Precision, Size
from dit4sr_cli.model.config import TransformerConfig
from dit4sr_cli.model.transformer import MMDiTControl

TINY = Architecture(
    "tiny",
    TransformerConfig(
        num_layers=2,
        attention_head_dim=8,
        num_attention_heads=2,
        caption_projection_dim=16,
        joint_attention_dim=32,
        pooled_projection_dim=24,
        pos_embed_max_size=40,
    ),
    5,
)


def _parameters(architecture) -> int:
    with torch.device("meta"):
        return sum(p.numel() for p in MMDiTControl(architecture.config).parameters())


def test_named_shapes():
    assert architecture_of("full") is FULL and architecture_of("small") is SMALL
    assert round(_parameters(FULL) / 1e6) == 2717
    assert _parameters(SMALL) < 100e6


def test_shapes_of_files(tmp_path):
    folder = tmp_path / "transformer"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({"num_layers": 3, "_class_name": "X"}))
    for place in (folder / "config.json", folder, tmp_path):
        assert architecture_of(str(place)).config.num_layers == 3


def test_wrong_shapes(tmp_path):
    with pytest.raises(UsageError):
        architecture_of(str(tmp_path / "none"))
    path = tmp_path / "config.json"
    for text in ("{", "[]", '{"layers": 3}', '{"num_layers": 3, "attention_head_dim": 5}'):
        path.write_text(text)
        with pytest.raises(ModelError):
            architecture_of(str(path))


def test_weights_are_of_a_trained_ones_size():
    network = random_network(TINY.config, torch.device("cpu"), torch.float32, plain=True)
    linear = network.context_embedder.weight
    assert linear.std().item() == pytest.approx(32**-0.5, rel=0.2)
    again = random_network(TINY.config, torch.device("cpu"), torch.float32, plain=True)
    assert torch.equal(linear, again.context_embedder.weight)
    assert not torch.equal(linear.flatten()[:100], network.proj_out.weight.flatten()[:100])


def test_precision_and_no_streaming():
    codec = FreeCodec(16)
    parts = components(TINY, ModelSettings(precision=Precision.BF16), codec)
    with parts.transformer.in_use() as network:
        assert network.out_weight.dtype == torch.bfloat16
    with pytest.raises(UsageError):
        components(TINY, ModelSettings(low_memory=True), codec)


def _latents(tmp_path, *, plain):
    from numpy import load

    task = Task(
        variant=Variant(name="x", plain=plain),
        source=tmp_path,
        result=tmp_path / f"{plain}.npy",
        random=TINY,
        size=Size(24, 16),
    )
    subject = Subject(task)
    for _ in range(2):
        lap = subject.run()
    subject.keep()
    assert lap.tokens == 2 * (2 * 6 * 4 + 5)
    assert lap.model == "random:tiny"
    return load(task.result)


def test_both_forms_run_and_agree(tmp_path):
    plain, prepared = (_latents(tmp_path, plain=plain) for plain in (True, False))
    assert plain.shape == (16 * 12 * 8,)
    assert plain.std() > 0
    assert abs(prepared - plain).max() <= 1e-4 * abs(plain).max()
