"""The transformer as it is run: the function of `MMDiTControl`, less what is constant or unused.

What depends on the run alone (modulations of all steps, embedded text) is computed once, and the
weights for that are then let go. Linears that follow each other are one, those that read the same
are one matrix, and nothing is computed whose result nobody reads. Results are those of
`MMDiTControl` up to rounding.

Shapes: B tiles at once, C latent channels, H W latent grid, N tokens of one tile, M text tokens,
D width, h heads of d, S steps, P conditionings. X and L are one tensor [2, B, N, D].
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, layer_norm, linear, rms_norm, silu

from dit4sr_cli.core.types import Quantize
from dit4sr_cli.model.config import TransformerConfig
from dit4sr_cli.model.embed import TimeTextEmbed
from dit4sr_cli.model.kernels import attention, gelu_
from dit4sr_cli.model.matrix import AnyMatrix, Matrix, quantize_
from dit4sr_cli.model.precondition import ResidualPreconditioner

State: TypeAlias = Mapping[str, Tensor]
ReadState: TypeAlias = Callable[[str], State]
"""The tensors whose names begin like this, without that beginning."""
_EPS = 1e-6


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
        _keep(self, "patch", state("pos_embed.proj."))
        _keep(self, "out", state("proj_out."))
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
        return cls(
            config,
            lambda start: _below(state, start),
            quantize,
        )

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
    ) -> Tensor:
        """Predict the velocity.

        Args:
            noisy_latents: x_t, [B, C, H, W].
            lr_latents: of the enlarged LR image, [B, C, H, W].
            lr_tokens: what `embed_lr` makes of them, [B, N, D].
            which: number of each tile's text, [B].
            conditions: of the run.
            step: number of the timestep.

        Returns:
            The velocity n - x0, [B, C, H, W].
        """
        if self.config.preconditioning == "none":
            return self._network(noisy_latents, lr_tokens, which, conditions, step)
        timestep = conditions.timesteps[step].expand(len(noisy_latents))
        x = self.preconditioner.filtered(noisy_latents, lr_latents, timestep)
        output = self._network(x, lr_tokens, which, conditions, step)
        return self.preconditioner.velocity(output, noisy_latents, lr_latents, timestep)

    def _network(
        self, x: Tensor, lr_tokens: Tensor, which: Tensor, conditions: Conditions, step: int
    ) -> Tensor:
        patch = self.config.patch_size
        grid = (x.shape[-2] // patch, x.shape[-1] // patch)
        image = torch.stack([self._tokens(x), lr_tokens])
        text = conditions.text[which]
        for block, (for_image, for_text) in zip(self.blocks, conditions.blocks, strict=True):
            image, text = block(
                image, text, _of_step(for_image, step, which), _of_step(for_text, step, which), grid
            )
        scale, shift = _of_step(conditions.final, step, which)
        tokens = linear(_modulated(image[0], shift, scale), self.out_weight, self.out_bias)
        (h, w), channels = grid, self.config.out_channels
        cells = tokens.view(-1, h, w, patch, patch, channels)
        return cells.permute(0, 5, 1, 3, 2, 4).reshape(-1, channels, h * patch, w * patch)

    def _tokens(self, latents: Tensor) -> Tensor:
        weight = self.patch_weight
        plane = conv2d(latents.to(weight), weight, self.patch_bias, stride=self.config.patch_size)
        h, w = plane.shape[-2:]
        return plane.flatten(2).transpose(1, 2) + self._crop(h, w)

    def _crop(self, h: int, w: int) -> Tensor:
        """The centre of the position table, [N, D]."""
        if (h, w) not in self._positions:
            size = self.config.pos_embed_max_size
            if h > size or w > size:
                raise ValueError(f"a grid of {h} x {w} tokens exceeds the position table of {size}")
            table = self._state("pos_embed.pos_embed")[""].view(size, size, -1)
            top, left = (size - h) // 2, (size - w) // 2
            crop = table[top : top + h, left : left + w].flatten(0, 1)
            self._positions[h, w] = crop.to(self.patch_weight, copy=True)
        return self._positions[h, w].to(self.patch_weight.device)


class PreparedBlock(nn.Module):
    """One block: see `Block`."""

    def __init__(self, config: TransformerConfig, state: State, *, is_last: bool) -> None:
        super().__init__()
        self.is_last = is_last
        self.attn = PreparedAttention(
            config, _below(state, "attn."), has_text=True, text_asks=not is_last
        )
        self.attn2 = None
        if "attn2.to_q.weight" in state:
            self.attn2 = PreparedAttention(config, _below(state, "attn2."), has_text=False)
        self.ff = PreparedFeedForward(config, _below(state, "ff."))
        self.ff_context = None
        if not is_last:
            self.ff_context = PreparedFeedForward(config, _below(state, "ff_context."))

    def forward(
        self,
        image: Tensor,
        text: Tensor,
        for_image: tuple[Tensor, ...],
        for_text: tuple[Tensor, ...],
        grid: tuple[int, int],
    ) -> tuple[Tensor, Tensor]:
        """Map [X; L] [2, B, N, D], which is overwritten, and text [B, M, D]; at the end only X."""
        shift, scale, gate, ff_shift, ff_scale, ff_gate, *second = for_image
        normed = layer_norm(image, image.shape[-1:], eps=_EPS)
        if self.is_last:
            text_scale, text_shift = for_text
        else:
            text_shift, text_scale, text_gate, *text_ff = for_text
        attended, text_attended = self.attn(
            torch.addcmul(shift, normed, scale), _modulated(text, text_shift, text_scale)
        )
        _add_gated(image, gate, attended)
        if self.attn2 is not None:
            shift, scale, gate = second
            _add_gated(image, gate, self.attn2(torch.addcmul(shift, normed, scale), None)[0])
        fed = self.ff.inject(_modulated(image, ff_shift, ff_scale), grid, need_lr=not self.is_last)
        if self.is_last:
            return image[:1].addcmul_(ff_gate, fed), text
        image.addcmul_(ff_gate, fed)
        assert self.ff_context is not None and text_attended is not None
        text = torch.addcmul(text, text_gate, text_attended)
        shift, scale, gate = text_ff
        return image, text.addcmul_(gate, self.ff_context(_modulated(text, shift, scale)))


class PreparedAttention(nn.Module):
    """Joint attention: see `JointAttention`."""

    def __init__(
        self, config: TransformerConfig, state: State, *, has_text: bool, text_asks: bool = True
    ) -> None:
        super().__init__()
        self.config, self.has_text, self.text_asks = config, has_text, text_asks
        self.uses_own_key = config.wiring == "r1"
        self.image: AnyMatrix = Matrix(**_stacked(state, "to_q", "to_k", "to_v"))
        control = "qkv" if self.uses_own_key else "qv"
        self.lr: AnyMatrix = Matrix(**_joined([_folded(state, name) for name in control]))
        if has_text:
            added = "qkv" if text_asks else "kv"
            names = [f"add_{name}_proj" for name in added]
            self.text: AnyMatrix = Matrix(**_stacked(state, *names))
        self.image_out: AnyMatrix = Matrix(**_below(state, "to_out.0."))
        self.lr_out: AnyMatrix = Matrix(**_below(state, "to_out_control."))
        if has_text and text_asks:
            self.text_out: AnyMatrix = Matrix(**_below(state, "to_add_out."))
        for name in ("norm_q", "norm_k", "norm_added_q", "norm_added_k"):
            if config.qk_norm and (has_text or "added" not in name):
                self.register_buffer(name, state[f"{name}.weight"].clone())

    def forward(
        self, image: Tensor, text: Tensor | None
    ) -> tuple[tuple[Tensor, Tensor], Tensor | None]:
        """Attend, from modulated [X; L] [2, B, N, D] and text [B, M, D]; X, L and text come out."""
        x, lr = image
        tokens = x.shape[1]
        qx, kx, vx = self._heads(self.image(x), 3)
        qx, kx = self._normed(qx, "norm_q"), self._normed(kx, "norm_k")
        if self.uses_own_key:
            ql, kl, vl = self._heads(self.lr(lr), 3)
        else:
            (ql, vl), kl = self._heads(self.lr(lr), 2), kx
        ql, kl = self._normed(ql, "norm_q"), self._normed(kl, "norm_k")
        text_qkv = None if text is None else self._text(text)
        x_out, lr_out, text_out = self._attend((qx, kx, vx), (ql, kl, vl), text_qkv, tokens)
        if self.config.lr_residual:
            lr_out = lr_out + lr
        out = self.image_out(x_out), self.lr_out(lr_out)
        return out, None if text_out is None else self.text_out(text_out)

    def _attend(
        self,
        x: tuple[Tensor, ...],
        lr: tuple[Tensor, ...],
        text: tuple[Tensor, ...] | None,
        tokens: int,
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        if self.config.control_attention == "separate":
            main, lr_out = _attention(_join(x, text)), _attention(_join(lr))
            x_out, rest = main[:, :tokens], main[:, tokens:]
        else:
            out = _attention(_join(x, lr, text))
            x_out, lr_out = out[:, :tokens], out[:, tokens : 2 * tokens]
            rest = out[:, 2 * tokens :]
        return x_out, lr_out, rest if text is not None and self.text_asks else None

    def _text(self, text: Tensor) -> tuple[Tensor, ...]:
        if self.text_asks:
            q, k, v = self._heads(self.text(text), 3)
            return self._normed(q, "norm_added_q"), self._normed(k, "norm_added_k"), v
        k, v = self._heads(self.text(text), 2)
        return k[:, :0], self._normed(k, "norm_added_k"), v

    def _heads(self, flat: Tensor, count: int) -> tuple[Tensor, ...]:
        """[B, N, count * D] to so many of [B, N, h, d]."""
        return flat.unflatten(-1, (count, -1, self.config.attention_head_dim)).unbind(2)

    def _normed(self, x: Tensor, name: str) -> Tensor:
        weight = getattr(self, name, None)
        return x if weight is None else rms_norm(x, x.shape[-1:], weight, _EPS)


class PreparedFeedForward(nn.Module):
    """Feed-forward with LR injection, whose strength is part of its weights: see `FeedForward`."""

    control_conv_weight: Tensor
    control_conv_bias: Tensor

    def __init__(self, config: TransformerConfig, state: State) -> None:
        super().__init__()
        self.up: AnyMatrix = Matrix(**_below(state, "net.0.proj."))
        self.down: AnyMatrix = Matrix(**_below(state, "net.2."))
        conv, control = (
            {k: v * config.injection_scale for k, v in _below(state, f"{name}.").items()}
            for name in ("control_conv", "control_linear")
        )
        self.has_conv = bool(conv)
        if conv:
            _keep(self, "control_conv", conv)
        self.control_linear: AnyMatrix | None = Matrix(**control) if control else None

    def forward(self, x: Tensor) -> Tensor:
        """Feed text [B, M, D] forward."""
        return self.down(gelu_(self.up(x)))

    def inject(self, image: Tensor, grid: tuple[int, int], *, need_lr: bool) -> Tensor:
        """Feed [X; L] [2, B, N, D] forward; only X [1, B, N, D] comes back without `need_lr`."""
        hidden = gelu_(self.up(image))
        x, lr = hidden
        if self.has_conv:
            # A view: tokens are pixels, and channels come last.
            plane = lr.unflatten(1, grid).permute(0, 3, 1, 2)
            weight, bias = self.control_conv_weight, self.control_conv_bias
            injected = conv2d(plane, weight, bias, padding=1, groups=len(weight))
            x += injected.permute(0, 2, 3, 1).flatten(1, 2)
        elif self.control_linear is not None:
            x += self.control_linear(lr)
        return self.down(hidden if need_lr else hidden[:1])


def _scales(config: TransformerConfig, block: int) -> tuple[int, ...]:
    """Which of a block's modulations are scales."""
    return (1, 4, 7) if block in config.dual_attention_layers else (1, 4)


def _of_step(table: Tensor, step: int, which: Tensor) -> tuple[Tensor, ...]:
    """Modulations [S, P, K, D] of one step: K tensors [B, 1, D], or [1, 1, D] of the only text."""
    now = table[step]
    return (now if len(now) == 1 else now[which]).unsqueeze(2).unbind(1)


def _modulated(x: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
    return layer_norm(x, x.shape[-1:], eps=_EPS).mul_(scale).add_(shift)


def _add_gated(image: Tensor, gate: Tensor, streams: tuple[Tensor, Tensor]) -> None:
    for old, new in zip(image, streams, strict=True):
        old.addcmul_(gate, new)


def _join(*streams: tuple[Tensor, ...] | None) -> list[Tensor]:
    present = [stream for stream in streams if stream is not None]
    return [torch.cat(parts, dim=1) for parts in zip(*present, strict=True)]


def _attention(qkv: list[Tensor]) -> Tensor:
    """Heads [B, N, h, d] to [B, N, D]."""
    return attention(*(part.transpose(1, 2) for part in qkv)).transpose(1, 2).flatten(2)


def _below(state: State, start: str) -> dict[str, Tensor]:
    return {k.removeprefix(start): v for k, v in state.items() if k.startswith(start)}


def _stacked(state: State, *names: str) -> dict[str, Tensor]:
    """Linears that read the same, as one."""
    return _joined([_below(state, f"{name}.") for name in names])


def _joined(linears: list[dict[str, Tensor]]) -> dict[str, Tensor]:
    return {part: torch.cat([one[part] for one in linears]) for part in ("weight", "bias")}


def _folded(state: State, name: str) -> dict[str, Tensor]:
    """The control projection and the one before it, as one linear."""
    dtype = state[f"to_{name}.weight"].dtype
    inner = {k: v.float() for k, v in _below(state, f"to_{name}.").items()}
    outer = {k: v.float() for k, v in _below(state, f"to_{name}_control.").items()}
    weight = outer["weight"] @ inner["weight"]
    bias = outer["weight"] @ inner["bias"] + outer["bias"]
    return {"weight": weight.to(dtype), "bias": bias.to(dtype)}


def _keep(module: nn.Module, name: str, values: State) -> None:
    """Weight and bias as buffers of a module; what depthwise convolutions read, channels last."""
    for part in ("weight", "bias"):
        value = values[part]
        if value.dim() == 4:
            value = value.contiguous(memory_format=torch.channels_last)
        module.register_buffer(f"{name}_{part}", value)
