"""The public Transformer: the network of `model`, and how to load it from a folder."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch
from typing_extensions import Self

from dit4sr_cli.core.errors import ModelError
from dit4sr_cli.model.config import TransformerConfig, Wiring
from dit4sr_cli.model.transformer import MMDiTControl
from dit4sr_cli.weights.reader import read_json, read_state_dict


class Transformer(MMDiTControl):
    """MM-DiT-Control with a loader; see `MMDiTControl` for how it is called."""

    @classmethod
    def from_folder(
        cls,
        path: str | Path,
        wiring: Wiring | None = None,
        device: str | torch.device = "cpu",
        dtype: torch.dtype | None = None,
    ) -> Self:
        """Load a transformer folder in the diffusers layout, sharded or not.

        Args:
            path: the folder with `config.json` and safetensors.
            wiring: of these weights; None: what the config says, `legacy` if it says nothing.
            device: where the weights go.
            dtype: None keeps the type they are stored in.

        Raises:
            ModelError: files are missing or damaged, or do not fit the architecture.
        """
        folder = Path(path)
        config = _read_config(folder, wiring)
        with torch.device("meta"):
            model = cls(config)
        state = read_state_dict(folder)
        _check_fit(model, state, folder)
        model.load_state_dict(state, strict=True, assign=True)
        model.requires_grad_(False)
        return model.to(device=device, dtype=dtype).eval()


def _read_config(folder: Path, wiring: Wiring | None) -> TransformerConfig:
    try:
        config = TransformerConfig.from_dict(read_json(folder / "config.json"))
        return config if wiring is None else replace(config, wiring=wiring)
    except (TypeError, ValueError) as error:
        raise ModelError(f"{folder / 'config.json'}: {error}") from error


def _check_fit(model: torch.nn.Module, state: dict[str, torch.Tensor], folder: Path) -> None:
    """Name the first few keys that do not fit: a strict load that a person can read."""
    expected = {name: tensor.shape for name, tensor in model.state_dict().items()}
    missing = [name for name in expected if name not in state]
    unexpected = [name for name in state if name not in expected]
    reshaped = [n for n, shape in expected.items() if n in state and state[n].shape != shape]
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
