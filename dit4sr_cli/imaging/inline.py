"""Pictures as bytes that terminals draw: the protocols of kitty and iTerm2, and sixel.

Small enough to be written here: the packages there are for it bring their own detection, their own
output streams and more than the three encodings.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator

import numpy as np
from PIL import Image

from dit4sr_cli.imaging.picture import Pixels

_ESCAPE = b"\x1b"
_END = b"\x1b\\"
_KITTY_CHUNK = 4096
"""Characters of base64 in one command: more is not taken."""
_COLOURS = 256
_BAND = 6
"""Rows of pixels in a row of sixels."""


def kitty(png: bytes) -> bytes:
    """A PNG in kitty's graphics protocol: transmitted, drawn, and not answered."""
    data = base64.standard_b64encode(png)
    chunks = [data[start : start + _KITTY_CHUNK] for start in range(0, len(data), _KITTY_CHUNK)]
    commands = []
    for number, chunk in enumerate(chunks, start=1):
        keys = b"a=T,f=100,q=2," if number == 1 else b"q=2,"
        more = b"m=0" if number == len(chunks) else b"m=1"
        commands.append(_ESCAPE + b"_G" + keys + more + b";" + chunk + _END)
    return b"".join(commands)


def iterm(png: bytes) -> bytes:
    """A PNG in iTerm2's protocol, which WezTerm and others know, too."""
    keys = b"inline=1;preserveAspectRatio=1;size=%d" % len(png)
    return _ESCAPE + b"]1337;File=" + keys + b":" + base64.standard_b64encode(png) + b"\x07"


def sixel(pixels: Pixels) -> bytes:
    """uint8 [H, W, 3] as sixels of up to 256 colours, dithered (DEC STD 070)."""
    indices, palette = _reduced(pixels)
    height, width = indices.shape
    parts = [_ESCAPE + b'P0;1;0q"1;1;%d;%d' % (width, height)]
    for number, colour in enumerate(palette):
        red, green, blue = (round(int(value) * 100 / 255) for value in colour)
        parts.append(b"#%d;2;%d;%d;%d" % (number, red, green, blue))
    for top in range(0, height, _BAND):
        parts += _band(indices[top : top + _BAND])
    return b"".join([*parts, _END])


def fitted(pixels: Pixels, width: int) -> Pixels:
    """The picture reduced to a width, if it is wider."""
    height, before = pixels.shape[:2]
    if before <= width:
        return pixels
    size = (width, max(1, round(height * width / before)))
    return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.LANCZOS))


def _reduced(pixels: Pixels) -> tuple[Pixels, Pixels]:
    """Indices [H, W] into a palette [N, 3]."""
    image = Image.fromarray(pixels)
    colours = image.quantize(_COLOURS, method=Image.Quantize.MEDIANCUT)
    dithered = image.quantize(palette=colours, dither=Image.Dither.FLOYDSTEINBERG)
    palette = np.asarray(dithered.getpalette("RGB"), np.uint8).reshape(-1, 3)
    return np.asarray(dithered), palette


def _band(rows: Pixels) -> Iterator[bytes]:
    """Up to six rows: each of their colours is a line over the one before."""
    bits = 1 << np.arange(len(rows))
    for number, colour in enumerate(np.unique(rows)):
        line = ((rows == colour) * bits[:, None]).sum(axis=0)
        yield (b"$#%d" if number else b"#%d") % colour + _packed(line)
    yield b"-"


def _packed(line: Pixels) -> bytes:
    """Sixels with their repetitions counted, the empty ones at the end left out."""
    starts = np.flatnonzero(np.diff(line, prepend=-1))
    lengths = np.diff(starts, append=len(line))
    values = line[starts]
    if not values[-1]:
        lengths, values = lengths[:-1], values[:-1]
    parts = []
    for length, value in zip(lengths.tolist(), (values + 63).tolist(), strict=True):
        parts.append(b"!%d%c" % (length, value) if length > 3 else b"%c" % value * length)
    return b"".join(parts)
