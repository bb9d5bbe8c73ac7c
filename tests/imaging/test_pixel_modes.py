"""Every kind of pixel does what a user expects, into each format that can hold it."""

from __future__ import annotations

import io
from pathlib import Path

import imaging_samples as samples
import numpy as np
import pytest
import pyvips
from PIL import Image

from dit4sr_cli.imaging import formats, reader, writer
from dit4sr_cli.imaging.picture import Metadata, Picture

ALPHA = samples.photo(low=0, high=256)[..., 0]
LOSSLESS = {"png": {}, "tiff": {}, "webp": {"quality": 100}}


def saved(pixels: np.ndarray | Image.Image, format: str = "PNG", **options: object) -> bytes:
    file = io.BytesIO()
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    image.save(file, format, **options)
    return file.getvalue()


def picture(pixels: np.ndarray, alpha: np.ndarray | None = None) -> Picture:
    pixels = pixels if pixels.ndim == 3 else pixels[..., None]
    return Picture(pixels, alpha, Metadata(), "p", "png", "rgb")


def again(shown: Picture, format: str, **options: object) -> Picture:
    return reader.read(writer.encode([shown], format=format, **options))[0]


@pytest.mark.parametrize("format", sorted(LOSSLESS))
@pytest.mark.parametrize("with_alpha", [False, True])
def test_rgb_is_kept_exactly(format: str, with_alpha: bool) -> None:
    before = picture(samples.photo(low=0, high=256), np.maximum(ALPHA, 1) if with_alpha else None)
    after = again(before, format, **LOSSLESS[format])
    assert np.array_equal(after.pixels, before.pixels)
    assert (after.alpha is None) is not with_alpha
    assert not with_alpha or np.array_equal(after.alpha, before.alpha)
    assert after.mode == "rgb"


@pytest.mark.parametrize("format", ["png", "tiff"])
@pytest.mark.parametrize("with_alpha", [False, True])
def test_grey_stays_grey(format: str, with_alpha: bool) -> None:
    before = picture(samples.photo()[..., 0], ALPHA if with_alpha else None)
    after = again(before, format)
    assert after.pixels.shape == (40, 60, 1)
    assert np.array_equal(after.pixels, before.pixels)
    assert not with_alpha or np.array_equal(after.alpha, ALPHA)
    assert after.mode == "grey"


def test_a_grey_jpeg_is_grey() -> None:
    data = writer.encode([picture(samples.photo()[..., 0])], format="jpeg")
    with Image.open(io.BytesIO(data)) as image:
        assert image.mode == "L"


@pytest.mark.parametrize("format", ["png", "tiff"])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("with_alpha", [False, True])
def test_sixteen_bits_are_kept_exactly(format: str, channels: int, with_alpha: bool) -> None:
    before = picture(
        samples.photo16()[..., :channels], samples.photo16()[..., 1] if with_alpha else None
    )
    data = writer.encode([before], format=format)
    independent = pyvips.Image.new_from_buffer(data, "").numpy().reshape(40, 60, -1)
    assert independent.dtype == np.uint16
    assert np.array_equal(independent[..., :channels], before.pixels)
    [after] = reader.read(data)
    assert np.array_equal(after.pixels, before.pixels)
    assert not with_alpha or np.array_equal(after.alpha, before.alpha)


@pytest.mark.parametrize("format", ["jpeg", "webp", "avif"])
def test_sixteen_bits_become_eight_where_they_must(format: str) -> None:
    before = picture(samples.photo16())
    after = again(before, format, quality=100)
    assert after.pixels.dtype == np.uint8
    assert np.abs(after.pixels - before.pixels / 257).mean() < 1.5
    assert not formats.can_hold_16_bit(format)
    assert any("8 bits" in line for line in writer.losses(before, format))


def test_rounding_to_eight_bits_is_exact() -> None:
    every = np.arange(65536, dtype=np.uint16).reshape(256, 256, 1)
    after = again(picture(every), "webp", quality=100)
    assert np.array_equal(after.pixels[..., 0], np.rint(every[..., 0] / 257))


def test_alpha_in_jpeg_is_flattened_over_white() -> None:
    for pixels in (np.zeros((16, 16, 3), np.uint8), np.zeros((16, 16, 1), np.uint16)):
        alpha = np.zeros((16, 16), pixels.dtype)
        alpha[:, 8:] = np.iinfo(pixels.dtype).max
        before = picture(pixels, alpha)
        after = again(before, "jpeg")
        assert after.pixels[:, :6].min() > 250
        assert after.pixels[:, 10:].max() < 5
        assert any("white" in line for line in writer.losses(before, "jpeg"))


def test_palettes_become_rgb() -> None:
    image = Image.fromarray(samples.photo()).quantize(64)
    for format in ("PNG", "GIF", "TIFF", "BMP"):
        [found] = reader.read(saved(image, format))
        assert found.mode == "palette", format
        assert np.array_equal(found.pixels, np.asarray(image.convert("RGB"))), format
        assert found.alpha is None


def test_transparent_palette_entries_become_alpha() -> None:
    image = Image.fromarray(samples.photo()).quantize(8)
    [found] = reader.read(saved(image, transparency=3))
    assert np.array_equal(found.alpha == 0, np.asarray(image) == 3)


def test_a_transparent_colour_becomes_alpha() -> None:
    pixels = samples.photo()
    color = tuple(int(v) for v in pixels[5, 5])
    [found] = reader.read(saved(pixels, transparency=color))
    assert np.array_equal(found.alpha == 0, (pixels == color).all(axis=2))


@pytest.mark.parametrize("format", ["PNG", "TIFF", "BMP", "PPM"])
def test_bilevel_becomes_grey(format: str) -> None:
    image = Image.fromarray(samples.photo()).convert("1")
    [found] = reader.read(saved(image, format))
    assert found.mode == "bilevel"
    assert found.pixels.shape == (40, 60, 1)
    assert np.array_equal(found.pixels[..., 0], np.asarray(image) * np.uint8(255))


@pytest.mark.parametrize("format", ["GIF", "WEBP", "PNG"])
def test_of_an_animation_the_first_frame(format: str) -> None:
    first = Image.fromarray(samples.photo()).quantize(32).convert("RGB")
    second = Image.fromarray(255 - samples.photo())
    options = {"lossless": True} if format == "WEBP" else {}
    data = saved(first, format, save_all=True, append_images=[second], **options)
    [found] = reader.read(data)
    assert np.array_equal(found.pixels, np.asarray(first))
    assert any("animation" in line for line in found.warnings)
    [still] = reader.read(saved(first, format))
    assert still.warnings == ()


@pytest.mark.parametrize("dtype", ["int16", "int32", "float32", "int8", "uint32"])
def test_unusual_numbers_become_sixteen_bits(dtype: str) -> None:
    ramp = np.linspace(0, 1, 64).reshape(8, 8)
    top = 1.0 if dtype.startswith("float") else float(np.iinfo(dtype).max)
    image = pyvips.Image.new_from_array((ramp * top).astype(dtype))
    [found] = reader.read(image.tiffsave_buffer())
    assert found.pixels.dtype == np.uint16
    assert np.abs(found.pixels[..., 0] - ramp * 65535).max() < 65535 / 100
    assert any("16 bits" in line for line in found.warnings)


def test_floats_beyond_one_keep_their_order_and_nan_is_black() -> None:
    values = np.array([[0.0, 0.5, 2.0, np.nan]], np.float32)
    [found] = reader.read(pyvips.Image.new_from_array(values).tiffsave_buffer())
    assert found.pixels.ravel().tolist() == [0, 16384, 65535, 0]
    negative = np.array([[-1.0, 0.0, 1.0, 1.0]], np.float32)
    [found] = reader.read(pyvips.Image.new_from_array(negative).tiffsave_buffer())
    assert found.pixels.ravel().tolist() == [0, 32768, 65535, 65535]


def test_premultiplied_tiff_is_divided_out() -> None:
    pixels, alpha = np.full((4, 4, 3), 200, np.uint8), np.full((4, 4), 128, np.uint8)
    image = pyvips.Image.new_from_array(np.dstack([pixels, alpha]), interpretation="srgb")
    [found] = reader.read(image.tiffsave_buffer(premultiply=True))
    assert np.abs(found.pixels.astype(int) - 200).max() <= 1
    assert (found.alpha == 128).all()


def test_lab_tiff_becomes_rgb() -> None:
    image = pyvips.Image.new_from_array(samples.photo(), interpretation="srgb").colourspace("lab")
    [found] = reader.read(image.tiffsave_buffer())
    assert found.mode == "lab"
    assert np.abs(found.pixels / 257 - samples.photo()).max() < 3


@pytest.mark.parametrize("size", [(1, 1), (200, 8000), (3, 1), (1, 5)])
@pytest.mark.parametrize("format", sorted(formats.WRITABLE))
def test_extreme_sizes(format: str, size: tuple[int, int]) -> None:
    before = picture(np.full((*size, 3), 99, np.uint8))
    if format == "avif" and size[1] == 8000:
        pytest.skip("slow, and nothing special about it")
    after = again(before, format)
    assert after.pixels.shape == before.pixels.shape
    assert abs(int(after.pixels[0, 0, 0]) - 99) <= 2


@pytest.mark.parametrize("kind", ["JPEG2000", "BMP", "PPM"])
def test_formats_of_pillow(kind: str) -> None:
    [found] = reader.read(saved(samples.photo(), kind))
    assert np.array_equal(found.pixels, samples.photo())


def test_more_bits_than_pillow_reads_are_told() -> None:
    jp2 = bytearray(saved(samples.photo(), "JPEG2000"))
    start = jp2.index(b"\xff\x4f\xff\x51")
    jp2[start + 42 : start + 51 : 3] = b"\x0f" * 3  # three channels of 16 bits
    deep = samples.photo16().astype(">u2").tobytes()
    for data in (bytes(jp2), b"P6 # a comment\n60 40\n65535\n" + deep):
        [found] = reader.read(data)
        assert found.warnings == ("16 bits a channel: read as 8",)


def test_sixteen_bit_grey_pnm() -> None:
    grey = samples.photo16()[..., 0]
    [found] = reader.read(b"P5 60 40 65535\n" + grey.astype(">u2").tobytes())
    assert np.array_equal(found.pixels[..., 0], grey)
    assert (found.bits, found.warnings) == (16, ())


def test_bytes_and_file_give_the_same(tmp_path: Path) -> None:
    data = saved(samples.photo(), "JPEG", quality=90)
    path = tmp_path / "a.jpg"
    path.write_bytes(data)
    [here], [there] = reader.read(path), reader.read(data)
    assert np.array_equal(here.pixels, there.pixels)
    assert (here.name, there.name) == ("a.jpg", "standard input")
    assert reader.read(data, name="x")[0].name == "x"


@pytest.mark.parametrize(("quality", "layers"), [(95, (1, 1)), (80, (2, 2))])
def test_jpeg_chroma(quality: int, layers: tuple[int, int]) -> None:
    data = writer.encode([picture(samples.photo())], format="jpeg", quality=quality)
    with Image.open(io.BytesIO(data)) as image:
        assert image.layer[0][1:3] == layers


def test_quality_changes_the_size() -> None:
    for format in ("jpeg", "webp", "avif"):
        small, large = (
            len(writer.encode([picture(samples.photo())], format=format, quality=quality))
            for quality in (50, 95)
        )
        assert small < large, format
