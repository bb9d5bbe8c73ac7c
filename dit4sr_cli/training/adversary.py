"""A second network that learns to tell drawn pictures from photographs, and is a loss meanwhile.

It is small and weak on purpose: windows of some 40 pixels, beside what they were enlarged from,
under noise, which hides what nobody sees. Pictures are in 0..1. Shapes: B batch, H W pixels.
"""

from __future__ import annotations

import torch
from torch import Generator, Tensor, nn
from torch.func import functional_call
from torch.nn.functional import relu
from torch.nn.utils.parametrizations import spectral_norm

WIDTH = 32
NOISE = 0.04
"""Standard deviation of what is laid over all that it sees."""
_SLOPE = 0.2


class Adversary(nn.Module):
    """Scores of windows, higher for photographs; its weights' spectral norms are 1.

    What it reduces it averages, so that no grid comes back to the pictures. Only differences of
    scores count, so the last layer has no bias.

    Args:
        seed: of the weights that it begins with.
    """

    def __init__(self, seed: int) -> None:
        super().__init__()
        one, two, three = WIDTH, 2 * WIDTH, 3 * WIDTH
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.layers = nn.Sequential(
                _convolution(6, one),
                _convolution(one, two),
                nn.AvgPool2d(2),
                _convolution(two, two),
                _convolution(two, three),
                nn.AvgPool2d(2),
                _convolution(three, three),
                _convolution(three, three),
                spectral_norm(nn.Conv2d(three, 1, 3, padding=1, bias=False)),
            )

    def forward(self, pictures: Tensor, enlarged: Tensor, generators: list[Generator]) -> Tensor:
        """[B, 1, H/4, W/4] of pictures and of what they were enlarged from, [B, 3, H, W] both."""
        noise = [torch.randn(pictures.shape[1:], generator=own) for own in generators]
        pictures = pictures + NOISE * torch.stack(noise).to(pictures)
        scores: Tensor = self.layers(torch.cat([pictures, enlarged], dim=1) * 4 - 2)
        return scores.float()

    def losses(
        self, drawn: Tensor, original: Tensor, enlarged: Tensor, generators: list[Generator]
    ) -> tuple[Tensor, Tensor]:
        """Its own loss, and the pictures' [B] each; neither has a gradient for the other's weights.

        Its own is a hinge on how much higher a photograph scores than what was drawn in its place
        (Jolicoeur-Martineau 2018, by pairs).
        """
        real = self(original, enlarged, generators)
        fake = self(drawn.detach(), enlarged, generators)
        own = relu(1 - (real - _mean(fake))).mean((1, 2, 3))
        own = own + relu(1 + (fake - _mean(real))).mean((1, 2, 3))
        fixed = {name: weight.detach() for name, weight in self.named_parameters()}
        judged: Tensor = functional_call(self, fixed, (drawn, enlarged, generators))
        return own, -judged.mean((1, 2, 3))


def _convolution(inputs: int, outputs: int) -> nn.Sequential:
    layer = spectral_norm(nn.Conv2d(inputs, outputs, 3, padding=1))
    return nn.Sequential(layer, nn.LeakyReLU(_SLOPE))


def _mean(scores: Tensor) -> Tensor:
    return scores.mean((1, 2, 3), keepdim=True)
