"""A training run's settings, from TOML to frozen dataclasses; unknown keys are refused."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args, get_type_hints

from dit4sr_cli.core.errors import InputError, UsageError
from dit4sr_cli.core.words import did_you_mean
from dit4sr_cli.model.codec import BlockCodec, CodecConfig
from dit4sr_cli.model.config import TransformerConfig
from dit4sr_cli.weights.spec import NetworkName

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

Objective: TypeAlias = Literal["flow", "regression", "drawing"]
Trained: TypeAlias = Literal["control", "all"]
Schedule: TypeAlias = Literal["cosine", "constant"]
MixedPrecision: TypeAlias = Literal["no", "fp16", "bf16"]


@dataclass(frozen=True, slots=True, kw_only=True)
class StartConfig:
    """Where the weights come from.

    Args:
        base: a folder or a model's name: Stable Diffusion 3.5's transformer, whose control layers
            begin as the paper says, or a DiT4SR to go on from; empty: from nothing.
        trained: `control`: the control layers alone, as in the paper; `all`: everything.
    """

    base: str = ""
    trained: Trained = "all"


@dataclass(frozen=True, slots=True, kw_only=True)
class DataConfig:
    """How tiles are made of photographs; prepared latents are taken as they are.

    Args:
        tile: side in pixels.
        tiles_per_crop: tiles from one degraded crop.
        light_share: of the crops, that are only reduced and not degraded.
        once_share: that are degraded once: less than the paper's, more like most photographs.
        soft_share: of those only reduced, whose originals are soft or grainy.
        figures_share: of the others, that have figures drawn over them.
        detailed: of two windows of a crop take the one with more detail, unless it is only reduced.
        validation_photographs: the first so many are never trained on; of prepared latents, too.
        workers: processes that make samples ahead.
    """

    tile: int = 128
    tiles_per_crop: int = 2
    light_share: float = 0.25
    once_share: float = 0.0
    soft_share: float = 0.0
    figures_share: float = 0.0
    detailed: bool = False
    validation_photographs: int = 8
    workers: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class OptimizerConfig:
    """AdamW; warm-up, then a cosine to zero or a constant rate.

    `batch` is what one step sees, over all processes and accumulated parts.
    """

    steps: int = 4000
    batch: int = 8
    learning_rate: float = 1e-3
    schedule: Schedule = "cosine"
    warmup: int = 60
    beta1: float = 0.9
    beta2: float = 0.98
    weight_decay: float = 1e-2
    clip: float = 1.0
    ema: float = 0.998


@dataclass(frozen=True, slots=True, kw_only=True)
class ComputeConfig:
    """How a step is computed.

    Args:
        mixed_precision: of the forward pass; trained weights and averages stay in 32 bits.
        accumulation: parts in which each process takes its share of a batch.
        checkpointing: compute every block again for the backward pass: less memory, more time.
    """

    mixed_precision: MixedPrecision = "no"
    accumulation: int = 1
    checkpointing: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowConfig:
    """The paper's objective; see `training.flow`."""

    null_share: float = 0.2
    shift: float = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class LossConfig:
    """What regression minimises; see `training.regression`. Texture and grid begin later."""

    regression_share: float = 0.75
    pixel_scale: float = 0.08
    texture_weight: float = 0.0
    grid_weight: float = 0.0
    texture_from: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class DrawConfig:
    """What drawing minimises beside the error; see `training.drawing`. Pictures count in 0..1.

    Args:
        window: side in pixels of what is drawn and judged of each tile.
        squared: weight of the mean squared error; the mean error has 1.
        relative: errors of tiles that are restored well count more, as decibels have it.
        texture: weight of the distance of local contrast.
        phase, lattice, outlier, dots, teeth: weights of the losses of these names in
            `training.artefacts`.
        perceptual: weight of ST-LPIPS; 0: it is not needed.
        perceptual_share: of the tiles, that it judges.
        adversarial: weight of what `training.adversary` says; 0: there is none.
        adversarial_share: of the tiles, that it sees.
        adversary: share of the learning rate that it learns with.
        joint: share of the learning rate that the transformer and the rest of the codec learn
            with; 0: they stay as they are.
        undrawn, flow: weights of the errors before the stage and of the flow, if they learn.
    """

    window: int = 112
    squared: float = 4.0
    relative: bool = False
    texture: float = 0.004
    phase: float = 0.002
    lattice: float = 6.0
    outlier: float = 3.0
    dots: float = 10.0
    teeth: float = 0.0
    perceptual: float = 0.0
    perceptual_share: float = 0.5
    adversarial: float = 0.0
    adversarial_share: float = 0.5
    adversary: float = 0.7
    joint: float = 0.0
    undrawn: float = 0.3
    flow: float = 0.005


@dataclass(frozen=True, slots=True, kw_only=True)
class ValidationConfig:
    """Figures and pictures of samples that are held out.

    Args:
        every: steps between them.
        samples: how many are measured.
        pictures: how many of them are shown.
        steps, guidance: of sampling, where the objective is flow.
    """

    every: int = 200
    samples: int = 24
    pictures: int = 4
    steps: int = 20
    guidance: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainConfig:
    """One run."""

    transformer: TransformerConfig
    objective: Objective = "flow"
    network: NetworkName = "dit4sr"
    start: StartConfig = field(default_factory=StartConfig)
    codec: CodecConfig = field(default_factory=CodecConfig)
    data: DataConfig = field(default_factory=DataConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    compute: ComputeConfig = field(default_factory=ComputeConfig)
    flow: FlowConfig = field(default_factory=FlowConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    draw: DrawConfig = field(default_factory=DrawConfig)
    validation: ValidationConfig = field(default_factory=ValidationConfig)
    save_every: int = 100
    seed: int = 0
    licence: str = ""
    """Of the model that is made, as its photographs allow."""
    initial: str = ""
    """The recipe that this one goes on from, unless a run is given: one that ships, or a path."""
    initial_share: float = 0.0
    """Share of the weights that the run started from in the model it writes: a sharpness dial."""

    @property
    def has_block_latents(self) -> bool:
        """Whether the latents are the block codec's; others are a VAE's."""
        return self.transformer.in_channels == BlockCodec.channels

    @property
    def samples_per_item(self) -> int:
        """What one item of the data holds: tiles of a crop, or one pair of latents."""
        return self.data.tiles_per_crop if self.objective != "flow" else 1


def read_config(path: Path) -> TrainConfig:
    """Read a TOML file.

    Raises:
        InputError: the file is missing or not TOML.
        ModelError: the weights that it starts from are not there.
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
    """Build the config from parsed TOML; reads the config of the weights it starts from, if any.

    Raises:
        ModelError: those weights are not there.
        ValueError: a key is unknown or a value makes no sense.
    """
    hints = get_type_hints(TrainConfig)
    _refuse_unknown("", values, hints)
    built: dict[str, Any] = {}
    for key, value in values.items():
        if key == "transformer":
            continue
        kind = hints[key]
        built[key] = _table(key, kind, value) if isinstance(value, Mapping) else value
        _check(key, built[key], kind)
    start = built.get("start", StartConfig())
    built["transformer"] = _transformer(values.get("transformer"), start)
    config = TrainConfig(**built)
    _check_batch(config)
    if config.objective == "drawing" and not config.codec.draw_width:
        raise ValueError(
            'objective = "drawing" trains a stage that the codec lacks: draw_width is 0'
        )
    return config


def _table(key: str, kind: type, values: Mapping[str, Any]) -> Any:
    hints = get_type_hints(kind)
    _refuse_unknown(f"[{key}] ", values, hints)
    for name, value in values.items():
        _check(f"[{key}] {name}", value, hints[name])
    return kind(**values)


def _transformer(given: Mapping[str, Any] | None, start: StartConfig) -> TransformerConfig:
    if not start.base:
        if given is None:
            raise ValueError("the [transformer] table is missing, and no [start] base is named")
        return TransformerConfig.from_dict(given)
    from dit4sr_cli.training.start import base_values

    return TransformerConfig.from_dict({**base_values(start.base), **(given or {})})


def _check(name: str, value: Any, kind: Any) -> None:
    """Refuse a value of another type, or a word that is none of those there are."""
    choices = get_args(kind)
    if choices:
        if value not in choices:
            raise ValueError(f"{name} is {value!r}, not one of {', '.join(choices)}")
    elif kind is float:
        if type(value) not in (int, float):
            raise ValueError(f"{name} is {value!r}, not a number")
    elif not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise ValueError(f"{name} is {value!r}, not of type {kind.__name__}")


def _check_batch(config: TrainConfig) -> None:
    optimizer, samples = config.optimizer, config.samples_per_item
    for name, value in (("steps", optimizer.steps), ("batch", optimizer.batch)):
        if value < 1:
            raise ValueError(f"[optimizer] {name} is {value}; at least 1 is needed")
    if optimizer.batch % (samples * config.compute.accumulation):
        raise ValueError(
            f"[optimizer] batch {optimizer.batch} is no multiple of"
            f" {samples} tiles of a crop x {config.compute.accumulation} accumulated parts"
        )


def _refuse_unknown(where: str, keys: Mapping[str, Any], known: Mapping[str, Any]) -> None:
    unknown = sorted(set(keys) - set(known))
    if unknown:
        hint = did_you_mean(unknown[0], list(known))
        raise ValueError(f"unknown key {where}{unknown[0]!r}" + (f"; {hint}" if hint else ""))


def table_fields(config: TrainConfig) -> dict[str, Any]:
    """Every setting by `table.name`, for a log."""
    found: dict[str, Any] = {}
    for entry in fields(config):
        value = getattr(config, entry.name)
        if hasattr(value, "__dataclass_fields__"):
            found |= {f"{entry.name}.{f.name}": getattr(value, f.name) for f in fields(value)}
        else:
            found[entry.name] = value
    return found
