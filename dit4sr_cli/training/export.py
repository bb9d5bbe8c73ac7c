"""Writes a trained model's folder: what `--model FOLDER` and the package read."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import nn

from dit4sr_cli.training.initialise import Trained
from dit4sr_cli.weights.spec import FILE_NAME

SPEC: dict[str, Any] = {
    "licence": "CC-BY-SA-4.0",
    "codec": "block",
    "text": False,
    "steps": 1,
    "guidance": 1.0,
    "color_fix": "none",
    "native_scale": 4,
    "process_size": 0,
    "tile": 16,
    "overlap": 4,
    "min_cells": 16,
}


def export(networks: Trained, folder: Path, *, name: str) -> None:
    """Write `model.json`, `transformer/` and `codec/`, weights in float16."""
    transformer, codec = networks.transformer, networks.codec
    _write_json(folder / FILE_NAME, {"name": name, **SPEC})
    _write_part(transformer, asdict(transformer.config), folder / "transformer")
    _write_part(codec, asdict(codec.config), folder / "codec")


def _write_part(module: nn.Module, config: dict[str, Any], folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    _write_json(folder / "config.json", config)
    state = {key: value.to(torch.float16) for key, value in module.state_dict().items()}
    save_file(state, folder / "diffusion_pytorch_model.safetensors", {"format": "pt"})


def _write_json(path: Path, values: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(values, indent=1) + "\n", encoding="utf-8")
