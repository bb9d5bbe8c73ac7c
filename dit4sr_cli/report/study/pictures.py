"""What a page shows of one picture: the same part of the input and of both results."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np

from dit4sr_cli.core.errors import InputError
from dit4sr_cli.core.types import Box, Size
from dit4sr_cli.imaging import reader
from dit4sr_cli.imaging.picture import Pixels
from dit4sr_cli.report.embedded import lossless, opaque


@dataclass(frozen=True, slots=True)
class Shown:
    """A picture as the page has it.

    Args:
        name: stem of its files.
        lr: data URI of the input, in its own pixels.
        results: data URI of each method's result, lossless.
        size: of what is shown of the results, in pixels.
        whole: of the results.
        digest: of all pixels that are shown.
        are_equal: whether the two results show the same.
    """

    name: str
    lr: str
    results: Mapping[str, str]
    size: Size
    whole: Size
    digest: str
    are_equal: bool


def shown(name: str, lr: Path, results: Mapping[str, Path], crop: int | None) -> Shown:
    """Read, cut and encode one picture of a study.

    Args:
        name: of the picture.
        lr: the input.
        results: what the two methods made of it.
        crop: longest side of what is shown of the results, from their middle; None: all of it.

    Raises:
        InputError: a file cannot be read, or they are not the same picture at two sizes.
    """
    small = _read(lr)
    large = {method: _read(path) for method, path in results.items()}
    whole = _common_size(large, results)
    lr_size = Size(small.shape[1], small.shape[0])
    _check_proportions(lr, lr_size, whole)
    inner, outer = boxes(lr_size, whole, crop)
    small = _cut(small, inner)
    large = {method: _cut(pixels, outer) for method, pixels in large.items()}
    first, second = large.values()
    return Shown(
        name=name,
        lr=lossless(small),
        results={method: lossless(pixels) for method, pixels in large.items()},
        size=Size(outer.width, outer.height),
        whole=whole,
        digest=_digest(name, small, large),
        are_equal=np.array_equal(first, second),
    )


def boxes(lr: Size, whole: Size, crop: int | None) -> tuple[Box, Box]:
    """The part of the input that is shown, whole pixels of it, and the same part of the results."""
    scale_x, scale_y = whole.width / lr.width, whole.height / lr.height
    side = max(whole.width, whole.height) if crop is None else crop
    width = min(lr.width, max(1, int(side / scale_x)))
    height = min(lr.height, max(1, int(side / scale_y)))
    x, y = (lr.width - width) // 2, (lr.height - height) // 2
    left, top = round(x * scale_x), round(y * scale_y)
    right, bottom = round((x + width) * scale_x), round((y + height) * scale_y)
    return Box(x, y, width, height), Box(left, top, right - left, bottom - top)


def _read(path: Path) -> Pixels:
    """The first page in 8 bits, [H, W, 1 or 3] in sRGB, transparency laid on white."""
    picture = reader.read(path, name=str(path))[0]
    return opaque(picture.pixels, picture.alpha)


def _common_size(large: Mapping[str, Pixels], paths: Mapping[str, Path]) -> Size:
    first, second = (Size(pixels.shape[1], pixels.shape[0]) for pixels in large.values())
    if first != second:
        one, other = paths.values()
        raise InputError(
            f"{one} has {first} pixels and {other} {second}",
            hint="what is compared has to be of one size",
        )
    return first


def _check_proportions(path: Path, lr: Size, whole: Size) -> None:
    """One pixel of the input may be missing in the results: some systems cut to whole cells."""
    scale = max(whole.width / lr.width, whole.height / lr.height)
    missing = max(scale * lr.width - whole.width, scale * lr.height - whole.height)
    if scale < 1 or missing > max(1.0, 2 * scale):
        raise InputError(
            f"{path}: {lr} pixels, and the results have {whole}",
            hint="--lr takes the folder of what the results were made from",
        )


def _cut(pixels: Pixels, box: Box) -> Pixels:
    part = pixels[box.y : box.y + box.height, box.x : box.x + box.width]
    return np.ascontiguousarray(part)


def _digest(name: str, small: Pixels, large: Mapping[str, Pixels]) -> str:
    state = sha256(name.encode("utf-8", "surrogateescape"))
    for part in (small, *(large[method] for method in sorted(large))):
        state.update(repr(part.shape).encode())
        state.update(part.tobytes())
    return state.hexdigest()
