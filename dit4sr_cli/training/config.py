"""A training run's settings, from TOML to frozen dataclasses; unknown keys are refused."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from dit4sr_cli.core.errors import InputError, UsageError
from dit4sr_cli.model.codec import CodecConfig
from dit4sr_cli.model.config import TransformerConfig

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


@dataclass(frozen=True, slots=True, kw_only=True)
class DataConfig:
    """How tiles are made. `light_share` of the crops are only reduced, not degraded."""

    tile: int = 128
    tiles_per_crop: int = 2
    light_share: float = 0.25
    validation_photographs: int = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class OptimizerConfig:
    """AdamW; warm-up, then a cosine to zero."""

    steps: int = 4000
    batch: int = 8
    learning_rate: float = 1e-3
    warmup: int = 60
    weight_decay: float = 1e-2
    clip: float = 1.0
    ema: float = 0.998


@dataclass(frozen=True, slots=True, kw_only=True)
class LossConfig:
    """What is minimised; see `training.loss`. Texture and grid count from `texture_from` on."""

    regression_share: float = 0.75
    pixel_scale: float = 0.08
    texture_weight: float = 0.0
    grid_weight: float = 0.0
    texture_from: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainConfig:
    """One run."""

    transformer: TransformerConfig
    codec: CodecConfig
    data: DataConfig = field(default_factory=DataConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    seed: int = 0
    initial_share: float = 0.0
    """Share of the weights that the run started from in the model it writes: a sharpness dial."""


def read_config(path: Path) -> TrainConfig:
    """Read a TOML file.

    Raises:
        InputError: the file is missing or not TOML.
        UsageError: a key is unknown or a value makes no sense.
    """
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InputError(f"{path}: not TOML ({error})") from error
    try:
        return parse_config(values)
    except (TypeError, ValueError) as error:
        raise UsageError(f"{path}: {error}") from error


def parse_config(values: Mapping[str, Any]) -> TrainConfig:
    """Build the config from parsed TOML.

    Raises:
        ValueError: a key is unknown or a value makes no sense.
    """
    tables = {
        "data": DataConfig,
        "optimizer": OptimizerConfig,
        "loss": LossConfig,
        "codec": CodecConfig,
    }
    built: dict[str, Any] = {}
    for key, value in values.items():
        if key == "transformer":
            built[key] = TransformerConfig.from_dict(value)
        elif key in tables:
            known = {f.name for f in fields(tables[key])}
            _refuse_unknown(f"[{key}] ", set(value) - known)
            built[key] = tables[key](**value)
        else:
            built[key] = value
    _refuse_unknown("", set(built) - {f.name for f in fields(TrainConfig)})
    if "transformer" not in built:
        raise ValueError("the [transformer] table is missing")
    built.setdefault("codec", CodecConfig())
    return TrainConfig(**built)


def _refuse_unknown(where: str, keys: set[str]) -> None:
    if keys:
        raise ValueError(f"unknown key {where}{min(keys)!r}")
