"""Originals that sharp, reduced photographs have none of: soft and grainy ones, and drawings.

A full-size file of a camera is soft and grainy at its pixels, and what was scanned holds long
straight edges and letters. The embedded model learns from both beside the photographs; nothing of
this is the paper's. Images are [3, H, W] in 0..1.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from PIL import Image, ImageDraw, ImageFont
from torch import Generator, Tensor, randn

from dit4sr_cli.training.degrade import draws, from_pil, to_pil
from dit4sr_cli.training.degrade.kernels import Bell, filtered
from dit4sr_cli.training.degrade.pictures import rounded

_BELL = 15
_SOFT, _SOFT_SIGMA = 0.7, (0.6, 2.5)
_GRAINY, _GRAIN, _GRAIN_SIGMA = 0.6, (0.5, 7.0), (0.1, 1.0)
"""How often; in levels of 255; and in pixels, how far it clumps."""

_FINER = 4
"""Figures are drawn so many times as large and averaged: their edges are as a lens shows them."""
_FIGURES = (2, 8)
_LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 .,-&?"

Point = tuple[float, float]
Colour = tuple[int, int, int]


def as_taken(image: Tensor, generator: Generator) -> Tensor:
    """An image [3, H, W] as soft and grainy as a camera's full-size file."""
    if draws.chance(_SOFT, generator):
        sigma = draws.uniform(_SOFT_SIGMA, generator)
        image = filtered(image, Bell(_BELL, sigma, sigma))
    if draws.chance(_GRAINY, generator):
        image = image + _grain(image, generator)
    return rounded(image)


def with_figures(image: Tensor, generator: Generator) -> Tensor:
    """An image [3, H, W] with lines, bands, polygons, ellipses and letters drawn over it."""
    height, width = image.shape[-2:]
    large = to_pil(image).resize((width * _FINER, height * _FINER), Image.Resampling.BICUBIC)
    pen = ImageDraw.Draw(large)
    for _ in range(draws.integer(_FIGURES, generator)):
        draws.choice(_KINDS, generator)(pen, large.width, generator)
    return from_pil(large.reduce(_FINER))


def _grain(image: Tensor, generator: Generator) -> Tensor:
    """Of the same strength however far it clumps; coloured half of the time."""
    shape = image.shape if draws.chance(0.5, generator) else (1, *image.shape[1:])
    sigma = draws.uniform(_GRAIN_SIGMA, generator)
    bell = Bell(_BELL, sigma, sigma)
    strength = draws.uniform(_GRAIN, generator) / 255 / float(bell.weights().square().sum().sqrt())
    return filtered(randn(shape, generator=generator).expand(3, -1, -1), bell) * strength


def _line(pen: ImageDraw.ImageDraw, side: int, generator: Generator) -> None:
    thickness = draws.integer((_FINER, 8 * _FINER), generator)
    pen.line(_points(2, side, generator), fill=_colour(generator), width=thickness)


def _bands(pen: ImageDraw.ImageDraw, side: int, generator: Generator) -> None:
    """Parallel lines, at any angle."""
    angle = draws.uniform((0.0, math.pi), generator)
    along = (math.cos(angle) * 2 * side, math.sin(angle) * 2 * side)
    step = draws.uniform((3.0, 24.0), generator) * _FINER
    thickness = max(1, round(step * draws.uniform((0.2, 0.7), generator)))
    (x, y), colour = _points(1, side, generator)[0], _colour(generator)
    for number in range(draws.integer((1, 12), generator)):
        u, v = x - math.sin(angle) * step * number, y + math.cos(angle) * step * number
        ends = [(u - along[0], v - along[1]), (u + along[0], v + along[1])]
        pen.line(ends, fill=colour, width=thickness)


def _polygon(pen: ImageDraw.ImageDraw, side: int, generator: Generator) -> None:
    corners = _points(draws.integer((3, 5), generator), side, generator)
    pen.polygon(corners, fill=_colour(generator))


def _ellipse(pen: ImageDraw.ImageDraw, side: int, generator: Generator) -> None:
    (a, b), (c, d) = _points(2, side, generator)
    box = [(min(a, c), min(b, d)), (max(a, c), max(b, d))]
    if draws.chance(0.5, generator):
        pen.ellipse(box, fill=_colour(generator))
    else:
        thickness = draws.integer((_FINER, 6 * _FINER), generator)
        pen.ellipse(box, outline=_colour(generator), width=thickness)


def _text(pen: ImageDraw.ImageDraw, side: int, generator: Generator) -> None:
    size = draws.uniform((10.0, 64.0), generator) * _FINER
    text = "".join(
        draws.choice(_LETTERS, generator) for _ in range(draws.integer((2, 16), generator))
    )
    corner = _points(1, side, generator)[0]
    pen.text(corner, text, fill=_colour(generator), font=ImageFont.load_default(size), anchor="mm")


_KINDS: tuple[Callable[[ImageDraw.ImageDraw, int, Generator], None], ...] = (
    _line,
    _bands,
    _polygon,
    _ellipse,
    _text,
)


def _points(count: int, side: int, generator: Generator) -> list[Point]:
    return [
        (draws.uniform((0, side), generator), draws.uniform((0, side), generator))
        for _ in range(count)
    ]


def _colour(generator: Generator) -> Colour:
    """Half of them grey, as ink and paper are."""
    red, green, blue = (draws.integer((0, 255), generator) for _ in range(3))
    return (red, red, red) if draws.chance(0.5, generator) else (red, green, blue)
