"""MM-DiT-Control, the network of DiT4SR: Stable Diffusion 3.5's transformer with an LR stream.

Parameter names are those of the published checkpoints, so a state dict loads without a key map.
Shapes: B batch, C latent channels, H W latent grid, N tokens of one image, M text tokens, D width.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from dit4sr_cli.model.block import Block, Modulation, normed
from dit4sr_cli.model.config import TransformerConfig
from dit4sr_cli.model.embed import PatchEmbed, TimeTextEmbed
from dit4sr_cli.model.precondition import ResidualPreconditioner


class FinalModulation(Modulation):
    """The last adaLN: scale first, then shift."""

    def __init__(self, width: int) -> None:
        super().__init__(width, 2)


class MMDiTControl(nn.Module):
    """The transformer. Call it with latents and conditioning; it returns the velocity."""

    checkpointing = False
    """Whether training computes each block again for the backward pass, to hold less."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.config = config
        width, patch = config.width, config.patch_size
        self.pos_embed = PatchEmbed(
            config.in_channels,
            width,
            patch,
            config.pos_embed_max_size,
            config.sample_size // patch,
        )
        self.time_text_embed = TimeTextEmbed(config.pooled_projection_dim, width)
        self.context_embedder = nn.Linear(config.joint_attention_dim, width)
        last = config.num_layers - 1
        self.transformer_blocks = nn.ModuleList(
            Block(config, dual=i in config.dual_attention_layers, last=i == last)
            for i in range(config.num_layers)
        )
        self.norm_out = FinalModulation(width)
        self.proj_out = nn.Linear(width, patch * patch * config.out_channels)
        if config.preconditioning == "residual":
            self.preconditioner = ResidualPreconditioner(config.in_channels)

    def forward(
        self,
        noisy_latents: Tensor,
        lr_latents: Tensor,
        timestep: Tensor,
        prompt_embeds: Tensor,
        pooled_prompt_embeds: Tensor,
    ) -> Tensor:
        """Predict the velocity.

        Args:
            noisy_latents: x_t, [B, C, H, W]; H and W multiples of the patch size, not nec. equal.
            lr_latents: latents of the enlarged LR image, [B, C, H, W].
            timestep: sigma times 1000, [B].
            prompt_embeds: [B, M, joint_attention_dim].
            pooled_prompt_embeds: [B, pooled_projection_dim].

        Returns:
            The velocity n - x0, [B, C, H, W], in the dtype of `noisy_latents`.
        """
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
        """The bare network, without preconditioning; shapes as in `forward`."""
        dtype, patch = self.proj_out.weight.dtype, self.config.patch_size
        x, lr, prompt_embeds, pooled_prompt_embeds = (
            t.to(dtype) for t in (x, lr, prompt_embeds, pooled_prompt_embeds)
        )
        grid = (x.shape[-2] // patch, x.shape[-1] // patch)
        image = torch.cat([self.pos_embed(x), self.pos_embed(lr)], dim=1)
        text = self.context_embedder(prompt_embeds)
        temb = self.time_text_embed(timestep, pooled_prompt_embeds)
        for block in self.transformer_blocks:
            if self.checkpointing and torch.is_grad_enabled():
                image, text = checkpoint(block, image, text, temb, grid, use_reentrant=False)
            else:
                image, text = block(image, text, temb, grid)
        scale, shift = self.norm_out(temb)
        return self._unpatchify(self.proj_out(normed(image) * (1 + scale) + shift), grid)

    def _unpatchify(self, tokens: Tensor, grid: tuple[int, int]) -> Tensor:
        (h, w), p = grid, self.config.patch_size
        cells = tokens.view(tokens.shape[0], h, w, p, p, -1)
        return cells.permute(0, 5, 1, 3, 2, 4).reshape(tokens.shape[0], -1, h * p, w * p)
