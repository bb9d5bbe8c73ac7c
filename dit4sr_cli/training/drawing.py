"""The embedded model's last objective: its decoder's last stage learns to draw, the rest stays.

Errors pull towards the original, ST-LPIPS towards its sharpness; `training.artefacts` has what
keeps the latter from drawing patterns. Tiles that are restored well, plain or clean ones, hear less
of ST-LPIPS: they must not get worse.
Shapes: B samples of this process's piece, H W pixels. Pictures are in 0..1 here.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Generator, Tensor, nn

from dit4sr_cli.training.artefacts import dot_loss, lattice_loss, outlier_loss, phase_loss
from dit4sr_cli.training.config import TrainConfig
from dit4sr_cli.training.loss import texture_loss
from dit4sr_cli.training.networks import Networks
from dit4sr_cli.training.perceptual import Perceptual
from dit4sr_cli.training.regression import regress, to_signed
from dit4sr_cli.training.share import Share, generator

ERROR_SCALE, LEAST, MOST = 0.05, 0.05, 1.3
"""A tile hears ST-LPIPS by its error over this, within bounds."""
_SMOOTH = 1e-6
"""Added to squared errors: their root is then smooth at nought."""


class Drawing(nn.Module):
    """Calling it computes the loss, so that whatever wraps it sees every use of its networks."""

    def __init__(self, networks: Networks, config: TrainConfig) -> None:
        super().__init__()
        self.networks, self.config = networks, config
        self.perceptual = Perceptual() if config.draw.perceptual else None

    def forward(self, batch: Mapping[str, Tensor], share: Share, step: int) -> dict[str, Tensor]:
        """Loss parts and their sum, `total`; arguments as `training.regression` has them."""
        settings = self.config.draw
        original, undrawn = batch["original"].flatten(0, 1).float() / 255, self._undrawn(batch)
        generators = [generator(self.config.seed, sample) for sample in share.samples(step)]
        undrawn, original = _windows(settings.window, generators, undrawn, original)
        drawn = (self.networks.codec.draw(undrawn).float() + 1) / 2
        parts = self._losses(drawn, original)
        if settings.perceptual:
            judged = max(1, round(settings.perceptual_share * share.batch))
            count = share.count_below(judged)
            weight = settings.perceptual * share.weight(count, judged)
            parts["perceptual"] = weight * self._distance(
                drawn[:count], original[:count], undrawn[:count], generators[:count]
            )
        return {**parts, "total": torch.stack(list(parts.values())).sum()}

    @torch.no_grad()
    def restore(self, batch: Mapping[str, Tensor], number: int) -> Tensor:
        """Pictures [B, 3, H, W] in about -1..1 of `batch`'s `enlarged`; there is no noise."""
        return self.networks.codec.draw(self._undrawn(batch))

    @torch.no_grad()
    def _undrawn(self, batch: Mapping[str, Tensor]) -> Tensor:
        """What the drawing stage starts from; transforms keep their precision."""
        codec, enlarged = self.networks.codec, to_signed(batch["enlarged"].flatten(0, 1))
        with torch.autocast(enlarged.device.type, enabled=False):
            lr = codec.encode(enlarged)
        latents = regress(self.networks.transformer, lr)
        with torch.autocast(enlarged.device.type, enabled=False):
            return codec.decode_undrawn(latents.float())

    def _distance(
        self, drawn: Tensor, original: Tensor, undrawn: Tensor, generators: list[Generator]
    ) -> Tensor:
        if self.perceptual is None or not len(drawn):
            return drawn.new_zeros(())
        heard = _heard((undrawn + 1) / 2, original)
        return (self.perceptual(drawn, original, generators) * heard).mean()

    def _losses(self, drawn: Tensor, original: Tensor) -> dict[str, Tensor]:
        settings, square = self.config.draw, (drawn - original).square()
        lattice = lattice_loss(drawn, original, 4) + lattice_loss(drawn, original, 8)
        return {
            "pixel": (square + _SMOOTH).sqrt().mean() + settings.squared * square.mean(),
            "texture": settings.texture * texture_loss(drawn * 2 - 1, original * 2 - 1),
            "phase": settings.phase * phase_loss(drawn, original),
            "lattice": settings.lattice * lattice,
            "outlier": settings.outlier * outlier_loss(drawn, original),
            "dots": settings.dots * dot_loss(drawn, original),
        }


def _heard(undrawn: Tensor, original: Tensor) -> Tensor:
    """[B] how much of ST-LPIPS each tile hears."""
    error = (undrawn - original).abs().mean((1, 2, 3))
    return (error / ERROR_SCALE).clamp(LEAST, MOST)


def _windows(side: int, generators: list[Generator], *pictures: Tensor) -> list[Tensor]:
    """The same window of each, anywhere: the drawing stage must not rely on the blocks' phase."""
    height, width = pictures[0].shape[-2:]
    side = min(side, height, width)
    boxes = []
    for own in generators:
        y = int(torch.randint(0, height - side + 1, (), generator=own))
        x = int(torch.randint(0, width - side + 1, (), generator=own))
        boxes.append((slice(None), slice(y, y + side), slice(x, x + side)))
    return [
        torch.stack([one[box] for one, box in zip(several, boxes, strict=True)])
        for several in pictures
    ]
