"""Names, extensions and signatures of formats."""

from __future__ import annotations

from pathlib import Path

import pytest

from dit4sr_cli.core.errors import OutputError, UsageError
from dit4sr_cli.imaging import formats


@pytest.mark.parametrize(
    ("target", "requested", "expected"),
    [
        ("a.jpg", None, "jpeg"),
        ("a.JPEG", None, "jpeg"),
        ("a.tif", None, "tiff"),
        ("a.webp", None, "webp"),
        ("a.avif", None, "avif"),
        ("a.b.png", None, "png"),
        ("a.jpg", "png", "png"),
        ("a.unknown", "tif", "tiff"),
        (None, "JPG", "jpeg"),
        (None, None, "tiff"),
        ("a", None, "tiff"),
        ("/dev/null", None, "tiff"),
    ],
)
def test_format_of(target: str | None, requested: str | None, expected: str) -> None:
    assert formats.format_of(target and Path(target), requested, "tiff") == expected


@pytest.mark.parametrize("default", ["gif", "bmp", "heic", "pnm", "jp2"])
def test_what_can_only_be_read_becomes_png(default: str) -> None:
    assert formats.format_of(None, None, default) == "png"


def test_unknown_formats_name_the_known_ones() -> None:
    with pytest.raises(UsageError, match="xyz") as usage:
        formats.format_of(None, "xyz", "png")
    with pytest.raises(OutputError, match=r"\.xyz") as output:
        formats.format_of(Path("a.xyz"), None, "png")
    for hint in (usage.value.hint, output.value.hint):
        assert all(name in hint for name in formats.WRITABLE)


@pytest.mark.parametrize("name", formats.WRITABLE)
def test_extension_and_format_agree(name: str) -> None:
    assert formats.format_of(Path("a" + formats.extension_of(name)), None, "") == name


def test_abilities() -> None:
    assert {name for name in formats.WRITABLE if formats.can_hold_16_bit(name)} == {"png", "tiff"}
    assert {name for name in formats.WRITABLE if not formats.can_hold_alpha(name)} == {"jpeg"}
    assert {name for name in formats.WRITABLE if formats.can_hold_pages(name)} == {"tiff"}


@pytest.mark.parametrize("brand", [b"heic", b"mif1"])
def test_heif_brands(brand: bytes) -> None:
    assert formats.sniff(b"\0\0\0\x1cftyp" + brand + b"\0\0\0\0mif1heic") == "heic"
    assert formats.sniff(b"\0\0\0\x1cftypmif1\0\0\0\0mif1avif") == "avif"
