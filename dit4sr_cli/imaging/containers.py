"""Metadata blocks in JPEG, PNG and WebP files: found in their bytes, and put into fresh ones.

libvips would rewrite EXIF through libexif, which reorders it and breaks maker notes; here blocks
go in byte for byte as they came.
"""

from __future__ import annotations

import hashlib
import struct
import zlib
from collections.abc import Iterator
from itertools import count

from dit4sr_cli.imaging.ifd import Buffer
from dit4sr_cli.imaging.picture import Metadata

EXIF_PREFIX = b"Exif\0\0"
XMP_PREFIX = b"http://ns.adobe.com/xap/1.0/\0"
_EXTENDED_PREFIX = b"http://ns.adobe.com/xmp/extension/\0"
_PHOTOSHOP_PREFIX = b"Photoshop 3.0\0"
_ICC_PREFIX = b"ICC_PROFILE\0"
_SEGMENT = 65_533  # a JPEG segment's length counts its own two bytes
_IPTC_RESOURCE = 0x0404

APP0, APP1, APP2, APP13 = 0xE0, 0xE1, 0xE2, 0xED
_START_OF_SCAN, _END = 0xDA, 0xD9

LARGEST_JPEG_EXIF = _SEGMENT - len(EXIF_PREFIX)


# ---------------------------------------------------------------- JPEG


def jpeg_segments(data: Buffer) -> Iterator[tuple[int, bytes]]:
    """Markers and payloads up to the pixels; stops at damage."""
    at = 2
    while at + 4 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker == 0xFF:  # fill byte
            at += 1
            continue
        if marker in (_START_OF_SCAN, _END):
            return
        (length,) = struct.unpack(">H", data[at + 2 : at + 4])
        yield marker, bytes(data[at + 4 : at + 2 + length])
        at += 2 + length


def jpeg_iptc(data: Buffer) -> bytes | None:
    """The IPTC records in the Photoshop segments."""
    resources = b"".join(
        payload[len(_PHOTOSHOP_PREFIX) :]
        for marker, payload in jpeg_segments(data)
        if marker == APP13 and payload.startswith(_PHOTOSHOP_PREFIX)
    )
    return iptc_in_photoshop(resources)


def jpeg_has_more_pictures(data: Buffer) -> bool:
    """Whether a multi-picture index (gain map, depth, stereo) follows."""
    return any(m == APP2 and p.startswith(b"MPF\0") for m, p in jpeg_segments(data))


def into_jpeg(encoded: bytes, metadata: Metadata) -> list[Buffer]:
    """The encoded picture in pieces, metadata segments in front.

    Raises:
        ValueError: a block does not fit.
    """
    at = 2
    while encoded[at : at + 2] == bytes((0xFF, APP0)):
        at += 2 + int.from_bytes(encoded[at + 2 : at + 4], "big")
    head = [encoded[:2], _segment(APP0, _jfif(metadata.dpi))]
    if metadata.exif:
        head.append(_segment(APP1, EXIF_PREFIX + metadata.exif))
    if metadata.xmp:
        head += _xmp_segments(metadata.xmp)
    if metadata.iptc:
        head += _chunked(APP13, _PHOTOSHOP_PREFIX, photoshop_with_iptc(metadata.iptc))
    if metadata.icc:
        head += _icc_segments(metadata.icc)
    return [b"".join(head), memoryview(encoded)[at:]]


def _segment(marker: int, payload: bytes) -> bytes:
    if len(payload) > _SEGMENT:
        raise ValueError("too large for a JPEG segment")
    return struct.pack(">BBH", 0xFF, marker, len(payload) + 2) + payload


def _jfif(dpi: tuple[float, float] | None) -> bytes:
    unit, (x, y) = (1, dpi) if dpi else (0, (1, 1))
    density = (min(round(value), 65_535) for value in (x, y))
    return b"JFIF\0\x01\x02" + struct.pack(">BHHBB", unit, *density, 0, 0)


def _chunked(marker: int, prefix: bytes, payload: bytes) -> list[bytes]:
    step = _SEGMENT - len(prefix)
    starts = range(0, len(payload), step)
    return [_segment(marker, prefix + payload[at : at + step]) for at in starts]


def _icc_segments(icc: bytes) -> list[bytes]:
    step = _SEGMENT - len(_ICC_PREFIX) - 2
    pieces = [icc[at : at + step] for at in range(0, len(icc), step)]
    if len(pieces) > 255:
        raise ValueError("too large a colour profile for JPEG")
    return [
        _segment(APP2, _ICC_PREFIX + bytes((number, len(pieces))) + piece)
        for number, piece in zip(count(1), pieces, strict=False)
    ]


def _xmp_segments(xmp: bytes) -> list[bytes]:
    if len(xmp) <= _SEGMENT - len(XMP_PREFIX):
        return [_segment(APP1, XMP_PREFIX + xmp)]
    # XMP specification part 3, 1.1.3.1: what does not fit goes into extension segments,
    # named by the MD5 of the whole, and the main packet points at it.
    digest = hashlib.md5(xmp, usedforsecurity=False).hexdigest().upper().encode()
    main = (
        b'<?xpacket begin="\xef\xbb\xbf" id="W5M0MpCehiHzreSzNTczkc9d"?>'
        b'<x:xmpmeta xmlns:x="adobe:ns:meta/">'
        b'<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        b'<rdf:Description rdf:about="" xmlns:xmpNote="http://ns.adobe.com/xmp/note/" '
        b'xmpNote:HasExtendedXMP="' + digest + b'"/></rdf:RDF></x:xmpmeta><?xpacket end="w"?>'
    )
    segments = [_segment(APP1, XMP_PREFIX + main)]
    step = _SEGMENT - len(_EXTENDED_PREFIX) - 40
    for at in range(0, len(xmp), step):
        head = _EXTENDED_PREFIX + digest + struct.pack(">II", len(xmp), at)
        segments.append(_segment(APP1, head + xmp[at : at + step]))
    return segments


# ----------------------------------------------------- Photoshop resources


def iptc_in_photoshop(resources: bytes) -> bytes | None:
    """The IPTC records among Photoshop image resources."""
    at = 0
    while at + 12 <= len(resources) and resources[at : at + 4] == b"8BIM":
        (number,) = struct.unpack(">H", resources[at + 4 : at + 6])
        name = (resources[at + 6] + 2) & ~1  # a Pascal string, padded to even
        at += 6 + name
        size = int.from_bytes(resources[at : at + 4], "big")
        if number == _IPTC_RESOURCE:
            return resources[at + 4 : at + 4 + size] or None
        at += 4 + size + size % 2
    return None


def photoshop_with_iptc(iptc: bytes) -> bytes:
    """Photoshop image resources that hold the records."""
    head = b"8BIM" + struct.pack(">HHI", _IPTC_RESOURCE, 0, len(iptc))
    return head + iptc + b"\0" * (len(iptc) % 2)


# ----------------------------------------------------------------- PNG


def png_chunks(data: Buffer) -> Iterator[tuple[bytes, bytes]]:
    """Names and bodies of the chunks that are not pixels; stops at damage."""
    at = 8
    while at + 12 <= len(data):
        size, name = struct.unpack(">I4s", data[at : at + 8])
        if name == b"IEND":
            return
        if name != b"IDAT":
            yield name, bytes(data[at + 8 : at + 8 + size])
        at += 12 + size


def png_iptc(data: Buffer) -> bytes | None:
    """IPTC records, which PNG holds as ImageMagick's "raw profile" text."""
    for name, body in png_chunks(data):
        if name == b"zTXt" and body.startswith(b"Raw profile type iptc\0"):
            text = _inflate(body[body.index(b"\0") + 2 :])
        elif name == b"tEXt" and body.startswith(b"Raw profile type iptc\0"):
            text = body[body.index(b"\0") + 1 :]
        else:
            continue
        return _raw_profile(text)
    return None


def into_png(encoded: bytes, metadata: Metadata) -> list[Buffer]:
    """The encoded picture in pieces, metadata chunks behind its header."""
    at = 33  # signature and IHDR
    while encoded[at + 4 : at + 8] == b"pHYs":
        at += 21  # libvips always writes a resolution, be it known or not
    head = [encoded[:33]]
    if metadata.icc:
        head.append(_chunk(b"iCCP", b"ICC profile\0\0" + zlib.compress(metadata.icc)))
    if metadata.dpi:
        per_metre = (round(value / 0.0254) for value in metadata.dpi)
        head.append(_chunk(b"pHYs", struct.pack(">IIB", *per_metre, 1)))
    if metadata.exif:
        head.append(_chunk(b"eXIf", metadata.exif))
    if metadata.xmp:
        head.append(_chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + metadata.xmp))
    if metadata.iptc:
        head.append(_chunk(b"zTXt", b"Raw profile type iptc\0\0" + _profile_text(metadata.iptc)))
    return [b"".join(head), memoryview(encoded)[at:]]


def _chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def _profile_text(iptc: bytes) -> bytes:
    digits = photoshop_with_iptc(iptc).hex()
    lines = "\n".join(digits[at : at + 72] for at in range(0, len(digits), 72))
    return zlib.compress(f"\niptc\n{len(digits) // 2:8}\n{lines}\n".encode())


def _raw_profile(text: bytes) -> bytes | None:
    try:
        lines = text.strip().split(b"\n")  # a name, a length, then digits
        payload = bytes.fromhex(b"".join(lines[2:]).decode())
    except ValueError:
        return None
    payload = payload.removeprefix(_PHOTOSHOP_PREFIX)
    return iptc_in_photoshop(payload) if payload.startswith(b"8BIM") else payload or None


def _inflate(packed: bytes) -> bytes:
    try:
        return zlib.decompressobj().decompress(packed, 1 << 24)
    except zlib.error:
        return b""


# ---------------------------------------------------------------- WebP

_WEBP_ICC, _WEBP_ALPHA, _WEBP_EXIF, _WEBP_XMP = 0x20, 0x10, 0x08, 0x04


def into_webp(
    encoded: bytes, metadata: Metadata, size: tuple[int, int], *, alpha: bool
) -> list[Buffer]:
    """The encoded picture in the extended layout, which alone can hold metadata."""
    pixels = [chunk for name, chunk in _riff_chunks(encoded) if name in _WEBP_PIXELS]
    flags = _WEBP_ALPHA if alpha else 0
    front, back = list[Buffer](), list[Buffer]()
    if metadata.icc:
        flags |= _WEBP_ICC
        front.append(_riff_chunk(b"ICCP", metadata.icc))
    if metadata.exif:
        flags |= _WEBP_EXIF
        back.append(_riff_chunk(b"EXIF", metadata.exif))
    if metadata.xmp:
        flags |= _WEBP_XMP
        back.append(_riff_chunk(b"XMP ", metadata.xmp))
    width, height = ((side - 1).to_bytes(3, "little") for side in size)
    first = _riff_chunk(b"VP8X", bytes((flags, 0, 0, 0)) + width + height)
    body = [first, *front, *pixels, *back]
    length = 4 + sum(len(piece) for piece in body)
    return [b"RIFF" + struct.pack("<I", length) + b"WEBP", *body]


_WEBP_PIXELS = (b"ALPH", b"VP8 ", b"VP8L")


def _riff_chunks(encoded: bytes) -> Iterator[tuple[bytes, memoryview]]:
    view, at = memoryview(encoded), 12
    while at + 8 <= len(view):
        name, size = struct.unpack("<4sI", view[at : at + 8])
        yield name, view[at : at + 8 + size + size % 2]
        at += 8 + size + size % 2


def _riff_chunk(name: bytes, body: bytes) -> bytes:
    return name + struct.pack("<I", len(body)) + body + b"\0" * (len(body) % 2)
