"""What a model says of itself: its defaults and its needs, read from `model.json` in its folder."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path

from dit4sr_cli.core.errors import ModelError
from dit4sr_cli.core.types import ColorFix, StartPoint
from dit4sr_cli.model.config import Wiring
from dit4sr_cli.weights.reader import read_json

FILE_NAME = "model.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSpec:
    """Defaults of a model; those here are the published model's.

    Args:
        codec: `vae`: Stable Diffusion's; `block`: the embedded model's.
        text: whether prompts mean something to it.
        native_scale: the only factor it works at, other factors being resized from it; 0: any.
        process_size: shortest side in output pixels; 0: pictures are padded, never enlarged first.
        tile, overlap: of the sampler, in latent cells.
        min_cells: smallest latent grid; smaller pictures are padded to it.
        shift: of the noise schedule.
        wiring: where the control key comes from; None: as the transformer's config says.
    """

    name: str = "dit4sr"
    licence: str = ""
    codec: str = "vae"
    text: bool = True
    steps: int = 40
    guidance: float = 8.0
    start: StartPoint = StartPoint.NOISE
    color_fix: ColorFix = ColorFix.ADAIN
    native_scale: int = 0
    process_size: int = 512
    tile: int = 64
    overlap: int = 24
    min_cells: int = 1
    shift: float = 3.0
    wiring: Wiring | None = None


def read_spec(folder: Path) -> ModelSpec:
    """The folder's `model.json`; a folder without one is in the published layout.

    Raises:
        ModelError: the file has a key that this version does not know, or a value that is wrong.
    """
    path = folder / FILE_NAME
    if not path.exists():
        return ModelSpec(name=folder.resolve().name)
    values = read_json(path)
    unknown = sorted(set(values) - {field.name for field in fields(ModelSpec)})
    if unknown:
        raise ModelError(
            f"{path}: unknown key {unknown[0]!r}", hint="the model is for a newer dit4sr: update it"
        )
    try:
        if "start" in values:
            values["start"] = StartPoint(values["start"])
        if "color_fix" in values:
            values["color_fix"] = ColorFix(values["color_fix"])
        return ModelSpec(**values)
    except (TypeError, ValueError) as error:
        raise ModelError(f"{path}: {error}") from error
