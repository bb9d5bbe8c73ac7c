"""Pixels through the model and back, all of a picture in memory; `large` is its other half."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from dit4sr_cli.core import events
from dit4sr_cli.core.errors import UsageError
from dit4sr_cli.core.sizes import MULTIPLE
from dit4sr_cli.core.types import Size
from dit4sr_cli.imaging.picture import Pixels
from dit4sr_cli.imaging.resize import bicubic

if TYPE_CHECKING:
    import torch
    from PIL.Image import Image

    from dit4sr_cli.pipeline.components import Components
    from dit4sr_cli.pipeline.restore import Sampling

Enlarge: TypeAlias = (
    "Callable[[Components, Sequence[Pixels], Sizes, Sampling, events.Observer], list[Pixels]]"
)
"""Makes restored pictures of several that are of one size."""
Hold: TypeAlias = "Callable[[Pixels, Pixels, float], Pixels]"
"""Pulls a result towards its picture, with a strength of 0 to 1."""
Sizes: TypeAlias = tuple[Size, Size]
"""At which the model works, and of the result."""

LUMA = (0.299, 0.587, 0.114)


def enlarge(
    components: Components,
    pictures: Sequence[Pixels],
    sizes: Sizes,
    sampling: Sampling,
    observe: events.Observer,
) -> list[Pixels]:
    """Restored pictures, [H, W, C] of the type of those that came in."""
    from dit4sr_cli.pipeline.restore import restore

    size, wanted = sizes
    images = [enlarged(pixels, size, components.spec.min_cells) for pixels in pictures]
    restored = restore(components, images, sampling, observe=observe)
    results = [
        from_unit(image[:, : size.height, : size.width], pixels)
        for image, pixels in zip(restored, pictures, strict=True)
    ]
    if wanted == size:
        return results
    return [bicubic(result, (wanted.width, wanted.height)) for result in results]


def hold(result: Pixels, pixels: Pixels, strength: float) -> Pixels:
    """The result, pulled towards its picture in place."""
    from dit4sr_cli.pipeline.consistency import project

    project(result, pixels, strength=strength)
    return result


def enlarged(pixels: Pixels, size: Size, min_cells: int) -> torch.Tensor:
    """What the model is given: [3, H, W] in 0..1, bicubic, padded to whole latent cells."""
    import torch

    image = _padded(bicubic(pixels, (size.width, size.height)), min_cells * MULTIPLE)
    tensor = torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)))
    tensor = tensor.to(torch.float32).div_(np.iinfo(pixels.dtype).max)
    return tensor.expand(3, -1, -1)


def as_pixels(image: Image | Pixels) -> Pixels:
    """Any accepted picture as uint8 or uint16 [H, W, 1 or 3].

    Raises:
        UsageError: it is of another type or shape.
    """
    if not isinstance(image, np.ndarray):
        grey = image.mode in ("1", "L", "LA")
        image = np.asarray(image.convert("L" if grey else "RGB"))
    pixels = image[..., None] if image.ndim == 2 else image
    if pixels.dtype not in (np.uint8, np.uint16) or pixels.ndim != 3:
        raise UsageError(f"a picture of type {pixels.dtype} and shape {image.shape} is not read")
    if pixels.shape[2] not in (1, 3) or 0 in pixels.shape:
        raise UsageError(f"a picture of shape {image.shape} is not read")
    return pixels


def from_unit(image: torch.Tensor, like: Pixels) -> Pixels:
    """[3, H, W] in 0..1 to [H, W, C] of the type and channels of `like`, rounded."""
    import torch

    if like.shape[2] == 1:
        image = (image * torch.tensor(LUMA)[:, None, None]).sum(0, keepdim=True)
    out = np.empty((image.shape[1], image.shape[2], image.shape[0]), like.dtype)
    top = np.iinfo(like.dtype).max
    for channel in range(image.shape[0]):
        out[..., channel] = (image[channel] * top).round_().numpy()
    return out


def size_of(pixels: Pixels) -> Size:
    """Width and height of [H, W, C]."""
    return Size(pixels.shape[1], pixels.shape[0])


def _padded(pixels: Pixels, shortest: int) -> Pixels:
    """Mirrored at the right and bottom to multiples of 8, and to the smallest grid."""
    height, width = pixels.shape[:2]
    bottom = max(shortest, -(-height // MULTIPLE) * MULTIPLE) - height
    right = max(shortest, -(-width // MULTIPLE) * MULTIPLE) - width
    if not (bottom or right):
        return pixels
    return np.pad(pixels, ((0, bottom), (0, right), (0, 0)), mode="symmetric")
