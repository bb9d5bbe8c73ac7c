"""Runs a deep network with one block's weights in memory: each is read when its turn comes.

The system's file cache keeps what fits of the files, so with memory to spare nothing is read twice.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from dit4sr_cli.weights.reader import read_shapes, read_state_dict

Cast = Callable[[str, Tensor], Tensor]


def stream_blocks(
    module: nn.Module,
    blocks: str,
    folder: Path,
    *,
    device: torch.device,
    dtype: torch.dtype | None,
    keep_float32: tuple[str, ...] = (),
) -> None:
    """Give a module on `meta` its weights: its blocks' only while they run, the others now.

    Args:
        module: its parameters are named as in the files.
        blocks: name of its list of blocks.
        folder: the safetensors.
        device: where it computes.
        dtype: in which it computes; None: as stored.
        keep_float32: parts of names whose tensors stay in float32.

    Raises:
        ModelError: a file is missing or damaged.
    """
    names = read_shapes(folder)

    def read(prefix: str, wanted: set[str]) -> dict[str, Tensor]:
        exact = {name for name in wanted if any(part in name for part in keep_float32)}
        state = read_state_dict(folder, device=device, dtype=dtype, names=wanted - exact)
        state |= read_state_dict(folder, device=device, dtype=torch.float32, names=exact)
        return {name.removeprefix(prefix): tensor for name, tensor in state.items()}

    outside = {name for name in names if not name.startswith(f"{blocks}.")}
    module.load_state_dict(read("", outside), strict=False, assign=True)
    layers = module.get_submodule(blocks)
    assert isinstance(layers, nn.ModuleList)
    for number, block in enumerate(layers):
        prefix = f"{blocks}.{number}."
        inside = {name for name in names if name.startswith(prefix)}

        def load(
            block: nn.Module, *_: Any, prefix: str = prefix, inside: set[str] = inside
        ) -> None:
            block.load_state_dict(read(prefix, inside), strict=True, assign=True)
            block.requires_grad_(False)

        def drop(block: nn.Module, *_: Any) -> None:
            block.to("meta")

        block.register_forward_pre_hook(load)
        block.register_forward_hook(drop, always_call=True)
    module.requires_grad_(False)
