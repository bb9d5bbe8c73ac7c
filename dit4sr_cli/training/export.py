"""Writes a trained model's folder: what `--model FOLDER` and the package read."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from dit4sr_cli.model.transformer import MMDiTControl
from dit4sr_cli.training.config import TrainConfig
from dit4sr_cli.training.networks import Networks
from dit4sr_cli.training.start import transformer_folder
from dit4sr_cli.weights.spec import FILE_NAME

_BLOCK_SPEC: dict[str, Any] = {
    "codec": "block",
    "text": False,
    "guidance": 1.0,
    "color_fix": "none",
    "native_scale": 4,
    "process_size": 0,
}
"""Of a model whose latents are block transforms; one on a VAE is as the published ones are."""


def export(networks: Networks, config: TrainConfig, folder: Path, *, name: str) -> None:
    """Write `model.json`, `transformer/` and, if it is no VAE, `codec/`; weights in 16 bits.

    The baseline has `controlnet/`, too.
    """
    transformer, codec = networks.transformer, networks.codec
    spec = {"name": name, "network": config.network, **_spec(networks, config)}
    _write_json(folder / FILE_NAME, spec)
    if isinstance(transformer, MMDiTControl):
        _write_part(transformer, asdict(transformer.config), folder / "transformer")
    else:
        for part, (module, values) in transformer.parts.items():
            _write_part(module, values, folder / part)
    if config.has_block_latents:
        _write_part(codec, asdict(codec.config), folder / "codec")


def _spec(networks: Networks, config: TrainConfig) -> dict[str, Any]:
    if not config.has_block_latents:
        if not config.start.base:
            return {}
        beside = transformer_folder(config.start.base).parent
        is_whole = (beside / "vae" / "config.json").is_file()
        return {"base": str(beside.resolve())} if is_whole else {}
    cells = config.data.tile // networks.codec.downscale
    steps = config.validation.steps if config.objective == "flow" else 1
    return {
        "licence": config.licence,
        **_BLOCK_SPEC,
        # As it was trained: it knows no other positions.
        "tile": cells,
        "overlap": cells // 4,
        "min_cells": cells,
        "steps": steps,
        "shift": config.flow.shift if config.objective == "flow" else 3.0,
    }


def _write_part(module: nn.Module, config: dict[str, Any], folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    _write_json(folder / "config.json", config)
    state = {key: _halved(value) for key, value in module.state_dict().items()}
    partly = folder / ".diffusion_pytorch_model.part"
    save_file(state, partly, {"format": "pt"})
    partly.replace(folder / "diffusion_pytorch_model.safetensors")


def _halved(tensor: Tensor) -> Tensor:
    """In 16 bits; what is held in 16 already stays as it is."""
    is_wide = tensor.dtype in (torch.float32, torch.float64)
    return tensor.detach().cpu().to(torch.float16 if is_wide else tensor.dtype).contiguous()


def _write_json(path: Path, values: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(values, indent=1) + "\n", encoding="utf-8")
