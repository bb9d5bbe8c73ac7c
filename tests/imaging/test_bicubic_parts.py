"""A part of a resized picture is that part of the whole, to the bit."""

import numpy as np
import pytest

from dit4sr_cli.core.types import Box
from dit4sr_cli.imaging.resize import bicubic, bicubic_part

SIZES = [
    ((50, 37), (200, 148)),
    ((50, 37), (192, 144)),
    ((50, 37), (333, 251)),
    ((200, 148), (50, 37)),
    ((200, 148), (133, 99)),
    ((200, 148), (200, 37)),
    ((3, 90), (12, 360)),
    ((1, 1), (4, 4)),
    ((60, 40), (60, 40)),
]


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize(("size", "new"), SIZES)
def test_any_part_equals_the_whole(size, new, dtype):
    random = np.random.default_rng(0)
    top = np.iinfo(dtype).max
    pixels = random.integers(0, top, (size[1], size[0], 3), dtype, endpoint=True)
    pixels[: size[1] // 2] = np.where(pixels[: size[1] // 2] > top // 2, top, 0)
    whole = bicubic(pixels, new)
    assert (bicubic_part(pixels, new, Box(0, 0, *new)) == whole).all()
    for _ in range(20):
        x, y = (int(random.integers(0, side)) for side in new)
        width, height = (
            int(random.integers(1, new[0] - x + 1)),
            int(random.integers(1, new[1] - y + 1)),
        )
        part = bicubic_part(pixels, new, Box(x, y, width, height))
        assert part.dtype == dtype
        assert (part == whole[y : y + height, x : x + width]).all()
