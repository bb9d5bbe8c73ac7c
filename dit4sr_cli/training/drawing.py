"""The embedded model's last objective: its decoder's last stage learns to draw.

Errors pull towards the original, ST-LPIPS towards its sharpness; `training.artefacts` has what
keeps the latter from drawing patterns, and an adversary keeps it from cutting facets. Tiles that
are restored well, plain or clean ones, hear less of ST-LPIPS: they must not get worse. The rest of
the networks stays as it is or learns along.
Shapes: B samples of this process's piece, H W pixels. Pictures are in 0..1 here.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Generator, Tensor, nn

from dit4sr_cli.training.adversary import Adversary
from dit4sr_cli.training.artefacts import (
    dot_loss,
    lattice_loss,
    outlier_loss,
    phase_loss,
    teeth_loss,
)
from dit4sr_cli.training.config import TrainConfig
from dit4sr_cli.training.loss import texture_loss
from dit4sr_cli.training.networks import Networks
from dit4sr_cli.training.perceptual import Perceptual
from dit4sr_cli.training.regression import flow_loss, regress, to_signed
from dit4sr_cli.training.share import Share, generator

ERROR_SCALE, LEAST, MOST = 0.05, 0.04, 1.6
"""A tile hears ST-LPIPS by the root of its error over this, within bounds: clean ones less."""
_HEEDED = 4.0
"""At most so many times the error of a tile counts that is restored well."""
_FLOW_SHARE = 0.125
"""Of the tiles, on which the transformer keeps in practice with noise."""
_SMOOTH = 1e-6
"""Added to squared errors: their root is then smooth at nought."""


class Drawing(nn.Module):
    """Calling it computes the loss, so that whatever wraps it sees every use of its networks."""

    def __init__(self, networks: Networks, config: TrainConfig) -> None:
        super().__init__()
        self.networks, self.config = networks, config
        self.perceptual = Perceptual() if config.draw.perceptual else None
        self.adversary = Adversary(config.seed) if config.draw.adversarial else None

    def forward(self, batch: Mapping[str, Tensor], share: Share, step: int) -> dict[str, Tensor]:
        """Loss parts and their sum, `total`; arguments as `training.regression` has them."""
        settings = self.config.draw
        original = batch["original"].flatten(0, 1).float() / 255
        generators = [generator(self.config.seed, sample) for sample in share.samples(step)]
        with torch.set_grad_enabled(settings.joint > 0):
            lr = self._lr(batch)
            undrawn = self._undrawn(lr)
        parts = self._rest(undrawn, original, lr, share, step) if settings.joint else {}
        enlarged = batch["enlarged"].flatten(0, 1).float() / 255
        undrawn, original, enlarged = _windows(
            settings.window, generators, undrawn, original, enlarged
        )
        drawn = (self.networks.codec.draw(undrawn).float() + 1) / 2
        heard = _heard((undrawn.detach() + 1) / 2, original)
        parts |= self._losses(drawn, original, heard)
        parts |= self._perceived(drawn, original, heard, generators, share)
        parts |= self._judged(drawn, original, enlarged, generators, share)
        return {**parts, "total": torch.stack(list(parts.values())).sum()}

    @torch.no_grad()
    def restore(self, batch: Mapping[str, Tensor], number: int) -> Tensor:
        """Pictures [B, 3, H, W] in about -1..1 of `batch`'s `enlarged`; there is no noise."""
        lr = self._lr(batch)
        return self.networks.codec.draw(self._undrawn(lr))

    def _lr(self, batch: Mapping[str, Tensor]) -> Tensor:
        """Latents of what is to be restored."""
        return self._encode(to_signed(batch["enlarged"].flatten(0, 1)))

    def _encode(self, images: Tensor) -> Tensor:
        """Latents of images in -1..1; transforms keep their precision."""
        with torch.autocast(images.device.type, enabled=False):
            return self.networks.codec.encode(images)

    def _undrawn(self, lr: Tensor) -> Tensor:
        """What the drawing stage starts from, in about -1..1."""
        latents = regress(self.networks.transformer, lr)
        with torch.autocast(lr.device.type, enabled=False):
            return self.networks.codec.decode_undrawn(latents.float())

    def _rest(
        self, undrawn: Tensor, original: Tensor, lr: Tensor, share: Share, step: int
    ) -> dict[str, Tensor]:
        """What holds the rest of the networks to what they are for while they learn along."""
        settings = self.config.draw
        parts = {"undrawn": settings.undrawn * ((undrawn + 1) / 2 - original).abs().mean()}
        if settings.flow:
            many = max(1, round(_FLOW_SHARE * share.batch))
            count = share.count_below(many)
            parts["flow"] = undrawn.new_zeros(())  # every process names the same parts
            if count:
                clean, samples = self._encode(original[:count] * 2 - 1), share.samples(step)[:count]
                model, seed = self.networks.transformer, self.config.seed
                error = flow_loss(model, seed, clean, lr[:count], samples)
                parts["flow"] = settings.flow * share.weight(count, many) * error
        return parts

    def _perceived(
        self,
        drawn: Tensor,
        original: Tensor,
        heard: Tensor,
        generators: list[Generator],
        share: Share,
    ) -> dict[str, Tensor]:
        """ST-LPIPS of the batch's first tiles."""
        if self.perceptual is None:
            return {}
        many = max(1, round(self.config.draw.perceptual_share * share.batch))
        count = share.count_below(many)
        if not count:
            return {"perceptual": drawn.new_zeros(())}
        distance = self.perceptual(drawn[:count], original[:count], generators[:count])
        weight = self.config.draw.perceptual * share.weight(count, many)
        return {"perceptual": weight * (distance * heard[:count]).mean()}

    def _judged(
        self,
        drawn: Tensor,
        original: Tensor,
        enlarged: Tensor,
        generators: list[Generator],
        share: Share,
    ) -> dict[str, Tensor]:
        """The adversary's own loss and what it makes of the batch's last tiles."""
        if self.adversary is None:
            return {}
        settings = self.config.draw
        first = share.batch - max(1, round(settings.adversarial_share * share.batch))
        skipped = share.count_below(first)
        if skipped == share.size:
            return {"adversary": drawn.new_zeros(()), "adversarial": drawn.new_zeros(())}
        own, judged = self.adversary.losses(
            drawn[skipped:], original[skipped:], enlarged[skipped:], generators[skipped:]
        )
        weight = share.weight(share.size - skipped, share.batch - first)
        return {
            "adversary": weight * own.mean(),
            "adversarial": settings.adversarial * weight * judged.mean(),
        }

    def _losses(self, drawn: Tensor, original: Tensor, heard: Tensor) -> dict[str, Tensor]:
        settings, square = self.config.draw, (drawn - original).square()
        error = (square + _SMOOTH).sqrt() + settings.squared * square
        if settings.relative:
            error = error * (1 / heard).clamp(max=_HEEDED)[:, None, None, None]
        lattice = lattice_loss(drawn, original, 4) + lattice_loss(drawn, original, 8)
        return {
            "pixel": error.mean(),
            "texture": settings.texture * texture_loss(drawn * 2 - 1, original * 2 - 1),
            "phase": settings.phase * phase_loss(drawn, original),
            "lattice": settings.lattice * lattice,
            "outlier": settings.outlier * outlier_loss(drawn, original),
            "dots": settings.dots * dot_loss(drawn, original),
            "teeth": settings.teeth * teeth_loss(drawn, original),
        }


def _heard(undrawn: Tensor, original: Tensor) -> Tensor:
    """[B] how much of ST-LPIPS each tile hears."""
    error = (undrawn - original).abs().mean((1, 2, 3))
    return (error / ERROR_SCALE).clamp(LEAST, MOST).sqrt()


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
