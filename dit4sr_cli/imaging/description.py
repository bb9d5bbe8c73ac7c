"""What a file says of itself besides its pixels, in words: EXIF, XMP, IPTC and the profile."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable, Iterator, Mapping
from hashlib import sha256
from typing import TypeAlias

from PIL import ExifTags, ImageCms

from dit4sr_cli.imaging import xmp
from dit4sr_cli.imaging.ifd import Block, Entry, Layout
from dit4sr_cli.imaging.metadata import describing_tags
from dit4sr_cli.imaging.picture import Metadata, Picture

Words: TypeAlias = "Mapping[str, str]"
"""Values by name."""

_LONGEST = 400  # characters of a value
_ASCII, _RATIONAL, _UNDEFINED, _SIGNED_RATIONAL = 2, 5, 7, 10
_CODES = {1: "B", 3: "H", 4: "I", 6: "b", 8: "h", 9: "i", 11: "f", 12: "d", 13: "I"}
_GPS = 0x8825
_THUMBNAIL_LENGTH = 0x0202
_IIM_MARK = 0x1C
_IIM = dict(  # IIM 4.2, record 2
    zip(
        (
            *(5, 7, 10, 15, 20, 25, 40, 55, 60, 62, 63, 65, 70, 80, 85, 90, 92, 95),
            *(100, 101, 103, 105, 110, 115, 116, 118, 120, 122),
        ),
        (
            *("Object name", "Edit status", "Urgency", "Category", "Supplemental categories"),
            *("Keywords", "Special instructions", "Date created", "Time created"),
            *("Digitisation date", "Digitisation time", "Program", "Program version", "By-line"),
            *("By-line title", "City", "Sub-location", "Province or state", "Country code"),
            *("Country", "Transmission reference", "Headline", "Credit", "Source"),
            *("Copyright notice", "Contact", "Caption", "Caption writer"),
        ),
        strict=True,
    )
)
_OURS, _RECORD = "dit4sr:", "dit4sr:Record"


def describe(picture: Picture) -> dict[str, Words]:
    """Values by name, in groups; a group that the file has not is empty."""
    info = picture.metadata
    return {
        "File": _of_file(picture),
        "EXIF": _quietly(_of_exif, info.exif),
        "XMP": _quietly(_of_xmp, info.xmp),
        "IPTC": _quietly(_of_iptc, info.iptc),
        "Colour profile": _of_profile(info.icc),
    }


def _of_file(picture: Picture) -> Words:
    has_alpha = "yes" if picture.alpha is not None else "no"
    return {
        "Format": picture.format.upper(),
        "Size": f"{picture.width} x {picture.height}",
        "Bits a channel": str(picture.bits),
        "Colours": picture.mode,
        "Transparency": has_alpha,
        **_resolution(picture.metadata),
    }


def _resolution(info: Metadata) -> Words:
    if info.dpi is None:
        return {}
    x, y = (f"{value:.4g}" for value in info.dpi)
    return {"Resolution": f"{x} dpi" if x == y else f"{x} x {y} dpi"}


def _quietly(describe: Callable[[bytes], Words], raw: bytes | None) -> Words:
    """What is damaged is said to be so: nothing depends on it."""
    if not raw:
        return {}
    try:
        return {name: _shortened(value) for name, value in describe(raw).items()}
    except (ValueError, struct.error, StopIteration):
        return {"Block": f"damaged, {_of_bytes(raw)}"}


def _shortened(text: str) -> str:
    text = " ".join(text.split())
    if len(text) <= _LONGEST:
        return text
    # What is cut off takes part in comparisons all the same.
    return f"{text[: _LONGEST // 2]}... ({len(text)} characters, {_digest(text.encode())})"


def _of_bytes(value: bytes) -> str:
    return f"{len(value)} bytes, {_digest(value)}"


def _digest(value: bytes) -> str:
    return sha256(value).hexdigest()[:8]


# ---------------------------------------------------------------------------- EXIF


def _of_exif(raw: bytes) -> Words:
    block = Block.open(raw)
    pages = list(block.chain())
    found = {}
    for path, entries in describing_tags(block, pages[0]).items():
        names = ExifTags.GPSTAGS if path[-1:] == (_GPS,) else ExifTags.TAGS
        for tag, entry in entries.items():
            found[names.get(tag, f"tag 0x{tag:04x}")] = _value(entry, block.layout)
    for page in pages[1:2]:
        if _THUMBNAIL_LENGTH in page:
            found["Thumbnail"] = f"{block.layout.number(page[_THUMBNAIL_LENGTH])} bytes"
    return found


def _value(entry: Entry, layout: Layout) -> str:
    if entry.kind == _ASCII:
        return _as_text(entry.value)
    if entry.kind in (_RATIONAL, _SIGNED_RATIONAL):
        code = "II" if entry.kind == _RATIONAL else "ii"
        return ", ".join(
            _ratio(*pair) for pair in struct.iter_unpack(layout.order + code, entry.value)
        )
    code = _CODES.get(entry.kind, "")
    if not code or len(entry.value) > _LONGEST:
        is_word = len(entry.value) <= 8 and entry.value.isalnum()
        return entry.value.decode("ascii") if is_word else _of_bytes(entry.value)
    return ", ".join(
        f"{number:g}" for (number,) in struct.iter_unpack(layout.order + code, entry.value)
    )


def _ratio(above: int, below: int) -> str:
    if not below:
        return f"{above}/0"
    # Exposure times are read as fractions, all else as numbers.
    return (
        f"1/{below // above}"
        if 0 < 3 * above < below and below % above == 0
        else f"{above / below:.6g}"
    )


def _as_text(value: bytes) -> str:
    value = value.rstrip(b"\0 ")
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        return value.decode("latin-1")


# ----------------------------------------------------------------------- XMP, IPTC


def _of_xmp(raw: bytes) -> Words:
    """All properties; ours repeat parts of the record, which is told of once."""
    found = xmp.describe(raw)
    words = {name: value for name, value in found.items() if not name.startswith(_OURS)}
    if record := found.get(_RECORD):
        words["Record of dit4sr"] = f"{len(record)} characters, {_digest(record.encode())}"
    return words


def _of_iptc(raw: bytes) -> Words:
    found: dict[str, str] = {}
    for record, dataset, value in _records(raw):
        is_known = record == 2 and dataset in _IIM
        name = _IIM[dataset] if is_known else f"{record}:{dataset:03d}"
        text = _as_text(value) if is_known else _of_bytes(value)
        found[name] = f"{found[name]}; {text}" if name in found else text
    return found


def _records(raw: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Record, dataset and value, until something else comes."""
    at = 0
    while at + 5 <= len(raw) and raw[at] == _IIM_MARK:
        record, dataset, size = struct.unpack(">BBH", raw[at + 1 : at + 5])
        at += 5
        if size & 0x8000:  # of a very long value, the length of its length
            num = size & 0x7FFF
            size = int.from_bytes(raw[at : at + num], "big")
            at += num
        yield record, dataset, raw[at : at + size]
        at += size


# ------------------------------------------------------------------- colour profile


def _of_profile(icc: bytes | None) -> Words:
    if icc is None:
        return {}
    try:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(icc))
        name = ImageCms.getProfileDescription(profile).strip()
    except (OSError, ValueError, ImageCms.PyCMSError):
        name = "damaged"
    return {"Name": name or "without a name", "Contents": _of_bytes(icc)}
