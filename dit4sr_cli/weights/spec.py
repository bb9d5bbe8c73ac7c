"""What a model says of itself: its defaults and its needs, read from `model.json` in its folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args

from dit4sr_cli.core.errors import ModelError
from dit4sr_cli.core.types import ColorFix, StartPoint
from dit4sr_cli.core.words import did_you_mean
from dit4sr_cli.model.config import Wiring
from dit4sr_cli.weights.files import read_json

FILE_NAME = "model.json"
NetworkName: TypeAlias = Literal["dit4sr", "sd3-controlnet"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSpec:
    """Defaults of a model; those here are the published model's.

    Args:
        network: `dit4sr`, or `sd3-controlnet`, the paper's baseline, with `controlnet/` beside
            `transformer/`.
        codec: `vae`: Stable Diffusion's; `block`: the embedded model's.
        text: whether prompts mean something to it.
        native_scale: the only factor it works at, other factors being resized from it; 0: any.
        process_size: shortest side in output pixels; 0: pictures are padded, never enlarged first.
        tile, overlap: of the sampler, in latent cells.
        reference_overlap: of the released grid, for comparison.
        min_cells: smallest latent grid; smaller pictures are padded to it.
        shift: of the noise schedule.
        wiring: where the control key comes from; None: as the transformer's config says.
        injection_scale: strength of the LR injection; None: as the transformer's config says.
        base: where VAE, tokenizers and text encoders are if not in the model's own folder: a
            folder, relative to the model's, or the name of a pulled base.
    """

    name: str = "dit4sr"
    licence: str = ""
    network: NetworkName = "dit4sr"
    codec: str = "vae"
    text: bool = True
    steps: int = 40
    guidance: float = 8.0
    start: StartPoint = StartPoint.NOISE
    color_fix: ColorFix = ColorFix.ADAIN
    native_scale: int = 0
    process_size: int = 512
    tile: int = 64
    overlap: int = 6
    reference_overlap: int = 24
    min_cells: int = 1
    shift: float = 3.0
    wiring: Wiring | None = None
    injection_scale: float | None = None
    base: str = ""


def read_spec(folder: Path, defaults: ModelSpec | None = None) -> ModelSpec:
    """The folder's `model.json`; a folder without one is in the published layout.

    Args:
        folder: of the model.
        defaults: for what the file leaves out; None: the published model's, under this name.

    Raises:
        ModelError: the file has a key that this version does not know, or a value that is wrong.
    """
    path = folder / FILE_NAME
    if not path.exists():
        return defaults or ModelSpec(name=folder.resolve().name)
    values = read_json(path)
    return with_values(defaults or ModelSpec(), values, where=str(path))


def with_values(spec: ModelSpec, values: Mapping[str, Any], *, where: str) -> ModelSpec:
    """The same spec with some fields set, as a file says them.

    Args:
        spec: where the other fields come from.
        values: by the names of the fields.
        where: the file, for messages.

    Raises:
        ModelError: a field that this version does not know, or a value that is wrong.
    """
    known = {field.name: str(field.type) for field in fields(ModelSpec)}
    changed: dict[str, Any] = {}
    for key, value in values.items():
        if key not in known:
            hint = did_you_mean(key, known) or "the model is for a newer dit4sr: update it"
            raise ModelError(f"{where}: unknown key {key!r}", hint=hint)
        try:
            changed[key] = _parsed(value, known[key])
        except ValueError as error:
            raise ModelError(f"{where}: {key} = {value!r}: {error}") from error
    return replace(spec, **changed)


def _parsed(value: Any, kind: str) -> Any:
    """A value of a file as a field of this type holds it."""
    kind = kind.removesuffix(" | None")
    if kind in ("StartPoint", "ColorFix"):
        return (StartPoint if kind == "StartPoint" else ColorFix)(value)
    if kind == "Wiring":
        if value in ("legacy", "r1", None):
            return value
        raise ValueError("it is legacy or r1")
    if kind == "NetworkName":
        if value in get_args(NetworkName):
            return value
        raise ValueError(f"it is one of {', '.join(get_args(NetworkName))}")
    if kind == "float" and type(value) in (int, float):
        return float(value)
    if type(value).__name__ == kind:  # not isinstance: to Python, True is a number
        return value
    raise ValueError(f"it should be of type {kind}")
