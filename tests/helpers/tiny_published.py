"""A model folder in the published layout, complete but tiny, with random weights."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from diffusers import AutoencoderKL, FlowMatchEulerDiscreteScheduler
from safetensors.torch import save_file
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from tokenizers.pre_tokenizers import ByteLevel
from transformers import CLIPTextConfig, CLIPTextModelWithProjection, T5Config, T5EncoderModel

from dit4sr_cli.model.config import TransformerConfig
from dit4sr_cli.model.transformer import MMDiTControl

TEXT_WIDTH = 32
CLIP_WIDTHS = (8, 16)
POOLED_WIDTH = sum(CLIP_WIDTHS)
TRANSFORMER = {
    "sample_size": 64,
    "patch_size": 2,
    "in_channels": 16,
    "out_channels": 16,
    "num_layers": 2,
    "attention_head_dim": 8,
    "num_attention_heads": 2,
    "joint_attention_dim": TEXT_WIDTH,
    "caption_projection_dim": 16,
    "pooled_projection_dim": POOLED_WIDTH,
    "pos_embed_max_size": 40,
    "dual_attention_layers": [0],
    "qk_norm": "rms_norm",
}


def build(folder: Path, *, shards: int = 1, seed: int = 0) -> Path:
    """Write every part; the transformer in `shards` files, with an index if there are several."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        write_transformer(folder / "transformer", shards)
        tiny_vae().save_pretrained(folder / "vae")
        FlowMatchEulerDiscreteScheduler(shift=3.0).save_pretrained(folder / "scheduler")
        for number, width in zip(("", "_2"), CLIP_WIDTHS, strict=True):
            size = _write_clip_tokenizer(folder / f"tokenizer{number}", pad="!" if number else None)
            _clip(size, width).save_pretrained(folder / f"text_encoder{number}")
        size = _write_t5_tokenizer(folder / "tokenizer_3")
        _t5(size).save_pretrained(folder / "text_encoder_3")
    return folder


def tiny_vae() -> AutoencoderKL:
    """SD3's VAE in its kind: 16 channels, a shift, no quantising convolutions."""
    return AutoencoderKL(
        block_out_channels=(8, 8, 8, 8),
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        layers_per_block=1,
        norm_num_groups=4,
        latent_channels=16,
        scaling_factor=1.5305,
        shift_factor=0.0609,
        use_quant_conv=False,
        use_post_quant_conv=False,
    ).eval()


def write_transformer(folder: Path, shards: int = 1) -> None:
    """Random weights in the transformer's published layout."""
    model = MMDiTControl(TransformerConfig.from_dict(TRANSFORMER))
    state = {
        name: tensor if name == "pos_embed.pos_embed" else torch.randn_like(tensor) * 0.05
        for name, tensor in model.state_dict().items()
    }
    names = {"_class_name": "SD3Transformer2DModel", "_diffusers_version": "0.30.0"}
    _write_json(folder / "config.json", names | TRANSFORMER)
    stem = "diffusion_pytorch_model"
    if shards == 1:
        save_file(state, folder / f"{stem}.safetensors", {"format": "pt"})
        return
    places = {
        name: f"{stem}-{i % shards + 1:05}-of-{shards:05}.safetensors"
        for i, name in enumerate(state)
    }
    for file in sorted(set(places.values())):
        part = {name: state[name] for name in state if places[name] == file}
        save_file(part, folder / file, {"format": "pt"})
    _write_json(folder / f"{stem}.safetensors.index.json", {"metadata": {}, "weight_map": places})


def _clip(vocabulary: int, width: int) -> CLIPTextModelWithProjection:
    config = CLIPTextConfig(
        vocab_size=vocabulary,
        hidden_size=width,
        intermediate_size=16,
        projection_dim=width,
        num_hidden_layers=3,
        num_attention_heads=2,
        max_position_embeddings=77,
        bos_token_id=vocabulary - 2,
        eos_token_id=vocabulary - 1,
        initializer_factor=5.0,
    )
    return CLIPTextModelWithProjection(config).eval()


def _t5(vocabulary: int) -> T5EncoderModel:
    config = T5Config(
        vocab_size=vocabulary,
        d_model=TEXT_WIDTH,
        d_kv=8,
        d_ff=16,
        num_layers=2,
        num_heads=2,
        feed_forward_proj="gated-gelu",
    )
    return T5EncoderModel(config).eval()


def _write_clip_tokenizer(folder: Path, *, pad: str | None) -> int:
    """Bytes, bytes that end a word, and a few merges; returns the number of tokens."""
    start, end = "<|startoftext|>", "<|endoftext|>"
    merges = [("a", "t</w>"), ("c", "at</w>"), ("h", "o"), ("u", "s"), ("ho", "us")]
    letters = sorted(ByteLevel.alphabet())
    tokens = [*letters, *(f"{letter}</w>" for letter in letters)]
    tokens += ["".join(pair) for pair in merges]
    tokens += [start, end]
    _write_json(folder / "vocab.json", {token: number for number, token in enumerate(tokens)})
    lines = ["#version: 0.2", *(" ".join(pair) for pair in merges)]
    (folder / "merges.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    special = {"bos_token": start, "eos_token": end, "unk_token": end, "pad_token": pad or end}
    _write_json(folder / "special_tokens_map.json", special)
    settings = {"tokenizer_class": "CLIPTokenizer", "model_max_length": 77, "do_lower_case": True}
    _write_json(folder / "tokenizer_config.json", settings | special)
    return len(tokens)


def _write_t5_tokenizer(folder: Path) -> int:
    """Letters and a few words as a unigram model; returns the number of tokens."""
    special = {"pad_token": "<pad>", "eos_token": "</s>", "unk_token": "<unk>"}
    pieces = [(token, 0.0) for token in special.values()]
    pieces += [("▁", -2.0), ("▁house", -4.0), ("▁cat", -4.0), ("▁a", -3.0)]
    pieces += [(letter, -6.0) for letter in "abcdefghijklmnopqrstuvwxyz,.-0123456789"]
    tokenizer = Tokenizer(models.Unigram(pieces, unk_id=2, byte_fallback=False))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="$A </s>", special_tokens=[("</s>", 1)]
    )
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    _write_json(folder / "special_tokens_map.json", special)
    settings = {"tokenizer_class": "T5Tokenizer", "model_max_length": 512, "extra_ids": 0}
    _write_json(folder / "tokenizer_config.json", settings | special)
    return len(pieces)


def _write_json(path: Path, values: dict) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(values, indent=1) + "\n", encoding="utf-8")
