"""Starting from published weights: Stable Diffusion 3.5's transformer, or a whole DiT4SR."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from dit4sr_cli.core.errors import ModelError
from dit4sr_cli.model.attention import JointAttention
from dit4sr_cli.model.transformer import MMDiTControl
from dit4sr_cli.weights.catalog import MODELS, PARTS, SD35, Kind
from dit4sr_cli.weights.files import read_json
from dit4sr_cli.weights.reader import check_fit, read_shapes, read_state_dict
from dit4sr_cli.weights.resolve import resolve
from dit4sr_cli.weights.shelf import holds, look_up

if TYPE_CHECKING:
    from dit4sr_cli.pipeline.controlnet import ControlNetBaseline

CONTROL = "control"
"""What the names of the layers have in them that DiT4SR, or a ControlNet, adds: those that the
paper trains."""


def transformer_folder(base: str) -> Path:
    """Where the transformer of a base is: the folder itself, one below it, or a model's by name.

    Raises:
        ModelError: there is none.
    """
    folder = Path(base).expanduser()
    for place in (folder / "transformer", folder):
        if (place / "config.json").is_file() and "num_layers" in read_json(place / "config.json"):
            return place
    if folder.is_dir():
        raise ModelError(f"{base}: no transformer in this folder (transformer/config.json)")
    if base in PARTS and base not in MODELS:
        found = look_up(base)
        if found.part.kind is Kind.TRANSFORMER and not found.is_usable:
            raise ModelError(f"{base}: not on this machine", hint=f"dit4sr models pull {base}")
        if found.is_usable and holds(Kind.TRANSFORMER, found.folder):
            return found.folder / "transformer"
    return resolve(base).folder / "transformer"


def vae_folder(base: str) -> Path | None:
    """Where the VAE is that a base's latents are made with, if it is here."""
    if not base:
        return None
    beside = transformer_folder(base).parent
    pulled = look_up(SD35).folder
    found = [folder for folder in (beside, pulled) if holds(Kind.BASE, folder)]
    return found[0] / "vae" if found else None


def base_values(base: str) -> dict[str, Any]:
    """The `config.json` of a base; one without control layers gets the mended wiring.

    The injection has its full strength in training (design of the paper: 1.0); the released weights
    raise it to 1.2 afterwards.

    Raises:
        ModelError: the base is not there.
    """
    folder = transformer_folder(base)
    values = {k: v for k, v in read_json(folder / "config.json").items() if k[:1] != "_"}
    values.setdefault("wiring", "legacy" if has_control(read_shapes(folder)) else "r1")
    return {**values, "injection_scale": 1.0}


def has_control(names: Iterable[str]) -> bool:
    """Whether weights of these names are a DiT4SR's."""
    return any(CONTROL in name for name in names)


@torch.no_grad()
def load_base(model: MMDiTControl | ControlNetBaseline, base: str) -> None:
    """Fill a network with a base's weights; control layers that it lacks start as in the paper.

    Raises:
        ModelError: the base is of another shape, or damaged.
    """
    folder = transformer_folder(base)
    shapes = read_shapes(folder)
    if not isinstance(model, MMDiTControl):
        _load_baseline(model, folder, shapes)
        return
    state = read_state_dict(folder, dtype=torch.float32)
    if not has_control(shapes):
        own = model.state_dict()
        shapes |= {name: tensor.shape for name, tensor in own.items() if CONTROL in name}
        state |= {name: tensor for name, tensor in own.items() if CONTROL in name}
        check_fit(model, shapes, folder)
        model.load_state_dict(state)
        initialise_control(model)
        return
    check_fit(model, shapes, folder)
    model.load_state_dict(state)


def _load_baseline(model: ControlNetBaseline, folder: Path, shapes: dict[str, torch.Size]) -> None:
    """The base's transformer, and the ControlNet beside it or one that is a copy of its half."""
    if has_control(shapes):
        raise ModelError(
            f"{folder}: a DiT4SR; the baseline starts from Stable Diffusion's transformer",
            hint="name another [start] base",
        )
    check_fit(model.base, shapes, folder)
    model.base.load_state_dict(read_state_dict(folder, dtype=torch.float32))
    beside = folder.parent / "controlnet"
    if not (beside / "config.json").is_file():
        model.start_from_base()
        return
    check_fit(model.controlnet, read_shapes(beside), beside)
    model.controlnet.load_state_dict(read_state_dict(beside, dtype=torch.float32))


@torch.no_grad()
def initialise_control(model: MMDiTControl) -> None:
    """The start of the paper's training: L changes nothing yet.

    Query, key and value of L are zero, its output projection is a copy of X's, and the injection
    is zero.
    """
    for module in model.modules():
        if isinstance(module, JointAttention):
            for layer in (module.to_q_control, module.to_k_control, module.to_v_control):
                _zero(layer)
            module.to_out_control.load_state_dict(module.to_out[0].state_dict())
    for name, module in model.named_modules():
        if name.endswith((".control_conv", ".control_linear")):
            _zero(module)


def freeze_base(model: nn.Module, dtype: torch.dtype) -> None:
    """Leave the control layers to training; what is frozen is held in `dtype`."""
    for name, parameter in model.named_parameters():
        if CONTROL not in name:
            parameter.requires_grad_(False)
            parameter.data = parameter.data.to(dtype)


def _zero(module: nn.Module) -> None:
    for parameter in module.parameters():
        nn.init.zeros_(parameter)


def trained_state(module: nn.Module) -> dict[str, Tensor]:
    """What training changes, and buffers that it measured: all but frozen parameters."""
    frozen = {name for name, p in module.named_parameters() if not p.requires_grad}
    return {name: t for name, t in module.state_dict().items() if name not in frozen}
