"""What a run trains: the transformer, and unless the objective is flow its codec."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from torch import nn

from dit4sr_cli.model.codec import BlockCodec
from dit4sr_cli.model.transformer import MMDiTControl
from dit4sr_cli.training.config import TrainConfig
from dit4sr_cli.training.start import freeze_base, load_base

if TYPE_CHECKING:
    from dit4sr_cli.pipeline.controlnet import ControlNetBaseline

_FROZEN = {"no": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}


class Networks(nn.Module):
    """The transformer and the codec, with weights that mean nothing yet."""

    def __init__(self, config: TrainConfig) -> None:
        super().__init__()
        self.transformer = _transformer(config)
        # Flow never trains it: then it is the exact inverse, which has no weights.
        trains_codec = config.objective != "flow"
        self.codec = BlockCodec(
            config.codec if trains_codec else replace(config.codec, refine_width=0, draw_width=0)
        )


def load_start(networks: Networks, config: TrainConfig) -> None:
    """Fill in what the recipe starts from, and freeze what it leaves as it is.

    Raises:
        ModelError: the base is not there, or of another shape.
    """
    if config.start.base:
        load_base(networks.transformer, config.start.base)
    if config.start.trained == "control":
        freeze_base(networks.transformer, _FROZEN[config.compute.mixed_precision])
    if config.objective == "drawing" and not config.draw.joint:
        networks.requires_grad_(False)
        networks.codec.draw.requires_grad_(True)


def _transformer(config: TrainConfig) -> MMDiTControl | ControlNetBaseline:
    model: MMDiTControl | ControlNetBaseline
    if config.network == "dit4sr":
        model = MMDiTControl(config.transformer)
    else:
        from dit4sr_cli.pipeline.controlnet import ControlNetBaseline

        model = ControlNetBaseline(config.transformer)
    model.checkpointing = config.compute.checkpointing
    return model
