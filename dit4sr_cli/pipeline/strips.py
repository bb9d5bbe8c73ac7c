"""`restore` for pictures that memory cannot hold: a pass over files for each part of the model.

What is as large as the picture lies in a `Store`: latents, which every step reads and overwrites
from top to bottom, then the decoded image. The windows, tiles and order of sums are those of
`restore`, and so are the results.

Shapes: C latent channels, H W pixels, h w latent cells.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol

import torch
from torch import Tensor

from dit4sr_cli.core.events import Advanced, Observer, PhaseStarted, Warned, ignore
from dit4sr_cli.core.shortcuts import Shortcuts
from dit4sr_cli.core.types import Box, ColorFix, Size
from dit4sr_cli.model.flow import sigmas, start_latents
from dit4sr_cli.pipeline import color, latents
from dit4sr_cli.pipeline.components import Components
from dit4sr_cli.pipeline.conditioning import Conditioning
from dit4sr_cli.pipeline.denoise import check_finite
from dit4sr_cli.pipeline.noise import CELL, position_noise
from dit4sr_cli.pipeline.predictor import Network, Predictor
from dit4sr_cli.pipeline.restore import Sampling, batch_size, codec_window, encode_text
from dit4sr_cli.pipeline.solver import Stepper
from dit4sr_cli.tiles.blend import blended_rows
from dit4sr_cli.tiles.grid import cover

ROWS = 64
"""Rows of pixels that are coloured at once."""


class Store(Protocol):
    """Where tensors are kept that are as large as the picture."""

    def zeros(self, channels: int, height: int, width: int) -> Tensor:
        """Room for [C, h, w], float32."""

    def rest(self) -> None:
        """Called often, between pieces of work: nothing that was touched is needed soon."""


@dataclass(frozen=True, slots=True)
class Enlarged:
    """The enlarged LR picture, part by part.

    Args:
        read: a box of its pixels, [3, H, W] in 0..1.
        size: of the whole, multiples of 8.
    """

    read: Callable[[Box], Tensor]
    size: Size

    def rows(self, top: int, bottom: int) -> Tensor:
        """Its rows from top to bottom."""
        return self.read(Box(0, top, self.size.width, bottom - top))


@torch.inference_mode()
def restore(
    components: Components,
    enlarged: Enlarged,
    sampling: Sampling,
    store: Store,
    *,
    observe: Observer = ignore,
) -> Iterator[Tensor]:
    """The restored picture from top to bottom, in rows [3, n, W] in 0..1.

    Raises:
        OverflowedError: the transformer's precision does not reach.
    """
    texts = encode_text(components, sampling, observe)
    lr = _encode(components, enlarged, store, observe)
    observe(PhaseStarted("loading the transformer"))
    with components.transformer.in_use() as transformer:
        sampled = _sample(transformer, components, lr, texts, sampling, store, observe)
    del lr
    observe(PhaseStarted("decoding"))
    with components.codec.in_use() as codec:
        image = latents.decode(
            codec,
            sampled,
            window=codec_window(components),
            device=components.device,
            zeros=store.zeros,
            after=store.rest,
        )
    del sampled
    return _colored(image, enlarged, sampling.color_fix, store)


def _encode(components: Components, enlarged: Enlarged, store: Store, observe: Observer) -> Tensor:
    observe(PhaseStarted("encoding"))
    with components.codec.in_use() as codec:
        factor = codec.downscale

        def read(box: Box) -> Tensor:
            sides = (box.x, box.y, box.width, box.height)
            return enlarged.read(Box(*(side * factor for side in sides))) * 2 - 1

        return latents.encode_parts(
            codec,
            read,
            Size(enlarged.size.width // factor, enlarged.size.height // factor),
            device=components.device,
            window=codec_window(components),
            zeros=store.zeros,
            after=store.rest,
        )


def _sample(
    transformer: Network,
    components: Components,
    lr: Tensor,
    texts: tuple[Conditioning, Conditioning | None],
    sampling: Sampling,
    store: Store,
    observe: Observer,
) -> Tensor:
    """`denoise`, but every step overwrites the latents as soon as no tile needs them any more."""
    height, width = lr.shape[-2:]
    boxes = cover(width, height, sampling.tiling)
    observe(PhaseStarted("sampling", total=sampling.steps * len(boxes)))
    levels = sigmas(sampling.steps, sampling.shift).tolist()
    shortcuts = _affordable(sampling.shortcuts, observe)
    x = _start(lr, levels[0], sampling, store)
    predict = Predictor(
        transformer,
        boxes[0],
        levels=levels[:-1],
        positive=texts[0],
        negative=texts[1],
        guidance=sampling.guidance,
        device=components.device,
        shortcuts=shortcuts,
    )
    stepper = Stepper(shortcuts.solver, levels, lambda: store.zeros(lr.shape[1], height, width))
    finished = 0

    def advance(count: int) -> None:
        nonlocal finished
        finished += count
        observe(Advanced(finished))

    for step in range(sampling.steps):
        for top, velocity in blended_rows(
            partial(predict, latents=x, lr_latents=lr, step=step),
            boxes,
            width,
            tiling=sampling.tiling,
            batch=batch_size(components, sampling),
            after=advance,
        ):
            place = slice(top, top + velocity.shape[1])
            rows = x[0, :, place]
            rows.copy_(stepper.advance(rows, velocity.to(rows.device), step, place))
            if step in (0, sampling.steps - 1):
                check_finite(rows)
            store.rest()
    return x


def _affordable(shortcuts: Shortcuts, observe: Observer) -> Shortcuts:
    """Those that keep nothing in memory that is as large as the picture."""
    if shortcuts.reuse or shortcuts.coarse:
        observe(Warned("a picture this large is sampled without --reuse and --coarse"))
    return replace(shortcuts, reuse=0.0, coarse=0.0)


def _start(lr: Tensor, sigma: float, sampling: Sampling, store: Store) -> Tensor:
    """The latents that sampling begins with, made in the bands that noise is drawn in."""
    channels, height, width = lr.shape[1:]
    x = store.zeros(channels, height, width)[None]
    for top in range(0, height, CELL):
        bottom = min(height, top + CELL)
        noise = position_noise(sampling.seed, channels, Box(0, top, width, bottom - top))
        band = start_latents(lr[..., top:bottom, :], noise, sigma, sampling.start.value)
        x[..., top:bottom, :] = band
        store.rest()
    return x


# -------------------------------------------------------------------------- colours


@torch.inference_mode()
def _colored(image: Tensor, enlarged: Enlarged, fix: ColorFix, store: Store) -> Iterator[Tensor]:
    """Rows of the image, -1..1, with the colours of the enlarged picture, in 0..1."""
    height = image.shape[1]

    def generated(top: int, bottom: int) -> Tensor:
        return image[:, top:bottom].contiguous().add_(1).div_(2)

    match = _matcher(generated, enlarged, height, fix, store)
    for top in range(0, height, ROWS):
        yield match(top, min(height, top + ROWS)).clamp_(0, 1)
        store.rest()


def _matcher(
    generated: Callable[[int, int], Tensor],
    enlarged: Enlarged,
    height: int,
    fix: ColorFix,
    store: Store,
) -> Callable[[int, int], Tensor]:
    """`color.matched` for rows from top to bottom."""
    if fix is ColorFix.WAVELET:
        return lambda top, bottom: _wavelet(generated, enlarged.rows, height, top, bottom)
    if fix is ColorFix.NONE:
        return generated
    has = color.statistics_of(_bands(generated, height, store))
    wanted = color.statistics_of(_bands(enlarged.rows, height, store))
    return lambda top, bottom: color.adjusted(generated(top, bottom), has, wanted)


def _wavelet(
    generated: Callable[[int, int], Tensor],
    reference: Callable[[int, int], Tensor],
    height: int,
    top: int,
    bottom: int,
) -> Tensor:
    """Rows made with as many around them as the low frequencies reach."""
    first, last = max(0, top - color.WAVELET_REACH), min(height, bottom + color.WAVELET_REACH)
    whole = color.wavelet(generated(first, last), reference(first, last))
    return whole[:, top - first : bottom - first]


def _bands(rows: Callable[[int, int], Tensor], height: int, store: Store) -> Iterator[Tensor]:
    for top in range(0, height, ROWS):
        yield rows(top, min(height, top + ROWS))
        store.rest()
