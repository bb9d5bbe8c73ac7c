"""Recipes for networks like the embedded one that train in seconds."""

from __future__ import annotations

from typing import Any

TRANSFORMER = {
    "sample_size": 32,
    "patch_size": 1,
    "in_channels": 192,
    "out_channels": 192,
    "num_layers": 2,
    "attention_head_dim": 16,
    "num_attention_heads": 1,
    "caption_projection_dim": 16,
    "joint_attention_dim": 2,
    "pooled_projection_dim": 2,
    "pos_embed_max_size": 32,
    "wiring": "r1",
    "injection_scale": 1.0,
    "preconditioning": "residual",
}
REGRESSION: dict[str, Any] = {
    "objective": "regression",
    "seed": 3,
    "transformer": TRANSFORMER,
    "codec": {"refine_width": 8},
    "data": {"tile": 32, "tiles_per_crop": 2, "validation_photographs": 1},
    "optimizer": {"steps": 6, "batch": 4, "warmup": 2},
}
DRAWING: dict[str, Any] = {
    **REGRESSION,
    "objective": "drawing",
    "codec": {"refine_width": 8, "draw_width": 8, "draw_blocks": 1, "draw_fine": 8},
    "data": {**REGRESSION["data"], "detailed": True},
}
