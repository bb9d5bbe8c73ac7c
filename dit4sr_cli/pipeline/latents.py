"""Encoding and decoding of large pictures by windows with a margin, so memory stays bounded.

Shapes: C latent channels, H W pixels, h w latent cells.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from itertools import pairwise
from typing import TypeAlias, TypeVar

import torch
from torch import Tensor

from dit4sr_cli.core.types import Box, Size
from dit4sr_cli.pipeline import memory
from dit4sr_cli.pipeline.components import Codec

WINDOW = 128
"""Longest side of what is encoded or decoded at once, in latent cells, without its margin."""
MIN_WINDOW = 32

T = TypeVar("T")
Zeros: TypeAlias = Callable[[int, int, int], Tensor]
"""Makes zeros [C, h, w]; wherever they are kept."""


def _nothing() -> None:
    pass


@torch.inference_mode()
def encode(
    codec: Codec, image: Tensor, *, device: torch.device, window: int | None = None
) -> Tensor:
    """Latents [1, C, h, w] of an image [3, H, W] in -1..1, on `device`."""
    factor = codec.downscale
    size = Size(image.shape[2] // factor, image.shape[1] // factor)
    return encode_parts(
        codec, lambda box: _cut(image, box, factor), size, device=device, window=window
    )


@torch.inference_mode()
def encode_parts(
    codec: Codec,
    read: Callable[[Box], Tensor],
    size: Size,
    *,
    device: torch.device,
    window: int | None = None,
    zeros: Zeros | None = None,
    after: Callable[[], None] = _nothing,
) -> Tensor:
    """Latents of an image that is asked for part by part, [1, C, h, w] of `zeros`.

    Args:
        codec: that encodes.
        read: the image in a box of latent cells, [3, H, W] in -1..1.
        size: of the whole, in latent cells.
        device: where it is encoded.
        window: longest side of a part, without its margin.
        zeros: makes room for the latents; None: on the device.
        after: called after each part.
    """
    zeros = zeros or partial(torch.zeros, device=device)

    def run(side: int) -> Tensor:
        latents = zeros(codec.channels, size.height, size.width)
        for inner, outer in windows(size.height, size.width, side, codec.margin):
            part = codec.encode(read(outer).to(device)[None])[0]
            part = part.float().to(latents.device)
            _add(latents, part, inner, outer, codec.feather, 1)
            after()
        return latents[None]

    return _fitting(run, window or WINDOW, device)


@torch.inference_mode()
def decode(
    codec: Codec,
    latents: Tensor,
    *,
    window: int | None = None,
    device: torch.device | None = None,
    zeros: Zeros = torch.zeros,
    after: Callable[[], None] = _nothing,
) -> Tensor:
    """Image [3, H, W], about -1..1, on the CPU, of latents [1, C, h, w].

    Args:
        codec: that decodes.
        latents: wherever they are kept.
        window: longest side of what is decoded at once, without its margin, in latent cells.
        device: where it is decoded; None: where the latents are.
        zeros: makes room for the image.
        after: called after each window.
    """
    factor = codec.downscale
    height, width = latents.shape[-2:]
    device = device or latents.device

    def run(side: int) -> Tensor:
        image = zeros(3, height * factor, width * factor)
        for inner, outer in windows(height, width, side, codec.margin):
            part = codec.decode(_cut(latents[0], outer, 1)[None].contiguous().to(device))[0]
            _add(image, part.float().cpu(), inner, outer, codec.feather, factor)
            after()
        return image

    return _fitting(run, window or WINDOW, device)


def windows(height: int, width: int, side: int, margin: int) -> Iterator[tuple[Box, Box]]:
    """Disjoint windows of much the same size that cover the grid, each with its margin around it.

    Args:
        height: of the grid.
        width: of the grid.
        side: no window is longer.
        margin: cells added around a window, where the grid has them.
    """
    for top, bottom in _spans(height, side):
        for left, right in _spans(width, side):
            x, y = max(0, left - margin), max(0, top - margin)
            outer = Box(x, y, min(width, right + margin) - x, min(height, bottom + margin) - y)
            yield Box(left, top, right - left, bottom - top), outer


def _fitting(run: Callable[[int], T], side: int, device: torch.device) -> T:
    """Run with windows of this side, halved while memory is short."""
    while True:
        try:
            return run(side)
        except (RuntimeError, MemoryError) as error:
            if side <= MIN_WINDOW or not memory.is_out_of_memory(error):
                raise
        memory.release(device)
        side //= 2


def _spans(length: int, side: int) -> list[tuple[int, int]]:
    count = -(-length // side)
    edges = [length * i // count for i in range(count + 1)]
    return list(pairwise(edges))


def _cut(x: Tensor, box: Box, factor: int) -> Tensor:
    return x[
        :,
        box.y * factor : (box.y + box.height) * factor,
        box.x * factor : (box.x + box.width) * factor,
    ]


def _add(target: Tensor, part: Tensor, inner: Box, outer: Box, feather: int, factor: int) -> None:
    """Add a window's result, fading out over `feather` cells across each border it shares.

    The fades of neighbours add up to one.
    """
    height, width = target.shape[1] // factor, target.shape[2] // factor
    rows = _fade(inner.y, inner.height, height, feather, factor)
    columns = _fade(inner.x, inner.width, width, feather, factor)
    half = feather // 2
    x, y = max(0, inner.x - half), max(0, inner.y - half)
    used = Box(
        x,
        y,
        min(width, inner.x + inner.width + half) - x,
        min(height, inner.y + inner.height + half) - y,
    )
    faded = _cut(part, Box(used.x - outer.x, used.y - outer.y, used.width, used.height), factor)
    weights = (rows[:, None] * columns[None, :]).to(faded.device)
    _cut(target, used, factor).add_(faded * weights if feather else faded)


def _fade(start: int, length: int, total: int, feather: int, factor: int) -> Tensor:
    """Weights along one axis of a window with its half fades, in steps of 1/factor cells."""
    half = feather // 2
    first, last = max(0, start - half), min(total, start + length + half)
    weights = torch.ones((last - first) * factor)
    ramp = (torch.arange(feather * factor) + 0.5) / max(1, feather * factor)
    if feather and start > 0:
        weights[: feather * factor] = ramp
    if feather and start + length < total:
        weights[-feather * factor :] *= ramp.flip(0)
    return weights
