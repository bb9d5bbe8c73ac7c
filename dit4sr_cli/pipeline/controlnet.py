"""SD3-ControlNet, the paper's baseline: Stable Diffusion 3.5 and a ControlNet that reads L.

Both networks are diffusers' own, behind the call of `MMDiTControl`, so that training and sampling
need not know which of them they have. A folder holds them as `transformer/` and `controlnet/`.
Shapes: B batch, C latent channels, H W latent grid, M text tokens.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from diffusers import SD3ControlNetModel, SD3Transformer2DModel
from torch import Tensor, nn

from dit4sr_cli.core.errors import ModelError
from dit4sr_cli.model.config import TransformerConfig
from dit4sr_cli.model.precondition import ResidualPreconditioner
from dit4sr_cli.weights.files import read_json
from dit4sr_cli.weights.reader import check_fit, read_shapes, read_state_dict
from dit4sr_cli.weights.stream import stream_blocks

BASE, CONTROLNET = "transformer", "controlnet"
"""Its folders, by the names that diffusers gives them."""
_SHAPE = (
    *("sample_size", "patch_size", "in_channels", "out_channels", "num_layers"),
    *("attention_head_dim", "num_attention_heads", "joint_attention_dim"),
    *("caption_projection_dim", "pooled_projection_dim", "pos_embed_max_size"),
    *("dual_attention_layers", "qk_norm"),
)


class ControlNetBaseline(nn.Module):
    """Stable Diffusion's transformer and its ControlNet, called as `MMDiTControl` is.

    The ControlNet sees what the transformer sees, and the LR latents as its condition; its outputs
    are added to the transformer's image tokens after each block.
    """

    def __init__(
        self, config: TransformerConfig, controlnet: Mapping[str, Any] | None = None
    ) -> None:
        """Build it, with weights that mean nothing yet.

        Args:
            config: of the transformer; what DiT4SR adds to it is not used.
            controlnet: diffusers' config of the ControlNet; None: the paper's, by half as deep.
        """
        super().__init__()
        self.config = config
        self.base = SD3Transformer2DModel(**_shape(config))
        if config.preconditioning == "residual":
            self.base.preconditioner = ResidualPreconditioner(config.in_channels)
        self.controlnet = SD3ControlNetModel.from_config(dict(controlnet or paper_config(config)))

    @property
    def preconditioner(self) -> ResidualPreconditioner:
        """Of `residual` preconditioning; its scales lie with the base's weights."""
        found = self.base.preconditioner
        assert isinstance(found, ResidualPreconditioner)
        return found

    @property
    def checkpointing(self) -> bool:
        """Whether training computes each block again for the backward pass, to hold less."""
        return bool(self.base.gradient_checkpointing)

    @checkpointing.setter
    def checkpointing(self, wanted: bool) -> None:
        for network in (self.base, self.controlnet):
            switch = "enable" if wanted else "disable"
            getattr(network, f"{switch}_gradient_checkpointing")()

    @property
    def parts(self) -> dict[str, tuple[nn.Module, dict[str, Any]]]:
        """Its networks and their `config.json`, by the folder of each."""
        names = {"_class_name": type(self.base).__name__}
        return {
            BASE: (self.base, {**names, **asdict(self.config)}),
            CONTROLNET: (self.controlnet, dict(self.controlnet.config)),
        }

    def forward(
        self,
        noisy_latents: Tensor,
        lr_latents: Tensor,
        timestep: Tensor,
        prompt_embeds: Tensor,
        pooled_prompt_embeds: Tensor,
    ) -> Tensor:
        """Predict the velocity [B, C, H, W]; arguments as `MMDiTControl.forward` has them."""
        conditioning = (timestep, prompt_embeds, pooled_prompt_embeds)
        if self.config.preconditioning == "none":
            return self.network(noisy_latents, lr_latents, *conditioning).to(noisy_latents.dtype)
        x, lr = self.preconditioner.inputs(noisy_latents, lr_latents, timestep)
        output = self.network(x, lr, *conditioning)
        velocity = self.preconditioner.velocity(output, noisy_latents, lr_latents, timestep)
        return velocity.to(noisy_latents.dtype)

    def network(
        self,
        x: Tensor,
        lr: Tensor,
        timestep: Tensor,
        prompt_embeds: Tensor,
        pooled_prompt_embeds: Tensor,
    ) -> Tensor:
        """Both bare networks, without preconditioning; shapes as in `forward`."""
        dtype = self.base.proj_out.weight.dtype
        x, lr, text, pooled = (t.to(dtype) for t in (x, lr, prompt_embeds, pooled_prompt_embeds))
        is_blind = self.controlnet.config.force_zeros_for_pooled_projection
        controls = self.controlnet(
            hidden_states=x,
            controlnet_cond=lr,
            encoder_hidden_states=text,
            pooled_projections=torch.zeros_like(pooled) if is_blind else pooled,
            timestep=timestep,
            return_dict=False,
        )[0]
        return self.base(
            hidden_states=x,
            encoder_hidden_states=text,
            pooled_projections=pooled,
            timestep=timestep,
            block_controlnet_hidden_states=controls,
            return_dict=False,
        )[0]

    @torch.no_grad()
    def start_from_base(self) -> None:
        """The start of the paper's training: the ControlNet is a copy that changes nothing yet."""
        own = self.controlnet.state_dict()
        copied = {name: tensor for name, tensor in self.base.state_dict().items() if name in own}
        self.controlnet.load_state_dict({**own, **copied})
        for layer in (self.controlnet.pos_embed_input, self.controlnet.controlnet_blocks):
            for parameter in layer.parameters():
                nn.init.zeros_(parameter)


def paper_config(config: TransformerConfig) -> dict[str, Any]:
    """The ControlNet on a transformer: a copy of the first half of its blocks.

    With Stable Diffusion 3.5 medium that makes 3504.34 M parameters together, where the paper has
    3504.4; a block more or less is 104 M. (With 2 to 17 further channels of condition it would be
    3504.4 to the digit; which those might be, the paper does not say.)
    """
    return {
        **_shape(config),
        "num_layers": max(1, config.num_layers // 2),
        "force_zeros_for_pooled_projection": False,
    }


def skeleton(folder: Path, config: TransformerConfig) -> ControlNetBaseline:
    """The network without weights, once the folder's are known to fit; reads headers only.

    Args:
        folder: of the model; holds `transformer/` and `controlnet/`.
        config: of the transformer.

    Raises:
        ModelError: files are missing or damaged, or do not fit.
    """
    path = folder / CONTROLNET / "config.json"
    values = {key: value for key, value in read_json(path).items() if key[:1] != "_"}
    try:
        with torch.device("meta"):
            model = ControlNetBaseline(config, values)
    except (TypeError, ValueError, AttributeError) as error:
        raise ModelError(f"{path}: {error}") from error
    for name, (module, _) in model.parts.items():
        check_fit(module, read_shapes(folder / name), folder / name)
    return model


def load_controlnet(
    folder: Path,
    config: TransformerConfig,
    device: str | torch.device = "cpu",
    dtype: torch.dtype | None = None,
    *,
    stream: bool = False,
) -> ControlNetBaseline:
    """Load a model's folder.

    Args:
        folder: holds `transformer/` and `controlnet/`, each in the diffusers layout.
        config: of the transformer.
        device: where the weights go.
        dtype: None keeps the type they are stored in.
        stream: read each block's weights when it runs, and keep none.

    Raises:
        ModelError: files are missing or damaged, or do not fit.
    """
    model = skeleton(folder, config)
    for name, (module, _) in model.parts.items():
        if stream:
            place = folder / name
            stream_blocks(
                module, "transformer_blocks", place, device=torch.device(device), dtype=dtype
            )
        else:
            state = read_state_dict(folder / name, device=device, dtype=dtype)
            module.load_state_dict(state, strict=True, assign=True)
    return model.requires_grad_(False).eval()


def _shape(config: TransformerConfig) -> dict[str, Any]:
    """The fields that diffusers' networks have, too."""
    return {name: getattr(config, name) for name in _SHAPE}
