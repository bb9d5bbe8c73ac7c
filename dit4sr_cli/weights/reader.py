"""Reads safetensors folders in the diffusers layout; pickles are never looked for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from dit4sr_cli.core.errors import ModelError


def read_json(path: Path) -> dict[str, Any]:
    """Parse a JSON object.

    Raises:
        ModelError: the file is missing or damaged.
    """
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ModelError(f"{path}: not there", hint="is this the folder of a model?") from None
    except (OSError, ValueError) as error:
        raise ModelError(f"{path}: cannot be read ({error})") from error
    if not isinstance(values, dict):
        raise ModelError(f"{path}: not a JSON object")
    return values


def read_state_dict(folder: Path, *, device: str = "cpu") -> dict[str, torch.Tensor]:
    """Tensors of a folder, from one file or from the shards that an index names.

    Raises:
        ModelError: no weights, a missing shard, or a damaged file.
    """
    state: dict[str, torch.Tensor] = {}
    for path in _weight_files(folder):
        try:
            state.update(load_file(path, device=device))
        except (OSError, SafetensorError) as error:
            raise ModelError(
                f"{path}: damaged or incomplete weights ({error})", hint="fetch this file again"
            ) from error
    return state


def _weight_files(folder: Path) -> list[Path]:
    index = sorted(folder.glob("*.safetensors.index.json"))
    if index:
        names = set(read_json(index[0]).get("weight_map", {}).values())
        paths = [folder / str(name) for name in sorted(names)]
    else:
        paths = sorted(folder.glob("diffusion_pytorch_model*.safetensors"))
        paths = paths or sorted(folder.glob("*.safetensors"))
    missing = [path for path in paths if not path.is_file()]
    if missing:
        raise ModelError(f"{missing[0]}: this shard is missing", hint="fetch it again")
    if not paths:
        raise ModelError(
            f"{folder}: no .safetensors weights in this folder",
            hint="other weight formats are not read: convert them to safetensors first",
        )
    return paths
