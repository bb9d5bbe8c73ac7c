"""ST-LPIPS as a loss; its network comes with its weights in the package `stlpips-pytorch`."""

from __future__ import annotations

import torch
from torch import Generator, Tensor, nn
from torch.nn.functional import interpolate

from dit4sr_cli.core.extras import load_module

SIZES = (1.0, 1.0, 1.25, 1.5, 0.8)
"""Enlargements of what it is shown."""
SIDE = 96
"""Of the windows that it is shown, in pixels."""


class Perceptual(nn.Module):
    """Distance of pictures by a frozen network that sees them in another way each time.

    Each pair is shown from a random place, turned, mirrored, at a random size and brightness: what
    lowers the distance is then a better picture, and no pattern that suits the network's stride.
    """

    def __init__(self) -> None:
        super().__init__()
        module = load_module("stlpips_pytorch.stlpips", "the perceptual loss")
        network = module.LPIPS(net="alex", variant="shift_tolerant", verbose=False)
        self.network = network.requires_grad_(False).eval().to(memory_format=torch.channels_last)

    def forward(self, pictures: Tensor, originals: Tensor, generators: list[Generator]) -> Tensor:
        """[B] distances of pictures [B, 3, H, W] in 0..1; a generator for each."""
        pairs = torch.stack([pictures, originals], dim=1)
        views = [
            shown_pair(pair, generator) for pair, generator in zip(pairs, generators, strict=True)
        ]
        a, b = torch.stack(views, dim=1).unbind()
        distance: Tensor = self.network(a, b, normalize=True)
        return distance.float().flatten()


def shown_pair(pair: Tensor, generator: Generator) -> Tensor:
    """The same random view [2, 3, SIDE, SIDE] of a pair [2, 3, H, W]."""
    size = SIZES[_below(len(SIZES), generator)]
    side = min(round(SIDE / size), *pair.shape[-2:])
    y, x = (_below(extent - side + 1, generator) for extent in pair.shape[-2:])
    view = pair[..., y : y + side, x : x + side]
    view = torch.rot90(view, _below(4, generator), (2, 3))
    if _below(2, generator):
        view = view.flip(3)
    if side != SIDE:
        view = interpolate(view, size=(SIDE, SIDE), mode="bilinear", antialias=side > SIDE)
    if _below(10, generator) < 3:
        view = view[:, torch.randperm(3, generator=generator).to(view.device)]
    return view * (0.85 + 0.25 * float(torch.rand((), generator=generator)))


def _below(end: int, generator: Generator) -> int:
    return int(torch.randint(0, end, (), generator=generator))
