"""Encoding and decoding of large pictures by windows with a margin, so memory stays bounded.

Shapes: C latent channels, H W pixels, h w latent cells.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from dit4sr_cli.core.types import Box
from dit4sr_cli.pipeline.components import Codec

WINDOW = 128
"""Side of the windows that are decoded at once, in latent cells, without their margin."""


@torch.inference_mode()
def encode(codec: Codec, image: Tensor, *, device: torch.device) -> Tensor:
    """Latents [1, C, h, w] of an image [3, H, W] in -1..1, on `device`."""
    factor = codec.downscale
    height, width = image.shape[1] // factor, image.shape[2] // factor
    latents = torch.empty(1, codec.channels, height, width, device=device)
    for window, outer in _windows(height, width, codec.margin):
        part = _cut(image, outer, factor).to(device)
        _put(latents[0], codec.encode(part[None])[0], window, outer, 1)
    return latents


@torch.inference_mode()
def decode(codec: Codec, latents: Tensor) -> Tensor:
    """Image [3, H, W], about -1..1, on the CPU, of latents [1, C, h, w]."""
    factor = codec.downscale
    height, width = latents.shape[-2:]
    image = torch.empty(3, height * factor, width * factor)
    for window, outer in _windows(height, width, codec.margin):
        part = codec.decode(_cut(latents[0], outer, 1)[None])[0]
        _put(image, part.float().cpu(), window, outer, factor)
    return image


def _windows(height: int, width: int, margin: int) -> Iterator[tuple[Box, Box]]:
    """Disjoint windows that cover the grid, each with its outer window: margins added."""
    for y in range(0, height, WINDOW):
        for x in range(0, width, WINDOW):
            window = Box(x, y, min(WINDOW, width - x), min(WINDOW, height - y))
            left, top = max(0, x - margin), max(0, y - margin)
            right = min(width, x + window.width + margin)
            bottom = min(height, y + window.height + margin)
            yield window, Box(left, top, right - left, bottom - top)


def _cut(x: Tensor, box: Box, factor: int) -> Tensor:
    return x[
        :,
        box.y * factor : (box.y + box.height) * factor,
        box.x * factor : (box.x + box.width) * factor,
    ]


def _put(target: Tensor, part: Tensor, window: Box, outer: Box, factor: int) -> None:
    """Copy the part's inner window into its place."""
    inner = Box(window.x - outer.x, window.y - outer.y, window.width, window.height)
    _cut(target, window, factor).copy_(_cut(part, inner, factor))
