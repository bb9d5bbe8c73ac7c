"""The public Transformer: the network of `model`, and how to load it from a folder."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor
from typing_extensions import Self

from dit4sr_cli.core.errors import ModelError
from dit4sr_cli.core.types import Quantize
from dit4sr_cli.model.config import TransformerConfig, Wiring
from dit4sr_cli.model.prepared import Prepared
from dit4sr_cli.model.transformer import MMDiTControl
from dit4sr_cli.weights.files import read_json
from dit4sr_cli.weights.reader import check_fit, read_shapes, read_state_dict
from dit4sr_cli.weights.stream import stream_blocks


class Transformer(MMDiTControl):
    """MM-DiT-Control with a loader; see `MMDiTControl` for how it is called."""

    @classmethod
    def from_folder(
        cls,
        path: str | Path,
        wiring: Wiring | None = None,
        device: str | torch.device = "cpu",
        dtype: torch.dtype | None = None,
        *,
        injection_scale: float | None = None,
        stream: bool = False,
    ) -> Self:
        """Load a transformer folder in the diffusers layout, sharded or not.

        Weights that keep their type on the CPU are memory-mapped, not copied.

        Args:
            path: the folder with `config.json` and safetensors.
            wiring: of these weights; None: what the config says, `legacy` if it says nothing.
            device: where the weights go.
            dtype: None keeps the type they are stored in.
            injection_scale: of the LR features; None: what the config says.
            stream: read each block's weights when it runs, and keep none.

        Raises:
            ModelError: files are missing or damaged, or do not fit the architecture.
        """
        folder = Path(path)
        model = cls.skeleton(folder, read_config(folder, wiring, injection_scale))
        if stream:
            stream_blocks(
                model, "transformer_blocks", folder, device=torch.device(device), dtype=dtype
            )
        else:
            state = read_state_dict(folder, device=device, dtype=dtype)
            model.load_state_dict(state, strict=True, assign=True)
        return model.requires_grad_(False).eval()

    @classmethod
    def skeleton(cls, folder: Path, config: TransformerConfig) -> Self:
        """The network without weights, once the folder's are known to fit; reads headers only.

        Raises:
            ModelError: files are missing or damaged, or do not fit the architecture.
        """
        with torch.device("meta"):
            model = cls(config)
        check_fit(model, read_shapes(folder), folder)
        return model


def load_prepared(
    folder: Path,
    config: TransformerConfig,
    device: str | torch.device = "cpu",
    dtype: torch.dtype | None = None,
    quantize: Quantize = Quantize.NONE,
) -> Prepared:
    """Load a transformer in the form in which it runs fastest and takes least memory.

    Args:
        folder: in the diffusers layout; it is read again when a run begins.
        config: of these weights.
        device: where the weights go.
        dtype: None keeps the type they are stored in.
        quantize: in how many bits the matrices of blocks are held.

    Raises:
        ModelError: files are missing or damaged.
    """
    names = list(read_shapes(folder))

    def state(start: str) -> dict[str, Tensor]:
        wanted = {name for name in names if name.startswith(start)}
        read = read_state_dict(folder, device=device, dtype=dtype, names=wanted)
        return {name.removeprefix(start): tensor for name, tensor in read.items()}

    return Prepared(config, state, quantize).eval()


def read_config(
    folder: Path, wiring: Wiring | None = None, injection_scale: float | None = None
) -> TransformerConfig:
    """The `config.json` of a transformer folder, with what the weights' name says of them.

    Raises:
        ModelError: the file is missing or damaged, or of another architecture.
    """
    try:
        config = TransformerConfig.from_dict(read_json(folder / "config.json"))
        if injection_scale is not None:
            config = replace(config, injection_scale=injection_scale)
        return config if wiring is None else replace(config, wiring=wiring)
    except (TypeError, ValueError) as error:
        raise ModelError(f"{folder / 'config.json'}: {error}") from error
