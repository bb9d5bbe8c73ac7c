"""How a small transformer starts from nothing, and the statistics its scales are set to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch import Tensor, nn

from dit4sr_cli.model.block import Block
from dit4sr_cli.model.codec import BlockCodec
from dit4sr_cli.model.draw import LEAK, Draw
from dit4sr_cli.model.transformer import MMDiTControl
from dit4sr_cli.training.config import TrainConfig
from dit4sr_cli.training.regression import to_signed

if TYPE_CHECKING:
    from dit4sr_cli.pipeline.controlnet import ControlNetBaseline

GATE = 0.25
"""Start of the gates and of the injection's centre tap: from zero, nothing is learned for long."""
BRANCH = 0.2
"""Start of the drawing stage's residual branches: their sum stays in bounds."""
LR_STD_FLOOR = 0.03
"""Smallest standard deviation of an LR channel, in transform units: rounding noise stays small."""


class Trained(Protocol):
    """The pair that is trained together."""

    transformer: MMDiTControl | ControlNetBaseline
    codec: BlockCodec


@torch.no_grad()
def initialise(networks: Trained, config: TrainConfig) -> None:
    """Set start values, reproducibly from the config's seed."""
    generator = torch.Generator().manual_seed(config.seed)
    for module in [*networks.transformer.modules(), *networks.codec.modules()]:
        if isinstance(module, nn.Linear):
            nn.init.xavier_uniform_(module.weight, generator=generator)
            nn.init.zeros_(module.bias)
        elif isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, nonlinearity="linear", generator=generator)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    if isinstance(networks.transformer, MMDiTControl):
        _initialise_ours(networks.transformer)
    else:
        _initialise_baseline(networks.transformer)
    if networks.codec.config.refine_width:
        nn.init.zeros_(networks.codec.refine_out.weight)
    if config.codec.draw_width:
        initialise_drawing(networks.codec.draw, config.seed)


@torch.no_grad()
def initialise_drawing(draw: Draw, seed: int) -> None:
    """Start values of the codec's last stage, with which it draws nothing."""
    generator = torch.Generator().manual_seed(seed)
    for module in draw.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, a=LEAK, generator=generator)
            nn.init.zeros_(module.bias)  # type: ignore[arg-type]
    for name, weight in draw.blocks.named_parameters():
        if name.endswith("conv2.weight"):
            weight.mul_(BRANCH)
    nn.init.zeros_(draw.tail.weight)


def _initialise_ours(model: MMDiTControl) -> None:
    _initialise_shared(model, model.config.width)
    for block in model.transformer_blocks:
        assert isinstance(block, Block)
        attention, ff = block.attn, block.ff
        for control in (attention.to_q_control, attention.to_k_control, attention.to_v_control):
            nn.init.eye_(control.weight)
        attention.to_out_control.load_state_dict(attention.to_out[0].state_dict())
        if hasattr(ff, "control_conv"):
            nn.init.zeros_(ff.control_conv.weight)
            ff.control_conv.weight.data[:, :, 1, 1] = GATE
        if hasattr(ff, "control_linear"):
            nn.init.eye_(ff.control_linear.weight).mul_(GATE)


def _initialise_baseline(model: ControlNetBaseline) -> None:
    """Blocks as ours; the ControlNet is a copy of the base, and what joins them is open, too.

    Its condition enters as the image does, and its outputs by GATE where a ControlNet on trained
    weights has zeros: the base has nothing yet that they could disturb.
    """
    _initialise_shared(model.base, model.config.width)
    model.start_from_base()
    model.controlnet.pos_embed_input.proj.load_state_dict(model.base.pos_embed.proj.state_dict())
    for layer in model.controlnet.controlnet_blocks:
        nn.init.eye_(layer.weight).mul_(GATE)


def _initialise_shared(model: Any, width: int) -> None:
    """What Stable Diffusion's transformer has: gates open, modulations alike for all, no output."""
    for block in model.transformer_blocks:
        for modulation in (block.norm1.linear, block.norm1_context.linear):
            nn.init.zeros_(modulation.weight)
            parts = modulation.bias.data.view(-1, width)
            parts[2::3] = GATE
    nn.init.zeros_(model.norm_out.linear.weight)
    nn.init.zeros_(model.proj_out.weight)


@torch.no_grad()
def measure_statistics(networks: Trained, samples: Sequence[Mapping[str, Tensor]]) -> None:
    """Set the decoder's and the preconditioner's scales of every channel from samples.

    Args:
        networks: whose scales they are.
        samples: `latent_hr` and `latent_lr` [C, h, w], or `original` and `enlarged`, uint8
            [tiles, 3, H, W].
    """
    codec, transformer = networks.codec, networks.transformer
    clean, lr = _latents(codec, samples)
    if hasattr(codec, "refine_std"):
        codec.refine_std.copy_(_channel_std(clean).clamp_min(0.1))
    if transformer.config.preconditioning == "residual":
        preconditioner = transformer.preconditioner
        preconditioner.residual_std.copy_(_channel_std(clean - lr))
        preconditioner.lr_mean.copy_(lr.mean((0, 2, 3)))
        floor = LR_STD_FLOOR * codec.config.scaling_factor
        preconditioner.lr_std.copy_(_channel_std(lr).clamp_min(floor))


def _latents(codec: BlockCodec, samples: Sequence[Mapping[str, Tensor]]) -> tuple[Tensor, Tensor]:
    if "latent_hr" in samples[0]:
        clean, lr = (torch.stack([s[k] for s in samples]) for k in ("latent_hr", "latent_lr"))
        return clean.float(), lr.float()
    original, enlarged = (
        to_signed(torch.cat([sample[side] for sample in samples]))
        for side in ("original", "enlarged")
    )
    return codec.encode(original), codec.encode(enlarged)


def _channel_std(x: Tensor) -> Tensor:
    return x.transpose(0, 1).flatten(1).std(1)
