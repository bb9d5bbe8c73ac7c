"""A model's folder to loaded components: one path for the embedded and the published models."""

from __future__ import annotations

from pathlib import Path

import torch

from dit4sr_cli.core.errors import ModelError
from dit4sr_cli.core.events import Observer, ignore
from dit4sr_cli.core.types import DeviceChoice, Precision
from dit4sr_cli.pipeline.components import Codec, Components, Encoder
from dit4sr_cli.pipeline.denoise import Conditioning
from dit4sr_cli.pipeline.device import pick_device, pick_dtype
from dit4sr_cli.weights.codec import load_block_codec
from dit4sr_cli.weights.spec import ModelSpec, read_spec
from dit4sr_cli.weights.transformer import Transformer


def assemble(
    folder: Path,
    *,
    device: DeviceChoice | str = DeviceChoice.AUTO,
    precision: Precision | str = Precision.AUTO,
    observe: Observer = ignore,
) -> Components:
    """Load every part of a model.

    Raises:
        ModelError: a part is missing, damaged, or does not fit the others.
        UsageError: the device is not on this machine.
    """
    spec = read_spec(folder)
    target = pick_device(device)
    dtype = pick_dtype(precision, target)
    transformer = Transformer.from_folder(
        folder / "transformer", wiring=spec.wiring, device=target, dtype=dtype
    )
    codec = _load_codec(folder, spec, target, dtype)
    if codec.channels != transformer.config.in_channels:
        raise ModelError(
            f"{folder}: the codec has {codec.channels} latent channels,"
            f" the transformer {transformer.config.in_channels}"
        )
    text = _load_text(folder, spec, transformer, target, dtype)
    return Components(spec, transformer, codec, text, target, dtype)


def _load_codec(folder: Path, spec: ModelSpec, device: torch.device, dtype: torch.dtype) -> Codec:
    if spec.codec == "block":
        return load_block_codec(folder / "codec", device=device)
    from dit4sr_cli.pipeline.vae import load_vae

    return load_vae(folder / "vae", device=device, dtype=dtype)


def _load_text(
    folder: Path,
    spec: ModelSpec,
    transformer: Transformer,
    device: torch.device,
    dtype: torch.dtype,
) -> Encoder:
    if not spec.text:
        null = Conditioning.null(transformer.config)
        return lambda prompt, negative: (null, null)
    from dit4sr_cli.pipeline.text import load_text_encoders

    return load_text_encoders(folder, device=device, dtype=dtype)
