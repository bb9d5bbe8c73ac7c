"""Loads the embedded model's codec from a folder."""

from __future__ import annotations

from pathlib import Path

import torch

from dit4sr_cli.core.errors import ModelError
from dit4sr_cli.model.codec import BlockCodec, CodecConfig
from dit4sr_cli.weights.files import read_json
from dit4sr_cli.weights.reader import read_state_dict


def load_block_codec(folder: Path, *, device: str | torch.device = "cpu") -> BlockCodec:
    """Read `config.json` and weights; always float32, which costs nothing at this size.

    Raises:
        ModelError: files are missing or damaged, or do not fit.
    """
    try:
        codec = BlockCodec(CodecConfig(**read_json(folder / "config.json")))
        if codec.config.refine_width:
            codec.load_state_dict(read_state_dict(folder))
    except (TypeError, RuntimeError) as error:
        raise ModelError(f"{folder}: {error}") from error
    return codec.requires_grad_(False).to(device=device, dtype=torch.float32).eval()
