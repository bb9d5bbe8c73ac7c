"""The objective that a recipe names, on its networks."""

from __future__ import annotations

from typing import Any

from torch import nn

from dit4sr_cli.pipeline.components import Codec
from dit4sr_cli.pipeline.conditioning import Conditioning
from dit4sr_cli.training.config import TrainConfig
from dit4sr_cli.training.drawing import Drawing
from dit4sr_cli.training.flow import Flow
from dit4sr_cli.training.networks import Networks
from dit4sr_cli.training.regression import Regression

_NERVOUS = (0.5, 0.99)
"""AdamW's betas for an adversary: what it learns against changes with every step."""


def build(
    networks: Networks, config: TrainConfig, null: Conditioning, codec: Codec | None
) -> Regression | Drawing | Flow:
    """A module whose call is the loss.

    Args:
        networks: what is trained.
        config: the recipe.
        null: the text of an empty prompt.
        codec: decodes what is shown; None: nothing is.
    """
    if config.objective == "regression":
        return Regression(networks, config)
    if config.objective == "drawing":
        return Drawing(networks, config)
    return Flow(networks, config, null, codec)


def parameter_groups(
    objective: Regression | Drawing | Flow, config: TrainConfig
) -> list[dict[str, Any]]:
    """What is trained, for the optimizer; `share` is of the learning rate."""
    if not isinstance(objective, Drawing):
        return [_group(objective.networks)]
    draw = objective.networks.codec.draw
    groups = [_group(draw)]
    if config.draw.joint:
        groups.append(_group(objective.networks, config.draw.joint, without=draw))
    if objective.adversary is not None:
        groups.append({**_group(objective.adversary, config.draw.adversary), "betas": _NERVOUS})
    return groups


def _group(
    module: nn.Module, share: float = 1.0, without: nn.Module | None = None
) -> dict[str, Any]:
    others = set(without.parameters()) if without else set()
    trained = [p for p in module.parameters() if p.requires_grad and p not in others]
    return {"params": trained, "share": share}
