"""What makes large pictures of small ones: bicubic, a model, a folder that somebody else filled."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np

from dit4sr_cli.evaluation.pairs import Case
from dit4sr_cli.evaluation.pixels import Image
from dit4sr_cli.imaging import reader, resize

BICUBIC = "bicubic"

Enlarge: TypeAlias = Callable[[Case, Image, float], Image]
"""(case, its small picture, scale) -> large picture, both [H, W, 3] uint8."""


@dataclass(frozen=True, slots=True)
class Method:
    """Something that enlarges, loaded when the first picture needs it and let go after the last.

    Args:
        load: told of all pictures that it will be asked for.
        key: of a case: what decides about the result besides its pixels; empty: it is never
            taken from an earlier run.
    """

    name: str
    load: Callable[[Sequence[Case]], Enlarge]
    key: Callable[[Case], str] = lambda case: ""


@dataclass(frozen=True, slots=True)
class Finished:
    """Results that are there: a file for each case by its name."""

    name: str
    files: Mapping[str, Path]


def bicubic() -> Method:
    """The baseline: the kernel that every viewer enlarges with."""

    def enlarge(case: Case, small: Image, scale: float) -> Image:
        return enlarged(small, scale)

    return Method(BICUBIC, lambda cases: enlarge, lambda case: "bicubic of pillow")


def enlarged(small: Image, scale: float) -> Image:
    """Bicubic, to the nearest whole size."""
    height, width = small.shape[:2]
    return resize.bicubic(small, (round(width * scale), round(height * scale)))


def load_picture(path: Path) -> Image:
    """The first page of a picture as [H, W, 3] uint8 sRGB; grey becomes three equal channels."""
    pixels = reader.read(path, name=str(path))[0].pixels
    if pixels.dtype == np.uint16:
        pixels = ((pixels.astype(np.uint32) + 128) // 257).astype(np.uint8)
    return np.ascontiguousarray(np.broadcast_to(pixels, (*pixels.shape[:2], 3)))
