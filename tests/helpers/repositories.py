"""Repositories with the published names and no meaning, made at once: for tests of transfers."""

from __future__ import annotations

import json
import random
from pathlib import Path

DIT4SR = "acceptee/DiT4SR"
SD35 = "stabilityai/stable-diffusion-3.5-medium"
SMOLVLM = "HuggingFaceTB/SmolVLM-Instruct"
LARGE = 3_200_000
"""Bytes in the weights of dit4sr-q: several of the steps in which files arrive."""
SMALL = 2_000


def build(root: Path) -> Path:
    """DiT4SR (q and f), its base with decoys, and a captioner."""
    for name, size in (("q", LARGE), ("f", SMALL)):
        folder = root / DIT4SR / f"dit4sr_{name}" / "transformer"
        _write(folder / "config.json", {"num_layers": 1, "name": name})
        weights(folder / "diffusion_pytorch_model.safetensors", size, seed=name)
    _build_base(root / SD35)
    for name in ("config", "tokenizer", "preprocessor_config"):
        _write(root / SMOLVLM / f"{name}.json", {"name": name})
    weights(root / SMOLVLM / "model.safetensors", SMALL, seed="smolvlm")
    return root


def weights(path: Path, size: int, *, seed: str = "") -> Path:
    """A safetensors file with one tensor of `size` bytes."""
    header = json.dumps({"w": {"dtype": "U8", "shape": [size], "data_offsets": [0, size]}}).encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    data = random.Random(f"{path.name} {seed}").randbytes(size)
    path.write_bytes(len(header).to_bytes(8, "little") + header + data)
    return path


def _build_base(folder: Path) -> None:
    _write(folder / "scheduler" / "scheduler_config.json", {"shift": 3.0})
    _write(folder / "vae" / "config.json", {"latent_channels": 16})
    weights(folder / "vae" / "diffusion_pytorch_model.safetensors", SMALL)
    for number in ("", "_2", "_3"):
        _write(folder / f"tokenizer{number}" / "tokenizer_config.json", {"number": number})
        encoder = folder / f"text_encoder{number}"
        _write(encoder / "config.json", {"number": number})
        for variant in ("", ".fp16"):
            weights(encoder / f"model{variant}.safetensors", SMALL, seed=number)
    (folder / "LICENSE.md").write_text("the licence\n")
    weights(folder / "sd3.5_medium.safetensors", SMALL)
    weights(folder / "transformer" / "diffusion_pytorch_model.safetensors", SMALL)


def _write(path: Path, values: dict[str, object]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(values) + "\n")
