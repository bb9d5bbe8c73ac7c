"""TIFF: all pages, of any sizes and depths, with their metadata; previews are no pages."""

from __future__ import annotations

import io
import struct
from dataclasses import replace
from pathlib import Path

import imaging_samples as samples
import numpy as np
import pytest
import pyvips
from PIL import Image

from dit4sr_cli.imaging import reader, tiff, writer
from dit4sr_cli.imaging.picture import Metadata, Picture


def page(pixels: np.ndarray, **blocks: object) -> Picture:
    pixels = pixels if pixels.ndim == 3 else pixels[..., None]
    return Picture(pixels, None, Metadata(**blocks), "p", "tiff", "rgb")


def mixed() -> list[Picture]:
    return [
        page(samples.photo(30, 50), xmp=b"<first/>", exif=samples.exif_block(), dpi=(300.0, 300.0)),
        page(samples.photo16(21, 33), xmp=b"<second/>", icc=samples.ADOBE_RGB),
        page(samples.photo(10, 90)[..., 0], iptc=samples.IPTC, dpi=(72.0, 96.0)),
    ]


def test_pages_of_different_sizes_and_depths() -> None:
    before = mixed()
    after = reader.read(writer.encode(before, format="tiff"))
    assert len(after) == 3
    for old, new in zip(before, after, strict=True):
        if old.metadata.icc is None:
            assert np.array_equal(new.pixels, old.pixels)
        assert new.pixels.dtype == old.pixels.dtype
        assert (new.metadata.xmp, new.metadata.iptc) == (old.metadata.xmp, old.metadata.iptc)
        assert new.metadata.icc == old.metadata.icc
    assert after[2].metadata.dpi == pytest.approx((72, 96))


def test_other_readers_see_the_same_pages(tmp_path: Path) -> None:
    target = tmp_path / "pages.tif"
    writer.write(mixed(), target, format="tiff")
    with Image.open(target) as image:
        assert image.n_frames == 3
        assert np.array_equal(np.asarray(image), mixed()[0].pixels)
        assert image.info["dpi"] == (300, 300)
        image.seek(2)
        assert np.array_equal(np.asarray(image), mixed()[2].pixels[..., 0])
    second = pyvips.Image.tiffload(str(target), page=1).numpy()
    assert second.shape == (21, 33, 3)


@pytest.mark.parametrize("order", [b"II", b"MM"])
def test_byte_orders(order: bytes) -> None:
    block = samples.exif_block()
    if order == b"II":
        block = b"II*\0\x08\0\0\0" + struct.pack("<HHHI4sI", 1, 0x010F, 2, 4, b"abc\0", 0)
    data = writer.encode([page(samples.photo16(), exif=block)], format="tiff")
    assert data[:2] == order
    assert np.array_equal(pyvips.Image.tiffload_buffer(data).numpy(), samples.photo16())


def test_bigtiff(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tiff, "_CLASSIC_LIMIT", 1000)
    data = writer.encode(mixed(), format="tiff")
    assert data[:4] == b"MM\0+"  # the byte order of the camera
    after = reader.read(data)
    assert np.array_equal(after[2].pixels, mixed()[2].pixels)
    assert after[0].metadata.exif is not None
    data = writer.encode(mixed()[1:], format="tiff")
    assert data[:4] == b"II+\0"
    with Image.open(io.BytesIO(data)) as image:  # Pillow reads BigTIFF in this order only
        image.seek(1)
        assert np.array_equal(np.asarray(image), mixed()[2].pixels[..., 0])


def test_many_strips() -> None:
    tall = samples.photo(3000, 200)
    data = writer.encode([page(tall)], format="tiff")
    with Image.open(io.BytesIO(data)) as image:
        assert len(image.tag_v2[273]) > 1
        assert np.array_equal(np.asarray(image), tall)
    assert len(data) < tall.nbytes


def test_previews_are_no_pages() -> None:
    data = pyvips.Image.new_from_array(
        samples.photo(256, 256), interpretation="srgb"
    ).tiffsave_buffer(pyramid=True, tile=True, tile_width=64, tile_height=64)
    [found] = reader.read(data)
    assert np.array_equal(found.pixels, samples.photo(256, 256))
    assert any("preview" in line for line in found.warnings)


def test_metadata_of_a_page_survives_another_round() -> None:
    once = reader.read(writer.encode(mixed(), format="tiff"))
    twice = reader.read(writer.encode(once, format="tiff"))
    assert [p.metadata for p in once] == [p.metadata for p in twice]
    assert once[0].metadata.exif is not None


def test_description_and_copyright_of_a_plain_tiff() -> None:
    file = io.BytesIO()
    Image.fromarray(samples.photo()).save(
        file, "TIFF", description="a house", copyright="me", compression="tiff_lzw"
    )
    [found] = reader.read(file.getvalue())
    for format in ("jpeg", "tiff", "png"):
        with Image.open(io.BytesIO(writer.encode([found], format=format))) as image:
            assert image.getexif()[270] == "a house"
            assert image.getexif()[33432] == "me"
            has_strips = 273 in image.getexif()
            assert has_strips is (format == "tiff")


def test_channels_that_are_not_alpha_are_dropped_with_a_warning() -> None:
    data = writer.encode(
        [replace(page(samples.photo()), alpha=samples.photo()[..., 0])], format="tiff"
    )
    spot = data.replace(
        struct.pack("<HHIHH", 338, 3, 1, 2, 0), struct.pack("<HHIHH", 338, 3, 1, 0, 0)
    )
    assert spot != data
    [found] = reader.read(spot)
    assert found.alpha is None
    assert any("channels" in line for line in found.warnings)


def test_other_formats_take_the_first_page() -> None:
    after = reader.read(writer.encode(mixed(), format="png"))
    assert len(after) == 1
    assert np.array_equal(after[0].pixels, mixed()[0].pixels)
