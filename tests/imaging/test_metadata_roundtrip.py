"""What went in comes out of every format that can hold it, byte for byte where nothing changed."""

from __future__ import annotations

import io
import json
import shutil
import struct
import subprocess
from dataclasses import replace
from pathlib import Path

import imaging_samples as samples
import numpy as np
import piexif
import pytest
from PIL import Image

from dit4sr_cli.imaging import containers, formats, metadata, reader, writer
from dit4sr_cli.imaging.picture import Metadata, Picture

FORMATS = sorted(formats.WRITABLE)


def full_metadata(orientation: int = 1) -> Metadata:
    exif = samples.exif_block(orientation)
    return Metadata(exif, samples.XMP, samples.IPTC, samples.ADOBE_RGB, (300.0, 300.0))


def picture(info: Metadata, pixels: np.ndarray | None = None) -> Picture:
    pixels = samples.photo() if pixels is None else pixels
    return Picture(pixels, None, info, "photo", "png", "rgb")


def through(info: Metadata, format: str) -> Metadata:
    data = writer.encode([picture(info)], format=format)
    return reader.read(data)[0].metadata


@pytest.mark.parametrize("format", FORMATS)
def test_every_block_survives(format: str) -> None:
    before = full_metadata()
    after = through(before, format)
    assert after.xmp == before.xmp
    assert after.icc == before.icc
    assert after.iptc == (before.iptc if formats.can_hold_iptc(format) else None)
    assert after.dpi == pytest.approx((300, 300), abs=0.01)
    assert after.exif is not None


@pytest.mark.parametrize("format", ["jpeg", "png", "webp"])
def test_exif_is_the_same_bytes(format: str) -> None:
    before = full_metadata()
    assert through(before, format).exif == before.exif


@pytest.mark.parametrize("format", FORMATS)
def test_exif_says_the_same(format: str) -> None:
    before = full_metadata()
    after = through(before, format).exif
    was, now = piexif.load(before.exif), piexif.load(after)
    was["0th"].pop(piexif.ImageIFD.Orientation)
    now["0th"].pop(piexif.ImageIFD.Orientation, None)  # AVIF has its own
    for tables in (was, now):
        tables["0th"].pop(piexif.ImageIFD.ExifTag), tables["0th"].pop(piexif.ImageIFD.GPSTag)
    assert now["0th"] == was["0th"]
    assert now["Exif"] == was["Exif"]
    assert now["GPS"] == was["GPS"]


@pytest.mark.parametrize("format", FORMATS)
def test_pillow_finds_the_blocks(format: str) -> None:
    data = writer.encode([picture(full_metadata())], format=format)
    with Image.open(io.BytesIO(data)) as image:
        image.load()
        assert image.info["icc_profile"] == samples.ADOBE_RGB
        exif = image.getexif()
        assert exif[piexif.ImageIFD.Make] == "Canon"
        assert exif.get_ifd(piexif.ImageIFD.ExifTag)[piexif.ExifIFD.MakerNote] == samples.MAKER_NOTE
        xmp = image.tag_v2[700] if format == "tiff" else image.info["xmp"]
        if isinstance(xmp, str):
            xmp = xmp.encode()
        assert xmp == samples.XMP


@pytest.mark.skipif(shutil.which("exiftool") is None, reason="exiftool is not installed")
def test_exiftool_reads_all(tmp_path: Path) -> None:
    info = metadata.renew(
        full_metadata(6), width=60, height=40, software="dit4sr 1", thumbnail=b"\xff\xd8\xff\xd9"
    )
    for format in FORMATS:
        target = tmp_path / f"photo.{format}"
        writer.write([picture(info)], target, format=format)
    command = ["exiftool", "-json", "-n", "-G0", "-Orientation", "-Software", "-City", "-Rating"]
    command += ["-GPSLatitude", "-ExifImageWidth", "-ProfileClass", "-Error", str(tmp_path)]
    found = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    assert len(found) == len(FORMATS)
    for tags in found:
        format = Path(tags["SourceFile"]).suffix[1:]
        assert tags.get("EXIF:Orientation", 1) == 1
        assert tags["XMP:Orientation"] == 1
        assert tags["EXIF:Software"] == "dit4sr 1"
        assert tags["XMP:Rating"] == 5
        assert tags["EXIF:ExifImageWidth"] == 60
        assert tags["EXIF:GPSLatitude"] == pytest.approx(52.52)
        assert tags["ICC_Profile:ProfileClass"] == "mntr"
        assert tags.get("IPTC:City") == ("Berlin" if formats.can_hold_iptc(format) else None)
        assert "ExifTool:Error" not in tags


@pytest.mark.parametrize("format", FORMATS)
def test_a_picture_without_metadata_gets_none(format: str) -> None:
    assert through(Metadata(), format) == Metadata()


def renewed(info: Metadata, **changes: object) -> Metadata:
    thumbnail = metadata.make_thumbnail(samples.photo(90, 70))
    wanted = {"width": 70, "height": 90, "software": "dit4sr 1", "thumbnail": thumbnail, **changes}
    return metadata.renew(info, **wanted)


def test_renew_sets_orientation_size_software_and_thumbnail() -> None:
    thumbnail = metadata.make_thumbnail(samples.photo(90, 70))
    exif = piexif.load(renewed(full_metadata(6)).exif)
    assert exif["0th"][piexif.ImageIFD.Orientation] == 1
    assert exif["0th"][piexif.ImageIFD.Software] == b"dit4sr 1"
    assert exif["Exif"][piexif.ExifIFD.PixelXDimension] == 70
    assert exif["Exif"][piexif.ExifIFD.PixelYDimension] == 90
    assert exif["thumbnail"] == thumbnail
    with Image.open(io.BytesIO(thumbnail)) as image:
        assert image.size == (70, 90)


def test_renew_keeps_everything_else() -> None:
    was, now = piexif.load(samples.exif_block(6)), piexif.load(renewed(full_metadata(6)).exif)
    assert now["GPS"] == was["GPS"]
    for table, changed in (("0th", {274, 305, 34665, 34853}), ("Exif", {0xA002, 0xA003})):
        for tag in was[table].keys() - changed:
            assert now[table][tag] == was[table][tag]


@pytest.mark.parametrize("format", ["jpeg", "png", "webp", "avif", "tiff"])
def test_the_maker_note_does_not_move(format: str) -> None:
    before = samples.exif_block(6)
    place = before.index(samples.MAKER_NOTE)
    info = renewed(replace(full_metadata(6), exif=before))
    assert info.exif.index(samples.MAKER_NOTE) == place
    if format == "tiff":
        data = writer.encode([picture(info)], format=format)
        assert data.index(samples.MAKER_NOTE) == place
    else:
        assert through(info, format).exif.index(samples.MAKER_NOTE) == place


def test_the_old_thumbnail_is_gone() -> None:
    before = samples.exif_block()
    old = piexif.load(before)["thumbnail"]
    assert old in before
    assert old not in renewed(full_metadata()).exif
    assert piexif.load(renewed(full_metadata(), thumbnail=None).exif)["thumbnail"] is None


def test_renewing_twice_does_not_grow_much() -> None:
    once = renewed(full_metadata())
    twice = renewed(once)
    assert len(twice.exif) < len(once.exif) + 500


def test_big_endian_and_little_endian_exif() -> None:
    big = samples.exif_block(6)
    assert big[:2] == b"MM"
    little = b"II*\0\x08\0\0\0" + struct.pack("<HHHIHHI", 1, 0x0112, 3, 1, 6, 0, 0)
    info = renewed(Metadata(exif=little))
    assert info.exif[:2] == b"II"
    assert piexif.load(info.exif)["0th"][piexif.ImageIFD.Orientation] == 1


def test_unknown_and_malformed_tags_pass_through() -> None:
    entries = struct.pack("<HHII", 0x0112, 3, 1, 6) + struct.pack("<HHII", 0xC7A1, 1, 4, 0x01020304)
    beyond = struct.pack("<HHII", 0xC7A2, 2, 900, 7000)  # its value lies outside the block
    block = b"II*\0\x08\0\0\0" + struct.pack("<H", 3) + entries + beyond + b"\0\0\0\0"
    info = renewed(Metadata(exif=block))
    with Image.open(io.BytesIO(writer.encode([picture(info)], format="jpeg"))) as image:
        assert image.getexif()[0xC7A1] == b"\x04\x03\x02\x01"
        assert image.getexif()[0x0112] == 1


def test_a_picture_without_exif_gets_a_small_block() -> None:
    info = renewed(Metadata(dpi=(240.0, 240.0)))
    exif = piexif.load(info.exif)
    assert exif["0th"][piexif.ImageIFD.Software] == b"dit4sr 1"
    assert exif["Exif"][piexif.ExifIFD.PixelXDimension] == 70
    assert exif["0th"][piexif.ImageIFD.XResolution] == (240, 1)
    assert exif["thumbnail"] is None
    assert len(info.exif) < 250


def test_xmp_mirrors_are_renewed_and_the_rest_stays() -> None:
    xmp = renewed(full_metadata(6)).xmp
    assert b'tiff:Orientation="1"' in xmp
    assert b'exif:PixelXDimension="70"' in xmp
    assert b"<tiff:ImageWidth>70</tiff:ImageWidth>" in xmp
    assert b'xmp:Rating="5"' in xmp
    assert len(xmp) == len(samples.XMP)


def test_damaged_exif_is_dropped_with_a_warning() -> None:
    file = io.BytesIO()
    Image.fromarray(samples.photo()).save(file, "JPEG", exif=b"Exif\0\0MM\0*\0\0\xff\xff broken")
    [found] = reader.read(file.getvalue())
    assert found.metadata.exif is None
    assert any("EXIF" in line for line in found.warnings)
    assert renewed(found.metadata).exif


@pytest.mark.parametrize("size", range(0, 600, 23))
def test_cut_off_exif_never_stops_the_job(size: int) -> None:
    cut = metadata.checked_exif(samples.exif_block(6)[:size])
    info = renewed(Metadata(exif=cut))
    writer.encode([picture(info)], format="tiff")
    assert piexif.load(info.exif)["0th"][piexif.ImageIFD.Orientation] == 1


def test_exif_too_large_for_jpeg_loses_the_least() -> None:
    comment = b"ASCII\0\0\0" + b"c" * 40_000
    large = piexif.load(samples.exif_block())
    large["Exif"][piexif.ExifIFD.UserComment] = comment
    large["Exif"][piexif.ExifIFD.MakerNote] = b"m" * 40_000
    file = metadata_block(large)
    assert len(file) > 65_536
    info = Metadata(exif=file)
    after = piexif.load(through(info, "jpeg").exif)
    assert after["Exif"][piexif.ExifIFD.UserComment] == comment
    assert piexif.ExifIFD.MakerNote not in after["Exif"]
    assert any("EXIF" in line for line in writer.losses(picture(info), "jpeg"))
    assert through(info, "png").exif == file


def metadata_block(tables: dict) -> bytes:
    """Beyond 64 KB piexif refuses a thumbnail only."""
    return piexif.dump({**tables, "1st": {}, "thumbnail": None})[6:]


def test_xmp_too_large_for_one_jpeg_segment(tmp_path: Path) -> None:
    history = b"<rdf:li>x</rdf:li>" * 8000
    filler = b"<dc:subject xmlns:dc='http://purl.org/dc/elements/1.1/'><rdf:Bag>" + history
    xmp = samples.XMP.replace(
        b"</rdf:Description>", filler + b"</rdf:Bag></dc:subject></rdf:Description>"
    )
    data = writer.encode([picture(Metadata(xmp=xmp))], format="jpeg")
    parts = [
        p for m, p in containers.jpeg_segments(data) if p.startswith(b"http://ns.adobe.com/xmp/ext")
    ]
    head = len(b"http://ns.adobe.com/xmp/extension/\0") + 40
    assert len(parts) > 1
    assert b"".join(part[head:] for part in parts) == xmp
    [back] = reader.read(data)
    assert b"HasExtendedXMP" not in back.metadata.xmp
    assert any("XMP" in line for line in back.warnings)
    if shutil.which("exiftool"):
        target = tmp_path / "large.jpg"
        target.write_bytes(data)
        shown = subprocess.run(["exiftool", "-s3", "-XMP:Rating", str(target)], capture_output=True)
        assert shown.stdout.strip() == b"5"


def test_a_large_profile_spans_jpeg_segments() -> None:
    profile = samples.ADOBE_RGB + bytes(150_000)
    profile = struct.pack(">I", len(profile)) + profile[4:]
    data = writer.encode([picture(Metadata(icc=profile))], format="jpeg")
    with Image.open(io.BytesIO(data)) as image:
        assert image.info["icc_profile"] == profile


@pytest.mark.parametrize("format", ["webp", "avif"])
def test_lost_iptc_is_reported(format: str) -> None:
    assert any("IPTC" in line for line in writer.losses(picture(full_metadata()), format))
    assert writer.losses(picture(full_metadata()), "png") == ()
