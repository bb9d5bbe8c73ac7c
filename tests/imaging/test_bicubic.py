"""The kernel is Pillow's, to the last bit, for any size."""

from __future__ import annotations

import imaging_samples as samples
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from dit4sr_cli.imaging.resize import bicubic

sides = st.integers(1, 48)
bands = st.sampled_from([1, 3])


@settings(max_examples=60, deadline=None)
@given(
    height=sides, width=sides, new_height=sides, new_width=sides, channels=st.sampled_from([1, 3])
)
def test_eight_bits_like_pillow(
    height: int, width: int, new_height: int, new_width: int, channels: int
) -> None:
    rng = np.random.default_rng(height * 50 + width)
    pixels = rng.integers(0, 256, (height, width, channels), dtype=np.uint8)
    image = Image.fromarray(pixels[..., 0] if channels == 1 else pixels)
    expected = np.asarray(image.resize((new_width, new_height), Image.Resampling.BICUBIC))
    result = bicubic(pixels, (new_width, new_height))
    assert result.dtype == np.uint8
    assert np.array_equal(result, expected.reshape(new_height, new_width, channels))
    plane = bicubic(pixels[..., 0], (new_width, new_height))
    assert np.array_equal(plane, result[..., 0])


@settings(max_examples=30, deadline=None)
@given(height=sides, width=sides, new_height=sides, new_width=sides)
def test_sixteen_bits_like_eight(height: int, width: int, new_height: int, new_width: int) -> None:
    rng = np.random.default_rng(height * 50 + width)
    narrow = rng.integers(90, 166, (height, width, 3), dtype=np.uint8)
    result = bicubic(narrow.astype(np.uint16) * 257, (new_width, new_height))
    expected = bicubic(narrow, (new_width, new_height))
    assert result.dtype == np.uint16
    # Far enough from black and white that nothing is clipped; Pillow rounds 8 bits twice.
    assert np.abs(result / 257 - expected).max() <= 1.3


def test_overshoot_is_clipped() -> None:
    edge = np.zeros((8, 8), np.uint16)
    edge[:, 4:] = 65535
    result = bicubic(edge, (32, 32))
    assert (result[:, 0] == 0).all()
    assert (result[:, -1] == 65535).all()
    assert np.all(np.diff(result[0, 12:20].astype(int)) >= 0)


def test_the_same_size_changes_nothing() -> None:
    for pixels in (samples.photo(), samples.photo16()):
        assert np.array_equal(bicubic(pixels, (60, 40)), pixels)


def test_views_are_welcome() -> None:
    pixels = samples.photo()[:, ::-1, :]
    assert np.array_equal(bicubic(pixels, (30, 20)), bicubic(pixels.copy(), (30, 20)))
