"""Reads safetensors folders in the diffusers layout; pickles are never looked for.

Weights are memory-mapped: what is not touched is not read, what keeps its type is not copied.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from dit4sr_cli.core.errors import ModelError
from dit4sr_cli.weights.variants import weight_files


def read_state_dict(
    folder: Path,
    *,
    device: str | torch.device = "cpu",
    dtype: torch.dtype | None = None,
    names: Collection[str] | None = None,
) -> dict[str, Tensor]:
    """Tensors of a folder, from one file or from its shards.

    Args:
        folder: in the diffusers layout.
        device: where the tensors go.
        dtype: of the floating-point tensors; None keeps what is stored.
        names: which tensors; None: all.

    Raises:
        ModelError: no weights, a missing shard, or a damaged file.
    """
    state: dict[str, Tensor] = {}
    for path in weight_files(folder):
        with _opened(path) as file:
            stored = list(file.keys())
        wanted = stored if names is None else [name for name in stored if name in names]
        for name in wanted:
            # Opened anew for each: once a tensor is converted, the pages it was read from leave.
            with _opened(path) as file:
                state[name] = _converted(file.get_tensor(name), device, dtype)
    return state


def read_shapes(folder: Path) -> dict[str, torch.Size]:
    """The shape of every tensor, from the headers alone.

    Raises:
        ModelError: no weights, a missing shard, or a damaged file.
    """
    shapes: dict[str, torch.Size] = {}
    for path in weight_files(folder):
        with _opened(path) as file:
            for name in file.keys():  # noqa: SIM118 (not a dict)
                shapes[name] = torch.Size(file.get_slice(name).get_shape())
    return shapes


def check_fit(model: torch.nn.Module, shapes: dict[str, torch.Size], folder: Path) -> None:
    """Refuse weights that are not this module's: a strict load that a person can read.

    Raises:
        ModelError: names the first few tensors that are missing, too many, or of another shape.
    """
    expected = {name: tensor.shape for name, tensor in model.state_dict().items()}
    missing = [name for name in expected if name not in shapes]
    unexpected = [name for name in shapes if name not in expected]
    reshaped = [n for n, shape in expected.items() if n in shapes and shapes[n] != shape]
    for what, names in (
        ("missing", missing),
        ("unexpected", unexpected),
        ("of another shape", reshaped),
    ):
        if names:
            raise ModelError(
                f"{folder}: {len(names)} tensors are {what}: {', '.join(names[:5])}",
                hint="these weights are not of this architecture, or the copy is incomplete",
            )


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    try:
        with safe_open(path, framework="pt") as file:
            yield file
    except (OSError, SafetensorError) as error:
        raise ModelError(
            f"{path}: damaged or incomplete weights ({error})", hint="fetch this file again"
        ) from error


def _converted(tensor: Tensor, device: str | torch.device, dtype: torch.dtype | None) -> Tensor:
    return tensor.to(device=device, dtype=dtype if tensor.is_floating_point() else None)
