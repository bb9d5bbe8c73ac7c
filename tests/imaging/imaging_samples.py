"""Real files for the imaging tests: photographs, metadata blocks and colour profiles."""

from __future__ import annotations

import io
import os
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import piexif
from PIL import Image

XMP = (
    b'<?xpacket begin="\xef\xbb\xbf" id="W5M0MpCehiHzreSzNTczkc9d"?>'
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/">'
    b'<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    b'<rdf:Description rdf:about="" xmlns:tiff="http://ns.adobe.com/tiff/1.0/" '
    b'xmlns:exif="http://ns.adobe.com/exif/1.0/" xmlns:xmp="http://ns.adobe.com/xap/1.0/" '
    b'tiff:Orientation="6" exif:PixelXDimension="60" xmp:Rating="5">'
    b"<tiff:ImageWidth>60</tiff:ImageWidth></rdf:Description></rdf:RDF></x:xmpmeta>"
    b'<?xpacket end="w"?>'
)
IPTC = b"\x1c\x02\x00\x00\x02\x00\x04\x1c\x02\x19\x00\x05hello\x1c\x02\x5a\x00\x06Berlin"
MAKER_NOTE = bytes(range(256)) * 5


def photo(height: int = 40, width: int = 60, *, low: int = 60, high: int = 190) -> np.ndarray:
    """Smooth colours with some grain, far from the borders of the gamut."""
    rng = np.random.default_rng(height * 1000 + width)
    seed = rng.integers(low, high, (5, 7, 3), dtype=np.uint8)
    smooth = np.asarray(Image.fromarray(seed).resize((width, height), Image.Resampling.BICUBIC))
    grain = rng.integers(-3, 4, smooth.shape)
    return np.clip(smooth.astype(int) + grain, low, high).astype(np.uint8)


def photo16(height: int = 40, width: int = 60) -> np.ndarray:
    rng = np.random.default_rng(1)
    wide = photo(height, width).astype(np.uint16) * 256
    return wide + rng.integers(0, 256, wide.shape).astype(np.uint16)


def exif_block(orientation: int = 1, **details: object) -> bytes:
    """As piexif makes it, without the JPEG prefix: camera, maker note, GPS and thumbnail."""
    thumbnail = io.BytesIO()
    Image.fromarray(photo(12, 16)).save(thumbnail, "JPEG")
    first = {
        piexif.ImageIFD.Make: b"Canon",
        piexif.ImageIFD.Model: b"EOS",
        piexif.ImageIFD.Orientation: orientation,
        piexif.ImageIFD.Software: b"before",
        piexif.ImageIFD.XResolution: (300, 1),
        piexif.ImageIFD.YResolution: (300, 1),
        piexif.ImageIFD.ResolutionUnit: 2,
    }
    exif = {
        piexif.ExifIFD.DateTimeOriginal: b"2020:01:02 03:04:05",
        piexif.ExifIFD.MakerNote: MAKER_NOTE,
        piexif.ExifIFD.PixelXDimension: 60,
        piexif.ExifIFD.PixelYDimension: 40,
        **details,
    }
    gps = {
        piexif.GPSIFD.GPSVersionID: (2, 3, 0, 0),
        piexif.GPSIFD.GPSLatitudeRef: b"N",
        piexif.GPSIFD.GPSLatitude: ((52, 1), (31, 1), (12, 1)),
    }
    tables = {"0th": first, "Exif": exif, "GPS": gps, "1st": {259: 6}}
    return piexif.dump({**tables, "thumbnail": thumbnail.getvalue()})[6:]


def _profile(space: bytes, tags: dict[bytes, bytes]) -> bytes:
    """A version 2 ICC profile of the given tags."""
    tags = {
        b"desc": b"desc\0\0\0\0\0\0\0\x05test\0" + b"\0" * 79,
        b"cprt": b"text\0\0\0\0none\0",
        b"wtpt": _xyz(0.9642, 1.0, 0.8249),
        **tags,
    }
    table, body = struct.pack(">I", len(tags)), b""
    start = 128 + 4 + 12 * len(tags)
    for name, value in tags.items():
        table += name + struct.pack(">II", start + len(body), len(value))
        body += value + b"\0" * (-len(value) % 4)
    length = 128 + len(table) + len(body)
    head = struct.pack(">I4sI4s4s4s", length, b"", 0x02100000, b"mntr", space, b"XYZ ")
    head += struct.pack(">6H4s", 2020, 1, 1, 0, 0, 0, b"acsp") + b"\0" * 28
    head += _xyz(0.9642, 1.0, 0.8249)[8:]
    return head.ljust(128, b"\0") + table + body


def _xyz(*values: float) -> bytes:
    return b"XYZ \0\0\0\0" + struct.pack(">3i", *(round(v * 65536) for v in values))


def _gamma(value: float) -> bytes:
    return b"curv\0\0\0\0\0\0\0\x01" + struct.pack(">H", round(value * 256))


def rgb_profile(red: tuple, green: tuple, blue: tuple, gamma: float) -> bytes:
    curves = {b"rTRC": _gamma(gamma), b"gTRC": _gamma(gamma), b"bTRC": _gamma(gamma)}
    primaries = {b"rXYZ": _xyz(*red), b"gXYZ": _xyz(*green), b"bXYZ": _xyz(*blue)}
    return _profile(b"RGB ", primaries | curves)


ADOBE_RGB = rgb_profile(
    (0.60974, 0.31111, 0.01947), (0.20528, 0.62567, 0.06087), (0.14919, 0.06322, 0.74457), 2.2
)
PROPHOTO = rgb_profile(
    (0.79767, 0.28804, 0.0), (0.13519, 0.71187, 0.0), (0.03134, 0.00009, 0.82491), 1.8
)
GREY_18 = _profile(b"GRAY", {b"kTRC": _gamma(1.8)})


def as_nobody(folder: Path, action: Callable[[], bool]) -> bool:
    """What an action answers in a child process without rights, which may enter the folder."""
    for parent in (folder, *folder.parents):
        if parent.stat().st_uid == os.getuid() and not parent.stat().st_mode & 0o001:
            parent.chmod(parent.stat().st_mode | 0o005)
    child = os.fork()
    if child == 0:
        code = 9
        try:
            if os.getuid() == 0:
                os.setgroups([])
                os.setgid(65534)
                os.setuid(65534)
            code = 0 if action() else 8
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
