"""A small folder of prepared training data, and recipes for the tiny published model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors.torch import save_file

from helpers.tiny_published import POOLED_WIDTH, TEXT_WIDTH

CELLS = 8


def prepare(folder: Path, count: int = 10, *, text: bool = True) -> Path:
    """Write `count` samples in the released code's layout; latents are noise around a mean."""
    generator = torch.Generator().manual_seed(0)
    for number in range(count):
        name = f"{number:03}"
        latent = torch.randn(16, CELLS, CELLS, generator=generator)
        _tensor(folder / "latent_hr" / name, "latent", latent + 1)
        _tensor(folder / "latent_lr" / name, "latent", 0.8 * latent + 1)
        pixels = np.random.default_rng(number).integers(0, 256, (64, 64, 3), dtype=np.uint8)
        for kind in ("gt", "sr_bicubic"):
            (folder / kind).mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(folder / kind / f"{name}.png")
        if text:
            embeds = torch.randn(6, TEXT_WIDTH, generator=generator)
            pooled = torch.randn(POOLED_WIDTH, generator=generator)
            _tensor(folder / "prompt_embeds" / name, "prompt_embeds", embeds)
            _tensor(folder / "pooled_prompt_embeds" / name, "pooled_prompt_embeds", pooled)
    if text:
        null = {
            "prompt_embeds": torch.zeros(6, TEXT_WIDTH),
            "pooled_prompt_embeds": torch.zeros(POOLED_WIDTH),
        }
        save_file(null, folder / "null.safetensors")
    return folder


def recipe(base: Path, **tables: dict) -> dict:
    """The paper's kind of run on the tiny base: control layers alone, from prepared latents."""
    values = {
        "objective": "flow",
        "seed": 3,
        "start": {"base": str(base), "trained": "control"},
        "data": {"validation_photographs": 2, "workers": 0},
        "optimizer": {
            "steps": 6,
            "batch": 4,
            "warmup": 0,
            "schedule": "constant",
            "learning_rate": 1e-3,
        },
        "validation": {"every": 100, "samples": 2, "pictures": 2, "steps": 2},
    }
    for name, table in tables.items():
        values[name] = {**values.get(name, {}), **table} if isinstance(table, dict) else table
    return values


def as_toml(values: dict) -> str:
    """The recipe as a file."""
    lines = [f"{k} = {_value(v)}" for k, v in values.items() if not isinstance(v, dict)]
    for name, table in values.items():
        if isinstance(table, dict):
            lines += [f"[{name}]", *(f"{key} = {_value(value)}" for key, value in table.items())]
    return "\n".join(lines) + "\n"


def _value(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f'"{value}"' if isinstance(value, str) else str(value)


def _tensor(path: Path, name: str, tensor: torch.Tensor) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({name: tensor}, path.with_name(f"{path.name}.safetensors"))
