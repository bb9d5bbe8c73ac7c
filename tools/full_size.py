"""Runs the full-size transformer with random weights: what it takes to load and to compute.

    python tools/full_size.py make FOLDER [--whole]    5.4 GB of bfloat16; 17 GB with all parts
    python tools/full_size.py run FOLDER --dtype fp32 [--low-memory] [--guidance 8]
    dit4sr upscale photo.jpg --model FOLDER --steps 1  if it is whole

`run` loads the transformer as `dit4sr upscale` does, computes one step on one tile of 64 x 64
latent cells, and prints seconds and peak memory as JSON.
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from dit4sr_cli.model.config import TransformerConfig
from dit4sr_cli.model.transformer import MMDiTControl
from dit4sr_cli.pipeline.conditioning import Conditioning
from dit4sr_cli.pipeline.denoise import denoise
from dit4sr_cli.weights.transformer import Transformer

CONFIG = TransformerConfig(dual_attention_layers=tuple(range(13)))
VAE = {
    "block_out_channels": (128, 256, 512, 512),
    "down_block_types": ("DownEncoderBlock2D",) * 4,
    "up_block_types": ("UpDecoderBlock2D",) * 4,
    "layers_per_block": 2,
    "latent_channels": 16,
    "scaling_factor": 1.5305,
    "shift_factor": 0.0609,
    "use_quant_conv": False,
    "use_post_quant_conv": False,
}
CLIPS = (
    {
        "hidden_size": 768,
        "intermediate_size": 3072,
        "num_hidden_layers": 12,
        "num_attention_heads": 12,
        "projection_dim": 768,
    },
    {
        "hidden_size": 1280,
        "intermediate_size": 5120,
        "num_hidden_layers": 32,
        "num_attention_heads": 20,
        "projection_dim": 1280,
        "hidden_act": "gelu",
    },
)
T5 = {
    "vocab_size": 32128,
    "d_model": 4096,
    "d_kv": 64,
    "d_ff": 10240,
    "num_layers": 24,
    "num_heads": 64,
    "feed_forward_proj": "gated-gelu",
}
TEXT_TOKENS = 77 + 256
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def make(folder: Path, *, whole: bool = False) -> None:
    """Write the transformer with random weights; with `whole`, all other parts too."""
    with torch.device("meta"):
        network = MMDiTControl(CONFIG)
    published = {k: v for k, v in asdict(CONFIG).items() if k not in _OURS}
    _write(network, folder / "transformer", published, "diffusion_pytorch_model", shards=2)
    if whole:
        _make_base(folder)


def _make_base(folder: Path) -> None:
    """VAE, text encoders and tokenizers; needs PYTHONPATH=tests for the tokenizers."""
    from diffusers import AutoencoderKL
    from helpers import tiny_published
    from transformers import (
        CLIPTextConfig,
        CLIPTextModelWithProjection,
        T5Config,
        T5EncoderModel,
    )

    for name in ("tokenizer", "tokenizer_2", "tokenizer_3"):
        tiny = tiny_published.build(folder / "tiny") / name
        shutil.copytree(tiny, folder / name, dirs_exist_ok=True)
    shutil.rmtree(folder / "tiny")
    with torch.device("meta"):
        vae = AutoencoderKL(**VAE)
        encoders = [(CLIPTextModelWithProjection(CLIPTextConfig(**values)), 1) for values in CLIPS]
        encoders.append((T5EncoderModel(T5Config(**T5)), 2))
    _write(vae, folder / "vae", VAE, "diffusion_pytorch_model")
    for number, (encoder, shards) in zip(("", "_2", "_3"), encoders, strict=True):
        config = encoder.config.to_dict()
        _write(encoder, folder / f"text_encoder{number}", config, "model", shards=shards)


def _write(
    network: torch.nn.Module, folder: Path, config: dict[str, Any], stem: str, shards: int = 1
) -> None:
    """Random weights for a network on `meta`, a shard at a time."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    shapes = {name: tensor.shape for name, tensor in network.named_parameters()}
    shapes |= {
        name: tensor.shape for name, tensor in network.state_dict().items() if "pos_embed" in name
    }
    generator = torch.Generator().manual_seed(0)
    names, places = list(shapes), {}
    for shard in range(shards):
        part = f"-{shard + 1:05}-of-{shards:05}" if shards > 1 else ""
        file = f"{stem}{part}.safetensors"
        some = names[len(names) * shard // shards : len(names) * (shard + 1) // shards]
        state = {name: _random(shapes[name], generator) for name in some}
        save_file(state, folder / file, {"format": "pt"})
        places |= dict.fromkeys(some, file)
    if shards > 1:
        index = {"metadata": {}, "weight_map": places}
        (folder / f"{stem}.safetensors.index.json").write_text(json.dumps(index), encoding="utf-8")


def run(folder: Path, dtype: str, *, low_memory: bool, guidance: float) -> dict[str, float | str]:
    """Load and compute one step on one tile."""
    imported = _peak_gb()
    started = time.monotonic()
    transformer = Transformer.from_folder(
        folder / "transformer", dtype=DTYPES[dtype], stream=low_memory
    )
    loaded, loaded_gb = time.monotonic(), _peak_gb()
    generator = torch.Generator().manual_seed(0)
    latents, noise = (torch.randn(1, 16, 64, 64, generator=generator) for _ in range(2))
    text = Conditioning(
        torch.randn(1, TEXT_TOKENS, CONFIG.joint_attention_dim, generator=generator),
        torch.randn(1, CONFIG.pooled_projection_dim, generator=generator),
    )
    result = denoise(
        transformer, latents, noise, positive=text, negative=text, steps=1, guidance=guidance
    )
    return {
        "dtype": dtype,
        "way": "streamed" if low_memory else "whole",
        "parameters_m": round(sum(p.numel() for p in transformer.parameters()) / 1e6, 3),
        "import_peak_gb": imported,
        "load_seconds": round(loaded - started, 2),
        "load_peak_gb": loaded_gb,
        "step_seconds": round(time.monotonic() - loaded, 2),
        "peak_gb": _peak_gb(),
        "mean": round(float(result.mean()), 6),
        "std": round(float(result.std()), 6),
    }


def _random(shape: torch.Size, generator: torch.Generator) -> torch.Tensor:
    scale = shape[-1] ** -0.5 if len(shape) > 1 else 0.1
    return (torch.randn(shape, generator=generator) * scale).to(torch.bfloat16)


_OURS = {
    "wiring",
    "control_attention",
    "lr_residual",
    "injection",
    "injection_scale",
    "preconditioning",
}


def _peak_gb() -> float:
    """Peak resident memory of this process, in GB (10^9 bytes)."""
    unit = 1 if sys.platform == "darwin" else 1024
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e9, 2)


def main() -> None:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    making, running = commands.add_parser("make"), commands.add_parser("run")
    for command in (making, running):
        command.add_argument("folder", type=Path)
    making.add_argument("--whole", action="store_true")
    running.add_argument("--dtype", choices=DTYPES, default="fp32")
    running.add_argument("--low-memory", action="store_true")
    running.add_argument("--guidance", type=float, default=1.0)
    args = parser.parse_args()
    if args.command == "make":
        make(args.folder, whole=args.whole)
        return
    found = run(args.folder, args.dtype, low_memory=args.low_memory, guidance=args.guidance)
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
