"""A model's files to its components: one path for the embedded and the published models.

Only headers are read here: each part is loaded when it is first used, and what it loads into is
decided from the memory that there is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import torch

from dit4sr_cli.core.errors import ModelError, UsageError
from dit4sr_cli.core.events import Noted, Observer, Warned, ignore
from dit4sr_cli.core.types import DeviceChoice, Precision, Quantize
from dit4sr_cli.model.config import TransformerConfig
from dit4sr_cli.model.prepared import Prepared
from dit4sr_cli.pipeline import memory
from dit4sr_cli.pipeline.components import Codec, Components, Encoder, Part
from dit4sr_cli.pipeline.conditioning import Conditioning
from dit4sr_cli.pipeline.device import check_quantize, pick_device, pick_dtype, wider
from dit4sr_cli.pipeline.predictor import Network
from dit4sr_cli.weights.codec import load_block_codec
from dit4sr_cli.weights.resolve import Resolved
from dit4sr_cli.weights.transformer import Transformer, load_prepared, read_config

ROOM = 8 << 30
"""Bytes beside the transformer with which codec and text encoders work without moving it away."""
LEAST_ROOM = 3 << 29
"""Bytes beside the transformer without which a tile cannot be computed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plan:
    """Where the parts go, decided once."""

    device: torch.device
    dtype: torch.dtype
    stays: bool
    """Whether a part stays on the device after its use."""
    streams: bool
    plain: bool
    quantize: Quantize = Quantize.NONE


def assemble(
    found: Resolved,
    *,
    device: DeviceChoice | str = DeviceChoice.AUTO,
    precision: Precision | str = Precision.AUTO,
    t5: bool = True,
    low_memory: bool = False,
    quantize: Quantize = Quantize.NONE,
    plain: bool = False,
    cache: Path | None = None,
    observe: Observer = ignore,
) -> Components:
    """Check every part of a model and say how it will be loaded.

    Args:
        found: the model's files.
        device: where to compute.
        precision: of the transformer.
        t5: False leaves the third text encoder out even if it is there.
        low_memory: read the transformer's blocks one by one.
        quantize: in how many bits the transformer's matrices are held.
        plain: compute as it was published, nothing folded or computed ahead; for comparison.
        cache: where text embeddings are kept; None: nowhere.
        observe: hears of what is not as usual.

    Raises:
        ModelError: a part is missing, damaged, or does not fit the others.
        UsageError: the device is not on this machine, or cannot compute like that.
    """
    target = pick_device(device)
    check_quantize(quantize, target, plain=plain, low_memory=low_memory)
    dtype = pick_dtype(precision, target)
    if target.type == "cpu":
        memory.return_pages()
    folder = found.folder / "transformer"
    config = read_config(folder, found.spec.wiring, found.spec.injection_scale)
    held = _held(found, config, plain=plain, quantize=quantize)
    _check_codec(found)
    plan = _plan(
        held,
        target,
        dtype,
        low_memory=low_memory,
        plain=plain,
        quantize=quantize,
        observe=observe,
    )
    text = _text(found, config, plan, t5=t5, cache=cache, observe=observe)
    return _components(found, config, plan, text)


def _held(
    found: Resolved, config: TransformerConfig, *, plain: bool, quantize: Quantize
) -> torch.nn.Module:
    """The network without weights, in the form in which it will run."""
    if found.spec.network == "sd3-controlnet":
        from dit4sr_cli.pipeline import controlnet

        if quantize is not Quantize.NONE:
            raise UsageError(
                f"{found.name}: an SD3-ControlNet cannot be quantised",
                hint=f"leave out --quantize {quantize.value}",
            )
        return controlnet.skeleton(found.folder, config)
    skeleton = Transformer.skeleton(found.folder / "transformer", config)
    return skeleton if plain else Prepared.of(skeleton, config, quantize)


def _components(
    found: Resolved, config: TransformerConfig, plan: _Plan, text: Encoder
) -> Components:
    spec = found.spec
    folder = found.folder / "transformer"

    def load_transformer() -> Network:
        if spec.network == "sd3-controlnet":
            from dit4sr_cli.pipeline.controlnet import load_controlnet

            return load_controlnet(
                found.folder, config, plan.device, plan.dtype, stream=plan.streams
            )
        if not (plan.plain or plan.streams):
            return load_prepared(folder, config, plan.device, plan.dtype, plan.quantize)
        return Transformer.from_folder(
            folder,
            spec.wiring,
            plan.device,
            plan.dtype,
            injection_scale=spec.injection_scale,
            stream=plan.streams,
        )

    def wider_components() -> Components | None:
        dtype = wider(plan.dtype, plan.device)
        if dtype is None:
            return None
        # The text is short of what overflows: its embeddings are good in any precision.
        return _components(found, config, replace(plan, dtype=dtype), text)

    return Components(
        spec=spec,
        config=config,
        transformer=Part(load_transformer, plan.device, stays=plan.stays or plan.streams),
        codec=Part(partial(_fitting_codec, found, config, plan), plan.device, stays=plan.stays),
        encode_text=text,
        device=plan.device,
        dtype=plan.dtype,
        wider=wider_components,
        streams=plan.streams,
        plain=plan.plain,
        quantize=plan.quantize,
    )


def _plan(
    held: torch.nn.Module,
    device: torch.device,
    dtype: torch.dtype,
    *,
    low_memory: bool,
    plain: bool,
    quantize: Quantize,
    observe: Observer,
) -> _Plan:
    """Keep everything on the device if it fits; else move parts away, or stream the blocks."""
    need = sum(_bytes(tensor, dtype) for tensor in held.state_dict().values())
    free = memory.free_bytes(device)
    is_host = device.type == "cpu"
    streams = low_memory
    if free is not None and free < need + (0 if is_host else LEAST_ROOM) and not low_memory:
        streams = True
        observe(
            Warned(
                f"{_gib(free)} GiB of memory are free and the transformer takes {_gib(need)}: "
                f"its blocks are read one by one, as with --low-memory{_and_exact(quantize)}"
            )
        )
    stays = is_host or not (streams or (free is not None and free < need + ROOM))
    observe(Noted(f"transformer {_gib(need)} GiB, {'streamed' if streams else 'whole'}"))
    return _Plan(
        device=device,
        dtype=dtype,
        stays=stays,
        streams=streams,
        plain=plain,
        quantize=Quantize.NONE if streams else quantize,
    )


def _and_exact(quantize: Quantize) -> str:
    """What else is not as it was asked for."""
    return "" if quantize is Quantize.NONE else ", and not quantised"


def _bytes(tensor: torch.Tensor, dtype: torch.dtype) -> int:
    """What a tensor will take; those of 8 bits are quantised and stay that."""
    return tensor.numel() * min(tensor.itemsize, dtype.itemsize)


def _check_codec(found: Resolved) -> None:
    """Before anyone waits for the text encoders."""
    if found.spec.codec == "vae":
        from dit4sr_cli.pipeline.vae import check_vae

        check_vae(found.base / "vae")


def load_codec(found: Resolved, device: torch.device) -> Codec:
    """A model's codec by itself, in float32.

    Raises:
        ModelError: its files are missing or damaged.
    """
    if found.spec.codec == "block":
        return load_block_codec(found.folder / "codec", device=device)
    from dit4sr_cli.pipeline.vae import load_vae

    return load_vae(found.base / "vae", device=device)


def _fitting_codec(found: Resolved, config: TransformerConfig, plan: _Plan) -> Codec:
    codec = load_codec(found, plan.device)
    if codec.channels != config.in_channels:
        raise ModelError(
            f"{found.folder}: the codec has {codec.channels} latent channels,"
            f" the transformer {config.in_channels}"
        )
    return codec


class _NoText:
    """What stands for text in a model without text encoders, whatever is asked for."""

    def __init__(self, config: TransformerConfig) -> None:
        self._null = Conditioning.null(config)

    def __call__(self, texts: Sequence[str]) -> list[Conditioning]:
        return [self._null] * len(texts)

    def knows(self, texts: Sequence[str]) -> bool:
        return True


def _text(
    found: Resolved,
    config: TransformerConfig,
    plan: _Plan,
    *,
    t5: bool,
    cache: Path | None,
    observe: Observer,
) -> Encoder:
    if not found.spec.text:
        return _NoText(config)
    from dit4sr_cli.pipeline.text import load_text_encoders

    encoders = load_text_encoders(
        found.base, config, device=plan.device, dtype=plan.dtype, t5=t5, cache=cache
    )
    if t5 and not encoders.has_t5:
        observe(
            Warned(
                f"{found.base}: the text encoder T5 is not there and prompts are read less closely "
                "(--no-t5 says that this is meant)"
            )
        )
    return encoders


def _gib(size: int) -> str:
    return f"{size / (1 << 30):.1f}"
