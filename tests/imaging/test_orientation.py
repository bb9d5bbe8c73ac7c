"""Orientation is baked into the pixels, once, for every value and every format."""

from __future__ import annotations

import io

import imaging_samples as samples
import numpy as np
import pytest
from PIL import Image, ImageOps

from dit4sr_cli.imaging import reader


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("format", ["PNG", "WEBP", "TIFF", "JPEG"])
def test_like_pillow(format: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    file = io.BytesIO()
    options = {"WEBP": {"lossless": True}, "JPEG": {"quality": 100, "subsampling": 0}}
    image = Image.fromarray(samples.photo(31, 47))
    image.save(file, format, exif=exif, **options.get(format, {}))
    with Image.open(file) as written:
        expected = np.asarray(ImageOps.exif_transpose(written).convert("RGB"))
    [picture] = reader.read(file.getvalue())
    assert picture.pixels.shape == expected.shape
    difference = np.abs(picture.pixels.astype(int) - expected).max()
    assert difference <= (1 if format == "JPEG" else 0)
    assert picture.pixels.flags.c_contiguous


def test_alpha_turns_along() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    alpha = samples.photo(31, 47)[..., 0]
    file = io.BytesIO()
    Image.fromarray(np.dstack([samples.photo(31, 47), alpha])).save(file, "PNG", exif=exif)
    [picture] = reader.read(file.getvalue())
    assert np.array_equal(picture.alpha, np.rot90(alpha, -1))


def test_avif_is_turned_once() -> None:
    file = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(samples.photo(32, 48)).save(file, "AVIF", exif=exif, quality=90)
    [picture] = reader.read(file.getvalue())
    assert picture.pixels.shape == (48, 32, 3)
