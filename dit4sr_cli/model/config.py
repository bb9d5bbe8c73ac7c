"""The transformer's configuration: published fields, and a switch for each ablation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal, TypeAlias

Wiring: TypeAlias = Literal["legacy", "r1"]
Attention: TypeAlias = Literal["joint", "separate"]
Injection: TypeAlias = Literal["conv", "linear", "none"]
Preconditioning: TypeAlias = Literal["none", "residual"]

RELEASED_INJECTION_SCALE = 1.2
"""Strength of the LR injection at inference for the released weights (1.0 in training)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TransformerConfig:
    """Shape and wiring of an MM-DiT-Control; the first fields are those of diffusers' SD3 config.

    Args:
        wiring: where the control key comes from: `r1` from the LR stream, `legacy` from the image
            stream's key normed twice, as the q and f weights were trained.
        control_attention: `joint`: LR tokens attend with image and text; `separate`: only to
            themselves (ablation A).
        lr_residual: add LR tokens past the attention (off: ablation B).
        injection: LR features into the feed-forward by a depthwise `conv`, a `linear` (ablation D)
            or `none` (ablation C).
        injection_scale: strength of that injection.
        preconditioning: `residual` wraps the network so that it predicts the latents' difference
            to the LR latents with unit variance; `none` predicts velocity directly.
    """

    sample_size: int = 128
    patch_size: int = 2
    in_channels: int = 16
    out_channels: int = 16
    num_layers: int = 24
    attention_head_dim: int = 64
    num_attention_heads: int = 24
    joint_attention_dim: int = 4096
    caption_projection_dim: int = 1536
    pooled_projection_dim: int = 2048
    pos_embed_max_size: int = 384
    dual_attention_layers: tuple[int, ...] = ()
    qk_norm: str | None = "rms_norm"

    wiring: Wiring = "legacy"
    control_attention: Attention = "joint"
    lr_residual: bool = True
    injection: Injection = "conv"
    injection_scale: float = RELEASED_INJECTION_SCALE
    preconditioning: Preconditioning = "none"

    def __post_init__(self) -> None:
        if self.width != self.caption_projection_dim:
            raise ValueError(
                f"caption_projection_dim {self.caption_projection_dim} is not heads x head size"
                f" = {self.width}"
            )
        if self.qk_norm not in ("rms_norm", None):
            raise ValueError(f"unknown qk_norm {self.qk_norm!r}")
        _check_choice("wiring", self.wiring, ("legacy", "r1"))
        _check_choice("control_attention", self.control_attention, ("joint", "separate"))
        _check_choice("injection", self.injection, ("conv", "linear", "none"))
        _check_choice("preconditioning", self.preconditioning, ("none", "residual"))

    @property
    def width(self) -> int:
        """Channels of a token."""
        return self.num_attention_heads * self.attention_head_dim

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> TransformerConfig:
        """Read a diffusers `config.json`; keys that start with `_` are its bookkeeping.

        Raises:
            ValueError: a key is unknown, so the weights are of another architecture.
        """
        known = {field.name for field in fields(cls)}
        given = {key: value for key, value in values.items() if not key.startswith("_")}
        unknown = sorted(set(given) - known)
        if unknown:
            raise ValueError(f"unknown transformer config key {unknown[0]!r}")
        if given.get("out_channels") is None:
            given["out_channels"] = given.get("in_channels", 16)
        given["dual_attention_layers"] = tuple(given.get("dual_attention_layers") or ())
        return cls(**given)


def _check_choice(name: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise ValueError(f"{name} is {value!r}, not one of {', '.join(known)}")
