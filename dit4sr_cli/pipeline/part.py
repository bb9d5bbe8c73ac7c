"""`restore` for a part of a picture: what the whole run gives there, from as little as it takes.

The noise, the tiles and their weights are those of the whole. What tiles saw of neighbours that are
not computed is missing in all steps but the first; `adain` needs statistics of the whole result,
which are estimated. docs/preview.md has the figures.

Shapes: C latent channels, H W pixels, h w latent cells.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from dit4sr_cli.core.events import Observer, PhaseStarted, ignore
from dit4sr_cli.core.types import Box, ColorFix, Size
from dit4sr_cli.pipeline import color, latents
from dit4sr_cli.pipeline.components import Codec, Components
from dit4sr_cli.pipeline.denoise import can_be_halved, denoise
from dit4sr_cli.pipeline.noise import position_noise
from dit4sr_cli.pipeline.restore import Sampling, batch_size, codec_window, encode_text
from dit4sr_cli.pipeline.strips import Enlarged
from dit4sr_cli.tiles.blend import cut
from dit4sr_cli.tiles.part import Part, divided, grown, inside, multiplied, part_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Glimpse:
    """A restored part, and how much of the whole's work it took.

    Args:
        image: [3, H, W] in 0..1.
        tiles, whole_tiles: through the transformer, in all steps.
        cells, whole_cells: through the codec.
    """

    image: Tensor
    tiles: int
    whole_tiles: int
    cells: int
    whole_cells: int


@torch.inference_mode()
def restore(
    components: Components,
    enlarged: Enlarged,
    wanted: Box,
    sampling: Sampling,
    statistics: color.Statistics,
    *,
    observe: Observer = ignore,
) -> Glimpse:
    """A part of the restored picture.

    Args:
        components: the model.
        enlarged: the enlarged LR picture.
        wanted: which of its pixels.
        sampling: as for the whole, with one prompt.
        statistics: of the whole LR picture, for colour fix `adain`.
        observe: hears of phases and tiles.

    Raises:
        OverflowedError: the transformer's precision does not reach.
    """
    positive, negative = encode_text(components, sampling, observe)
    observe(PhaseStarted("encoding"))
    with components.codec.in_use() as codec:
        whole = _divided(enlarged.size, codec.downscale)
        shown = divided(_reached(wanted, sampling.color_fix, enlarged.size), codec.downscale)
        known = grown(shown, codec.margin, whole)
        part = _part(known, whole, sampling)
        if sampling.color_fix is ColorFix.ADAIN:
            shown = known = part.covered  # the more is seen, the better the statistics
        lr = _encode(codec, enlarged, part.box, whole, components)
    noise = position_noise(sampling.seed, lr.shape[1], part.box)
    observe(PhaseStarted("loading the transformer"))
    with components.transformer.in_use() as transformer:
        restored = denoise(
            transformer,
            lr,
            noise,
            positive=positive,
            negative=negative,
            steps=sampling.steps,
            guidance=sampling.guidance,
            start=sampling.start,
            shift=sampling.shift,
            tiling=sampling.tiling,
            part=part,
            batch=batch_size(components, sampling),
            shortcuts=sampling.shortcuts,
            observe=observe,
        )
    observe(PhaseStarted("decoding"))
    with components.codec.in_use() as codec:
        restored = cut(restored, inside(part.box, known)).contiguous()
        image = latents.decode(codec, restored, window=codec_window(components))
    place, around = (multiplied(box, codec.downscale) for box in (shown, known))
    image = cut(image, inside(around, place)).add_(1).div_(2)
    is_whole = shown == Box(0, 0, whole.width, whole.height)
    image = _colored(
        image, enlarged.read(place), sampling.color_fix, None if is_whole else statistics
    )
    coarse = sampling.shortcuts.coarse_steps(sampling.steps) if part.coarse else 0
    fine = sampling.steps - coarse
    return Glimpse(
        image=cut(image, inside(place, wanted)).clamp(0, 1),
        tiles=coarse * len(part.coarse) + fine * len(part.tiles),
        whole_tiles=coarse * part.whole[1] + fine * part.whole[0],
        cells=known.width * known.height,
        whole_cells=whole.pixels,
    )


def _part(known: Box, whole: Size, sampling: Sampling) -> Part:
    """The tiles that the cells that have to be known are made of."""
    has_coarse = sampling.shortcuts.coarse_steps(sampling.steps) > 0 and can_be_halved(whole)
    return part_of(whole, known, sampling.tiling, is_coarse=has_coarse)


def _reached(wanted: Box, fix: ColorFix, size: Size) -> Box:
    """The pixels that the wanted ones' colours depend on."""
    return grown(wanted, color.WAVELET_REACH if fix is ColorFix.WAVELET else 0, size)


def _encode(
    codec: Codec, enlarged: Enlarged, box: Box, whole: Size, components: Components
) -> Tensor:
    """LR latents [1, C, h, w] of a box of cells, encoded with what is around it."""
    around = grown(box, codec.margin, whole)
    image = enlarged.read(multiplied(around, codec.downscale)) * 2 - 1
    lr = latents.encode(codec, image, device=components.device, window=codec_window(components))
    return cut(lr, inside(around, box)).contiguous()


def _colored(
    image: Tensor, reference: Tensor, fix: ColorFix, whole: color.Statistics | None
) -> Tensor:
    """`color.matched` for a part.

    Args:
        image: [3, H, W] in 0..1.
        reference: the enlarged LR picture there.
        fix: how colours are held.
        whole: statistics of the whole LR picture; None: the part is the whole.
    """
    if fix is not ColorFix.ADAIN or whole is None:
        return color.matched(image, reference, fix)
    # By how much the model shifts the mean and widens the variance is taken to be the same
    # everywhere: what it does in this part, it does to the whole.
    has, wanted = (color.statistics_of([one]) for one in (image, reference))
    mean = whole[0] + has[0] - wanted[0]
    variance = whole[1].square() + has[1].square() - wanted[1].square()
    return color.adjusted(image, (mean, variance.clamp(min=color.EPSILON).sqrt()), whole)


def _divided(size: Size, factor: int) -> Size:
    return replace(size, width=size.width // factor, height=size.height // factor)
