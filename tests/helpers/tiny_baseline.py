"""The baseline's two networks, tiny, with random weights."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import torch
from safetensors.torch import save_file

from dit4sr_cli.model.config import TransformerConfig
from dit4sr_cli.pipeline.controlnet import ControlNetBaseline


def write_baseline(folder: Path, config: TransformerConfig) -> Path:
    """Put `transformer/`, `controlnet/` and a model.json that says so into a folder."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = ControlNetBaseline(config)
        for parameter in model.parameters():
            torch.nn.init.normal_(parameter, std=0.05)
    for name, (module, values) in model.parts.items():
        shutil.rmtree(folder / name, ignore_errors=True)
        (folder / name).mkdir(parents=True)
        (folder / name / "config.json").write_text(json.dumps(values))
        save_file(module.state_dict(), folder / name / "diffusion_pytorch_model.safetensors")
    (folder / "model.json").write_text(json.dumps({"name": "tiny", "network": "sd3-controlnet"}))
    return folder
