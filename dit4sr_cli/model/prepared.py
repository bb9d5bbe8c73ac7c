"""The transformer as it is run: the function of `MMDiTControl`, less what is constant or unused.

What depends on the run alone (modulations of all steps, embedded text) is computed once, and the
weights for that are then let go. Linears that follow each other are one, those that read the same
are one matrix, and nothing is computed whose result nobody reads. Results are those of
`MMDiTControl` up to rounding.

Shapes: B tiles at once, C latent channels, H W latent grid, N tokens of one tile, M text tokens,
D width, h heads of d, S steps, P conditionings. X and L are one tensor [2, B, N, D].
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, linear, silu

from dit4sr_cli.core.types import Quantize
from dit4sr_cli.model.config import TransformerConfig
from dit4sr_cli.model.embed import TimeTextEmbed
from dit4sr_cli.model.folding import ReadState, below, keep
from dit4sr_cli.model.matrix import quantize_
from dit4sr_cli.model.precondition import ResidualPreconditioner
from dit4sr_cli.model.prepared_block import PreparedBlock, modulated
from dit4sr_cli.model.reuse import Reuse

CENTRE = 32
"""Tokens along a side of the part of the position table that is held; others are read again."""


@dataclass(frozen=True, slots=True)
class Conditions:
    """What a run says to the network: P texts at S timesteps.

    Args:
        timesteps: sigmas times 1000, [S].
        text: embedded, [P, M, D].
        blocks: of each block, the modulations of the image streams and of the text, [S, P, K, D];
            scales have one added.
        final: of the output, [S, P, 2, D].
    """

    timesteps: Tensor
    text: Tensor
    blocks: tuple[tuple[Tensor, Tensor], ...]
    final: Tensor


class Prepared(nn.Module):
    """A transformer that has been made ready to run; see `MMDiTControl` for what it computes."""

    centre: Tensor
    patch_weight: Tensor
    patch_bias: Tensor
    out_weight: Tensor
    out_bias: Tensor

    def __init__(
        self, config: TransformerConfig, state: ReadState, quantize: Quantize = Quantize.NONE
    ) -> None:
        """Read the weights block by block, so that no more than one is held twice.

        The matrices of blocks are quantised alone. Patch embedding and output are small and their
        errors would reach the latents undamped; norms and the depthwise convolution have a few
        numbers for each channel; modulations are computed once, and their weights let go.

        Args:
            config: of the transformer.
            state: its weights; asked again for each run and each new size of tiles.
            quantize: in how many bits the matrices of blocks are held.
        """
        super().__init__()
        self.config = config
        self._state = state
        self._positions: dict[tuple[int, int], Tensor] = {}
        # First, while there is nothing else: the whole table is larger than any block.
        held = min(CENTRE, config.pos_embed_max_size)
        self.register_buffer("centre", self._middle(held, held))
        keep(self, "patch", state("pos_embed.proj."))
        keep(self, "out", state("proj_out."))
        self.blocks = nn.ModuleList()
        for i in range(config.num_layers):
            is_last = i == config.num_layers - 1
            block = PreparedBlock(config, state(f"transformer_blocks.{i}."), is_last=is_last)
            quantize_(block, quantize)
            self.blocks.append(block)
        if config.preconditioning == "residual":
            with torch.device("meta"):
                self.preconditioner = ResidualPreconditioner(config.in_channels)
            self.preconditioner.load_state_dict(dict(state("preconditioner.")), assign=True)
        self.requires_grad_(False)

    @classmethod
    def of(
        cls, module: nn.Module, config: TransformerConfig, quantize: Quantize = Quantize.NONE
    ) -> Prepared:
        """What a loaded `MMDiTControl` computes."""
        state = module.state_dict()
        return cls(config, lambda start: below(state, start), quantize)

    def conditions(self, timesteps: Tensor, prompt_embeds: Tensor, pooled: Tensor) -> Conditions:
        """Compute what all tiles and pictures of a run have in common.

        Args:
            timesteps: [S], sigma times 1000.
            prompt_embeds: [P, M, joint_attention_dim].
            pooled: [P, pooled_projection_dim].
        """
        weight = self.patch_weight
        timesteps = timesteps.to(weight.device)
        steps, texts = len(timesteps), len(pooled)
        with torch.device("meta"):
            embed = TimeTextEmbed(self.config.pooled_projection_dim, self.config.width)
        embed.load_state_dict(dict(self._state("time_text_embed.")), assign=True)
        temb = embed(timesteps.repeat_interleave(texts), pooled.to(weight).repeat(steps, 1))
        text = self._state("context_embedder.")

        def table(name: str, scales: tuple[int, ...]) -> Tensor:
            values = self._state(f"{name}.linear.")
            flat = linear(silu(temb), values["weight"], values["bias"])
            parts = flat.view(steps, texts, -1, self.config.width)
            for index in scales:
                parts[:, :, index] += 1
            return parts

        last = self.config.num_layers - 1
        return Conditions(
            timesteps=timesteps,
            text=linear(prompt_embeds.to(weight), text["weight"], text["bias"]),
            blocks=tuple(
                (
                    table(f"transformer_blocks.{i}.norm1", _scales(self.config, i)),
                    table(f"transformer_blocks.{i}.norm1_context", (0,) if i == last else (1, 4)),
                )
                for i in range(last + 1)
            ),
            final=table("norm_out", (0,)),
        )

    def embed_lr(self, lr_latents: Tensor) -> Tensor:
        """Tokens [B, N, D] of LR latents [B, C, H, W]; the same in all steps."""
        if self.config.preconditioning == "residual":
            lr_latents = self.preconditioner.normalized(lr_latents)
        return self._tokens(lr_latents)

    def forward(
        self,
        noisy_latents: Tensor,
        lr_latents: Tensor,
        lr_tokens: Tensor,
        which: Tensor,
        *,
        conditions: Conditions,
        step: int,
        reuse: Reuse | None = None,
    ) -> Tensor:
        """Predict the velocity.

        Args:
            noisy_latents: x_t, [B, C, H, W].
            lr_latents: of the enlarged LR image, [B, C, H, W].
            lr_tokens: what `embed_lr` makes of them, [B, N, D].
            which: number of each tile's text, [B].
            conditions: of the run.
            step: number of the timestep.
            reuse: of these tiles; approximate.

        Returns:
            The velocity n - x0, [B, C, H, W].
        """
        if self.config.preconditioning == "none":
            return self._network(noisy_latents, lr_tokens, which, conditions, step, reuse)
        timestep = conditions.timesteps[step].expand(len(noisy_latents))
        x = self.preconditioner.filtered(noisy_latents, lr_latents, timestep)
        output = self._network(x, lr_tokens, which, conditions, step, reuse)
        return self.preconditioner.velocity(output, noisy_latents, lr_latents, timestep)

    def _network(
        self,
        x: Tensor,
        lr_tokens: Tensor,
        which: Tensor,
        conditions: Conditions,
        step: int,
        reuse: Reuse | None,
    ) -> Tensor:
        patch = self.config.patch_size
        grid = (x.shape[-2] // patch, x.shape[-1] // patch)
        image = torch.stack([self._tokens(x), lr_tokens])
        text = conditions.text[which]
        run = partial(self._run, conditions=conditions, step=step, grid=grid)
        if reuse is None:
            out = run(image, text, range(len(self.blocks)), which=which)[0][0]
        else:
            out = self._reusing(reuse, image, text, which, run)
        scale, shift = _of_step(conditions.final, step, which)
        tokens = linear(modulated(out, shift, scale), self.out_weight, self.out_bias)
        (h, w), channels = grid, self.config.out_channels
        cells = tokens.view(-1, h, w, patch, patch, channels)
        return cells.permute(0, 5, 1, 3, 2, 4).reshape(-1, channels, h * patch, w * patch)

    def _run(
        self,
        image: Tensor,
        text: Tensor,
        numbers: range,
        *,
        which: Tensor,
        conditions: Conditions,
        step: int,
        grid: tuple[int, int],
    ) -> tuple[Tensor, Tensor]:
        """Some of the blocks, one after the other; [X; L] is overwritten."""
        for number in numbers:
            for_image, for_text = (
                _of_step(table, step, which) for table in conditions.blocks[number]
            )
            image, text = self.blocks[number](image, text, for_image, for_text, grid)
        return image, text

    def _reusing(
        self,
        reuse: Reuse,
        image: Tensor,
        text: Tensor,
        which: Tensor,
        run: Callable[..., tuple[Tensor, Tensor]],
    ) -> Tensor:
        """X [B, N, D] after all blocks, those after the first only where they are stale."""
        before = image[0].clone()
        image, text = run(image, text, range(1), which=which)
        after = image[0].clone()
        work = after - before
        stale = reuse.stale(work)
        if bool(stale.any()):
            rest = range(1, len(self.blocks))
            made, _ = run(image[:, stale], text[stale], rest, which=which[stale])
            reuse.renew(stale, work, made[0] - after[stale])
        assert reuse.others is not None
        return after + reuse.others

    def _tokens(self, latents: Tensor) -> Tensor:
        weight = self.patch_weight
        plane = conv2d(latents.to(weight), weight, self.patch_bias, stride=self.config.patch_size)
        h, w = plane.shape[-2:]
        return plane.flatten(2).transpose(1, 2) + self._crop(h, w)

    def _middle(self, h: int, w: int) -> Tensor:
        """The centre of the position table as it was read, [h, w, D]."""
        size = self.config.pos_embed_max_size
        table = self._state("pos_embed.pos_embed")[""].view(size, size, -1)
        top, left = (size - h) // 2, (size - w) // 2
        return table[top : top + h, left : left + w].clone()

    def _crop(self, h: int, w: int) -> Tensor:
        """The centre of the position table, [N, D]."""
        if (h, w) not in self._positions:
            size = self.config.pos_embed_max_size
            if h > size or w > size:
                raise ValueError(f"a grid of {h} x {w} tokens exceeds the position table of {size}")
            held = min(CENTRE, size)
            crop = self.centre if h <= held and w <= held else self._middle(size, size)
            top, left = ((size - side) // 2 - (size - len(crop)) // 2 for side in (h, w))
            self._positions[h, w] = crop[top : top + h, left : left + w].flatten(0, 1)
        return self._positions[h, w].to(self.patch_weight.device)


def _scales(config: TransformerConfig, block: int) -> tuple[int, ...]:
    """Which of a block's modulations are scales."""
    return (1, 4, 7) if block in config.dual_attention_layers else (1, 4)


def _of_step(table: Tensor, step: int, which: Tensor) -> tuple[Tensor, ...]:
    """Modulations [S, P, K, D] of one step: K tensors [B, 1, D], or [1, 1, D] of the only text."""
    now = table[step]
    return (now if len(now) == 1 else now[which]).unsqueeze(2).unbind(1)
