"""Files to pictures: whole or refused, upright, in sRGB, with what they say about themselves."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from dit4sr_cli.core.settings import DEFAULT_MAX_MEGAPIXELS
from dit4sr_cli.imaging import color, vips
from dit4sr_cli.imaging.decoders import Decoded, decode
from dit4sr_cli.imaging.picture import Picture, Pixels
from dit4sr_cli.imaging.source import Guard, contents, kind_of, label_of, undecodable


def read(
    source: Path | bytes,
    *,
    name: str | None = None,
    max_megapixels: float = DEFAULT_MAX_MEGAPIXELS,
) -> list[Picture]:
    """All pages of a TIFF file; of anything else one picture, the first frame.

    Args:
        source: a file, or the bytes of one.
        name: what messages call it; else the file's name, or "standard input".
        max_megapixels: refused before decoding if the header announces more.

    Raises:
        InputError: it cannot be read whole.
    """
    label = label_of(source, name)
    data = contents(source, label)
    kind = kind_of(data, source, label)
    guard = Guard(label, max_megapixels)
    try:
        decoded = decode(kind, data, guard.admit)
    except (vips.Error, OSError, ValueError, SyntaxError) as error:
        raise undecodable(kind, label, error) from error
    short = name or (source.name if isinstance(source, Path) else label)
    return [as_picture(page, short, kind) for page in decoded]


# ------------------------------------------------------------- upright and in sRGB


def as_picture(decoded: Decoded, name: str, kind: str) -> Picture:
    """What was decoded, upright and in sRGB."""
    array = _upright(decoded.array, decoded.orientation)
    pixels = np.ascontiguousarray(array[..., : decoded.channels])
    alpha = None
    if array.shape[2] > decoded.channels and decoded.has_alpha:
        alpha = np.ascontiguousarray(array[..., decoded.channels])
    depth = 8 * pixels.itemsize
    pixels, icc, notes = _in_srgb(pixels, decoded.metadata.icc)
    if alpha is not None and alpha.dtype != pixels.dtype:
        alpha = alpha.astype(np.uint16) * 257
    return Picture(
        pixels,
        alpha,
        replace(decoded.metadata, icc=icc),
        name,
        kind,
        decoded.mode,
        decoded.warnings + notes,
        depth,
    )


def _in_srgb(pixels: Pixels, icc: bytes | None) -> tuple[Pixels, bytes | None, tuple[str, ...]]:
    """The pixels, the profile for the result, and what to tell.

    Conversions end in 16 bits, so that going back to 8 bits rounds only once.
    """
    channels = pixels.shape[2]
    notes: tuple[str, ...] = ()
    if icc is not None and color.num_channels(icc) != channels:
        icc = None
        notes = ("the colour profile is damaged or does not fit the pixels: ignored",)
    if channels == 4:
        # The model paints RGB; nobody can say which of many CMYK mixtures a new colour should be.
        how = "its profile" if icc else "a general press profile"
        notes += (f"CMYK: converted to sRGB through {how}",)
        return color.to_srgb(pixels, icc), color.SRGB, notes
    if icc is None or color.is_srgb(icc):
        return pixels, icc, notes
    converted = color.to_srgb(pixels, icc)
    if color.is_two_way(icc):
        return converted, icc, notes
    notes += ("the colour profile cannot be written to: the result is sRGB",)
    return converted, color.SRGB if channels == 3 else None, notes


def _upright(array: Pixels, orientation: int) -> Pixels:
    """EXIF orientation 1 to 8: 5 to 8 are transposed first."""
    if orientation in (5, 6, 7, 8):
        array = array.transpose(1, 0, 2)
    if orientation in (2, 3, 6, 7):
        array = array[:, ::-1]
    if orientation in (3, 4, 7, 8):
        array = array[::-1]
    return array
