"""Where each block looks: how X, L and the text share out their attention, in one evaluation.

Summed over keys while a few rows of the attention matrix exist, so no whole matrix is ever held.
Shapes: B batch, N tokens of X and of L each, M text tokens, h heads, d head size, P points.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from dit4sr_cli.model.attention import JointAttention
from dit4sr_cli.model.transformer import MMDiTControl

STREAMS = ("X", "L", "text")
ROWS = 256
"""Queries whose weights are held at once."""


@dataclass(frozen=True, slots=True)
class BlockAttention:
    """What one attention of one block does.

    Args:
        block: number of the block, from 0.
        name: `attn`, or `attn2`: the second attention of dual blocks, which has no text.
        shares: by asking stream (X, L, text) and stream that is looked at, [3, 3]: the mean over
            batch, heads and tokens. Rows sum to one; those of text are zero without text.
        maps: by point, asking stream (X, L) and image stream that is looked at (X, L), the weight
            of every token, [P, 2, 2, N]: means over batch and heads.
    """

    block: int
    name: str
    shares: Tensor
    maps: Tensor


@torch.inference_mode()
def attention_maps(
    network: MMDiTControl,
    *inputs: Tensor,
    points: Sequence[int] = (),
    blocks: Sequence[int] | None = None,
) -> list[BlockAttention]:
    """Evaluate the plain network once and look at its attention on the way.

    Args:
        network: as it was published; its weights may be streamed.
        inputs: as `MMDiTControl.forward` takes them.
        points: tokens of the h x w grid, row by row, whose attention is mapped.
        blocks: numbers of those to look at; None: all.

    Returns:
        The attentions in the order in which they run, on the CPU, in float32.

    Raises:
        IndexError: there is no such block or token.
    """
    count = len(network.transformer_blocks)
    wanted = range(count) if blocks is None else sorted(set(blocks))
    for number in wanted:
        if not 0 <= number < count:
            raise IndexError(f"there is no block {number}: they are 0 to {count - 1}")
    found: list[BlockAttention] = []
    with _watched(network, wanted, points, found):
        network(*inputs)
    return found


def even_shares(image_tokens: int, text_tokens: int) -> tuple[float, float, float]:
    """What X, L and the text would get if all tokens were looked at alike."""
    total = 2 * image_tokens + text_tokens
    return image_tokens / total, image_tokens / total, text_tokens / total


@contextmanager
def _watched(
    network: MMDiTControl, blocks: Sequence[int], points: Sequence[int], found: list[BlockAttention]
) -> Iterator[None]:
    """Hooks on the attentions of blocks that add to `found`; gone in the end."""
    handles = []
    for number in blocks:
        for name in ("attn", "attn2"):
            attention = getattr(network.transformer_blocks[number], name, None)
            if attention is not None:
                hook = _Look(number, name, points, found)
                handles.append(attention.register_forward_pre_hook(hook))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


@dataclass(frozen=True, slots=True)
class _Look:
    """Sees what enters an attention."""

    block: int
    name: str
    points: Sequence[int]
    found: list[BlockAttention]

    def __call__(self, module: nn.Module, args: tuple[Any, ...]) -> None:
        assert isinstance(module, JointAttention)
        shares, maps = summarised(module, *args, points=self.points)
        self.found.append(BlockAttention(self.block, self.name, shares.cpu(), maps.cpu()))


def summarised(
    attention: JointAttention, image: Tensor, text: Tensor | None, *, points: Sequence[int] = ()
) -> tuple[Tensor, Tensor]:
    """Shares [3, 3] and maps [P, 2, 2, N] of one attention, from what enters it.

    Raises:
        IndexError: there is no such token.
    """
    streams = attention.projected(image, text)
    n = streams[0][0].shape[2]
    for point in points:
        if not 0 <= point < n:
            raise IndexError(f"there is no token {point}: they are 0 to {n - 1}")
    shares = torch.zeros(3, 3, device=image.device)
    maps = torch.zeros(len(points), 2, 2, n, device=image.device)
    for asking, stream in enumerate(streams):
        if stream is None:
            continue
        seen = _seen_by(asking, streams, separate=attention.config.control_attention == "separate")
        keys = torch.cat([streams[number][1] for number in seen], dim=2)  # type: ignore[index]
        edges = torch.tensor([streams[number][1].shape[2] for number in seen])  # type: ignore[index]
        for weights in _weights(stream[0], keys):
            for number, part in zip(seen, weights.split(edges.tolist(), dim=-1), strict=True):
                shares[asking, number] += part.sum(-1).mean((0, 1)).sum() / stream[0].shape[2]
        if asking < 2 and points:
            rows = stream[0][:, :, list(points)]
            weights = torch.cat(list(_weights(rows, keys)), dim=2).mean((0, 1))
            for number, part in zip(seen, weights.split(edges.tolist(), dim=-1), strict=True):
                if number < 2:
                    maps[:, asking, number] = part
    return shares, maps


def _seen_by(asking: int, streams: Sequence[Any], *, separate: bool) -> list[int]:
    """Numbers of the streams that one looks at: all, or by ablation A only L at L."""
    if separate and asking == 1:
        return [1]
    return [
        number
        for number, stream in enumerate(streams)
        if stream is not None and not (separate and number == 1)
    ]


def _weights(queries: Tensor, keys: Tensor) -> Iterator[Tensor]:
    """Softmax weights [B, h, ROWS, keys] in float32, some rows at a time."""
    scaled = queries.float() * queries.shape[-1] ** -0.5
    turned = keys.float().transpose(-1, -2)
    for rows in scaled.split(ROWS, dim=2):
        yield torch.softmax(rows @ turned, dim=-1)
