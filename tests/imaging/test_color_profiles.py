"""Profiles other than sRGB are converted on reading, and back on writing."""

from __future__ import annotations

import io

import imaging_samples as samples
import numpy as np
import pytest
import pyvips
from PIL import Image, ImageCms

from dit4sr_cli.imaging import color, reader, writer

DISPLAY_P3 = bytes(pyvips.Image.profile_load("p3"))
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
WIDE = {"adobe": samples.ADOBE_RGB, "p3": DISPLAY_P3, "prophoto": samples.PROPHOTO}


def png(pixels: np.ndarray, icc: bytes | None) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG", icc_profile=icc)
    return file.getvalue()


def decoded(data: bytes) -> np.ndarray:
    """The numbers in the file, without colour management."""
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image)


def worst(a: np.ndarray, b: np.ndarray) -> int:
    return int(np.abs(a.astype(int) - b.astype(int)).max())


def muted() -> np.ndarray:
    """Colours that all the profiles and sRGB have."""
    return samples.photo(low=105, high=140)


@pytest.mark.parametrize("name", WIDE)
def test_there_and_back_within_one_level(name: str) -> None:
    before = muted()
    pictures = reader.read(png(before, WIDE[name]))
    data = writer.encode(pictures, format="png")
    after = decoded(data)
    assert after.dtype == np.uint8
    assert worst(before, after) <= 1
    with Image.open(io.BytesIO(data)) as image:
        assert image.info["icc_profile"] == WIDE[name]


@pytest.mark.parametrize("name", WIDE)
def test_the_model_sees_srgb(name: str) -> None:
    before = muted()
    [picture] = reader.read(png(before, WIDE[name]))
    source = ImageCms.ImageCmsProfile(io.BytesIO(WIDE[name]))
    expected = ImageCms.profileToProfile(
        Image.fromarray(before), source, ImageCms.createProfile("sRGB"), renderingIntent=1
    )
    assert picture.pixels.dtype == np.uint16
    assert picture.bits == 8
    assert worst(np.rint(picture.pixels / 257), np.asarray(expected)) <= 1
    assert worst(np.asarray(expected), before) > 3  # or nothing is proved


@pytest.mark.parametrize("name", WIDE)
def test_sixteen_bits_there_and_back(name: str, tmp_path) -> None:
    before = muted().astype(np.uint16) * 257
    image = pyvips.Image.new_from_array(before, interpretation="rgb16").copy()
    image.set_type(pyvips.GValue.blob_type, "icc-profile-data", WIDE[name])
    [picture] = reader.read(image.pngsave_buffer())
    assert picture.bits == 16
    after = pyvips.Image.pngload_buffer(writer.encode([picture], format="png")).numpy()
    assert after.dtype == np.uint16
    assert worst(before, after) <= 40  # 0.06 % of the range


def test_colours_outside_srgb_are_clipped_and_nothing_breaks() -> None:
    vivid = np.zeros((8, 8, 3), np.uint8)
    vivid[..., 1] = 255
    pictures = reader.read(png(vivid, samples.PROPHOTO))
    after = decoded(writer.encode(pictures, format="png"))
    assert after.shape == vivid.shape
    assert after[0, 0, 1] == after[0, 0].max()


def test_srgb_under_any_name_is_left_alone() -> None:
    assert SRGB != color.SRGB
    pixels = samples.photo(low=0, high=256)
    pictures = reader.read(png(pixels, SRGB))
    assert np.array_equal(pictures[0].pixels, pixels)
    data = writer.encode(pictures, format="png")
    assert np.array_equal(decoded(data), pixels)
    assert reader.read(data)[0].metadata.icc == SRGB


def test_a_grey_profile_there_and_back() -> None:
    ramp = np.arange(256, dtype=np.uint8)[None].repeat(4, axis=0)
    pictures = reader.read(png(ramp, samples.GREY_18))
    assert pictures[0].pixels.shape == (4, 256, 1)
    # Gamma 1.8 is brighter than sRGB shows it: mid grey moves up.
    assert pictures[0].pixels[0, 100, 0] > 104 * 257
    data = writer.encode(pictures, format="png")
    assert worst(decoded(data), ramp) <= 1
    assert reader.read(data)[0].metadata.icc == samples.GREY_18


def test_alpha_beside_a_profile_is_not_converted() -> None:
    alpha = samples.photo(low=0, high=256)[..., 0]
    pictures = reader.read(png(np.dstack([muted(), alpha]), samples.ADOBE_RGB))
    after = decoded(writer.encode(pictures, format="png"))
    assert np.array_equal(after[..., 3], alpha)
    assert worst(after[..., :3], muted()) <= 1


@pytest.mark.parametrize("icc", [b"junk" * 50, samples.ADOBE_RGB[:200], samples.GREY_18])
def test_a_profile_that_does_not_fit_is_ignored(icc: bytes) -> None:
    file = io.BytesIO()
    Image.fromarray(muted()).save(file, "TIFF", icc_profile=icc)
    [picture] = reader.read(file.getvalue())
    assert np.array_equal(picture.pixels, muted())
    assert picture.metadata.icc is None
    assert any("profile" in line for line in picture.warnings)


@pytest.mark.parametrize("format", ["JPEG", "TIFF"])
def test_cmyk_becomes_srgb(format: str) -> None:
    file = io.BytesIO()
    inks = np.zeros((16, 16, 4), np.uint8)
    inks[..., 1] = inks[..., 2] = 230  # magenta and yellow: red
    Image.fromarray(inks, "CMYK").save(file, format)
    [picture] = reader.read(file.getvalue())
    red, green, blue = picture.pixels[8, 8].astype(int) // 257
    assert picture.mode == "cmyk"
    assert red > 180 and green < 90 and blue < 90
    assert any("CMYK" in line for line in picture.warnings)
    data = writer.encode([picture], format="jpeg")
    with Image.open(io.BytesIO(data)) as image:
        assert image.mode == "RGB"
        assert "sRGB" in ImageCms.getProfileDescription(
            ImageCms.ImageCmsProfile(io.BytesIO(image.info["icc_profile"]))
        )


def test_cmyk_goes_through_its_own_profile() -> None:
    press = bytes(pyvips.Image.profile_load("cmyk"))
    inks = np.full((4, 4, 4), 60, np.uint8)
    file = io.BytesIO()
    Image.fromarray(inks, "CMYK").save(file, "TIFF", icc_profile=press)
    [picture] = reader.read(file.getvalue())
    expected = ImageCms.profileToProfile(
        Image.fromarray(inks, "CMYK"),
        ImageCms.ImageCmsProfile(io.BytesIO(press)),
        ImageCms.createProfile("sRGB"),
        renderingIntent=1,
        outputMode="RGB",
        flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
    )
    assert worst(picture.pixels // 257, np.asarray(expected)) <= 2
    assert any("its profile" in line for line in picture.warnings)
