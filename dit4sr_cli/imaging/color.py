"""Colour profiles: everything becomes sRGB for the model, and goes back to its own for the file.

What lies outside sRGB is clipped on the way in: the model was trained on sRGB and knows no more.
"""

from __future__ import annotations

import io
from functools import lru_cache

import numpy as np
import pyvips
from PIL import ImageCms

from dit4sr_cli.imaging import shaper, vips
from dit4sr_cli.imaging.picture import Pixels

SRGB: bytes = pyvips.Image.profile_load("srgb")

_HOW = {"intent": "relative", "black_point_compensation": True}
_BANDS = {"GRAY": 1, "RGB ": 3, "CMYK": 4}
_ICC = "icc-profile-data"
_HALF_A_LEVEL = 128  # of 8 bits, in units of 16


def num_channels(icc: bytes) -> int:
    """Channels of the pixels that a profile describes; 0 if it is damaged or of another kind."""
    try:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(icc)).profile
        return _BANDS.get(profile.xcolor_space, 0)
    except (OSError, ValueError):
        return 0


@lru_cache(maxsize=32)
def is_srgb(icc: bytes) -> bool:
    """Whether converting would change nothing that 8 bits can show; there are many sRGB files."""
    channels = num_channels(icc)
    if channels not in (1, 3):
        return False
    steps = np.linspace(0, 65535, 9).astype(np.uint16)
    grid = np.stack(np.meshgrid(*[steps] * channels), axis=-1).reshape(1, -1, channels)
    change = to_srgb(grid, icc).astype(np.int32) - grid
    return bool(np.abs(change).max() < _HALF_A_LEVEL)


@lru_cache(maxsize=32)
def is_two_way(icc: bytes) -> bool:
    """Whether pixels can also be converted into the profile; scanners' profiles only lead out."""
    try:
        from_srgb(np.zeros((1, 1, num_channels(icc)), np.uint8), icc, depth=8)
    except vips.Error:
        return False
    return True


def to_srgb(pixels: Pixels, icc: bytes | None) -> Pixels:
    """16-bit sRGB, [H, W, 3] or for a grey profile [H, W, 1].

    CMYK without a profile goes through libvips' own press profile.
    """
    if icc is not None and (source := shaper.parse(icc)):
        return shaper.convert(pixels, source, _srgb(pixels.shape[2]), 16)
    image = vips.from_array(pixels)
    if icc is None:
        lab = image.icc_import(input_profile="cmyk", **_HOW)
    else:
        lab = vips.blob(image, _ICC, icc).icc_import(embedded=True, **_HOW)
    result = lab.icc_export(output_profile="srgb", depth=16, **_HOW)
    # Grey comes out as three equal bands, up to rounding.
    return vips.to_array(result[1] if pixels.shape[2] == 1 else result)


def from_srgb(pixels: Pixels, icc: bytes, *, depth: int) -> Pixels:
    """SRGB pixels in the colours of a profile, with 8 or 16 bits."""
    if target := shaper.parse(icc):
        return shaper.convert(pixels, _srgb(pixels.shape[2]), target, depth)
    image = vips.from_array(np.repeat(pixels, 3, axis=2) if pixels.shape[2] == 1 else pixels)
    lab = image.icc_import(input_profile="srgb", **_HOW)
    return vips.to_array(vips.blob(lab, _ICC, icc).icc_export(depth=depth, **_HOW))


@lru_cache(maxsize=2)
def _srgb(channels: int) -> shaper.Shaper:
    whole = shaper.parse(SRGB)
    assert whole is not None
    if channels == 3:
        return whole
    return shaper.Shaper(whole.linear[:1], whole.coded[:1], np.eye(1))
