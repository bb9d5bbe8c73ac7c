"""What the picture formats are called, how they are recognised, and what each can keep."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from dit4sr_cli.core.errors import OutputError, UsageError

DEFAULT_FORMAT = "png"


@dataclass(frozen=True, slots=True)
class Format:
    """A format that can be written."""

    extensions: tuple[str, ...]
    largest_side: int
    alpha: bool = True
    sixteen_bit: bool = False
    iptc: bool = False
    pages: bool = False


WRITABLE = {
    "jpeg": Format((".jpg", ".jpeg", ".jpe", ".jfif"), 65_500, alpha=False, iptc=True),
    "png": Format((".png",), 2**31 - 1, sixteen_bit=True, iptc=True),
    "tiff": Format((".tif", ".tiff"), 2**31 - 1, sixteen_bit=True, iptc=True, pages=True),
    "webp": Format((".webp",), 16_383),
    "avif": Format((".avif",), 16_384),
}

_BY_EXTENSION = {ext: name for name, fmt in WRITABLE.items() for ext in fmt.extensions}

_MAGIC = (
    (b"\xff\xd8\xff", "jpeg"),
    (b"\x89PNG\r\n\x1a\n", "png"),
    (b"II*\0\x10\0\0\0CR", "raw"),
    (b"II*\0", "tiff"),
    (b"MM\0*", "tiff"),
    (b"II+\0", "tiff"),
    (b"MM\0+", "tiff"),
    (b"GIF8", "gif"),
    (b"BM", "bmp"),
    (b"\0\0\0\x0cjP  ", "jp2"),
    (b"\xff\x4f\xff\x51", "jp2"),
    (b"\xff\x0a", "jxl"),
    (b"\0\0\0\x0cJXL ", "jxl"),
    (b"8BPS", "psd"),
    (b"%PDF", "pdf"),
    (b"FUJIFILMCCD-RAW", "raw"),
    (b"IIRO", "raw"),
    (b"IIRS", "raw"),
    (b"MMOR", "raw"),
    (b"IIU\0", "raw"),
    (b"FOVb", "raw"),
)
_FTYP = {b"avif": "avif", b"avis": "avif", b"crx ": "raw"}
_HEIF_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
_PNM = tuple(b"P%d" % kind for kind in range(1, 7))


def format_of(target: Path | None, requested: str | None, default: str) -> str:
    """The output format: the one asked for, or the target's extension, or the default.

    Raises:
        UsageError: the requested format is not one that can be written.
        OutputError: the target's extension says nothing that can be written.
    """
    known = ", ".join(WRITABLE)
    if requested is not None:
        name = _named(requested)
        if name is None:
            raise UsageError(f"unknown format '{requested}'", hint=f"use one of: {known}")
        return name
    if target is None or not target.suffix:
        # GIF, BMP and others can be read but not written: PNG holds all that they hold.
        return _named(default) or DEFAULT_FORMAT
    name = _BY_EXTENSION.get(target.suffix.lower())
    if name is None:
        raise OutputError(
            f"{target}: '{target.suffix}' is not a format that can be written",
            hint=f"use an extension of {known}, or --format",
        )
    return name


def extension_of(format: str) -> str:
    """The usual extension, with its dot."""
    return WRITABLE[format].extensions[0]


def can_hold_16_bit(format: str) -> bool:
    """Whether 16 bits a channel can be written."""
    return WRITABLE[format].sixteen_bit


def can_hold_alpha(format: str) -> bool:
    """Whether transparency can be written."""
    return WRITABLE[format].alpha


def can_hold_iptc(format: str) -> bool:
    """Whether IPTC records have a place; WebP and AVIF have none outside XMP."""
    return WRITABLE[format].iptc


def can_hold_pages(format: str) -> bool:
    """Whether more than one page can be written."""
    return WRITABLE[format].pages


def check_size(format: str, width: int, height: int) -> None:
    """Refuse a size that the format cannot hold; worth asking before the work.

    Raises:
        OutputError: a side is too long.
    """
    limit = WRITABLE[format].largest_side
    if max(width, height) > limit:
        raise OutputError(
            f"{width}x{height} is too large for {format}, which ends at {limit} pixels a side",
            hint="write PNG or TIFF instead",
        )


def sniff(head: bytes) -> str | None:
    """The format that the first bytes of a file announce; None if they announce no picture."""
    for magic, name in _MAGIC:
        if head.startswith(magic):
            return name
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "webp"
    if head[4:8] == b"ftyp":
        return _ftyp(head)
    return "pnm" if head[:2] in _PNM and head[2:3].isspace() else None


def _ftyp(head: bytes) -> str | None:
    major = head[8:12]
    if major in _FTYP:
        return _FTYP[major]
    if major not in _HEIF_BRANDS:
        return None
    # "mif1" is shared: only the compatible brands tell AVIF from HEIC.
    return "avif" if b"avif" in head[16:64] else "heic"


def _named(word: str) -> str | None:
    word = word.lower().lstrip(".")
    return word if word in WRITABLE else _BY_EXTENSION.get(f".{word}")
