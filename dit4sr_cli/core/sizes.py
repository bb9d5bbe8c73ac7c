"""Pixel sizes: what the sampler runs at, and what comes out."""

from __future__ import annotations

PROCESS_SIZE = 512
"""Smallest short side, in output pixels, that the published model works at."""
MULTIPLE = 8
"""Image pixels in a latent cell."""


def working_size(
    size: tuple[int, int], scale: float = 4, process_size: int = PROCESS_SIZE
) -> tuple[int, int]:
    """(w, h) that the model works at for an input of (w, h), as the released code does it.

    An input with a side below process_size / scale is enlarged until its short side is that long;
    then both sides grow by `scale` and are floored to multiples of 8.
    """
    width, height = size
    shortest = process_size // scale
    if min(width, height) < shortest:
        factor = shortest / min(width, height)
        width, height = int(width * factor), int(height * factor)
    return _floored(width * scale), _floored(height * scale)


def _floored(side: float) -> int:
    return max(MULTIPLE, int(side) // MULTIPLE * MULTIPLE)
