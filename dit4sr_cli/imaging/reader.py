"""Files to pictures: whole or refused, upright, in sRGB, with what they say about themselves."""

from __future__ import annotations

import mmap
import stat
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from dit4sr_cli.core.errors import InputError
from dit4sr_cli.core.settings import DEFAULT_MAX_MEGAPIXELS
from dit4sr_cli.imaging import color, formats, vips
from dit4sr_cli.imaging.decoders import Decoded, decode
from dit4sr_cli.imaging.ifd import Block
from dit4sr_cli.imaging.picture import Picture, Pixels

_CANNOT = {
    "raw": ("is a raw camera file", "develop it first (darktable, RawTherapee, Lightroom)"),
    "heic": ("is HEIC, which cannot be decoded here", "convert it to JPEG, PNG or TIFF first"),
    "jxl": ("is JPEG XL, which cannot be decoded here", "convert it to PNG first (djxl)"),
    "psd": ("is a Photoshop document", "export it as TIFF or PNG first"),
    "pdf": ("is a PDF", "extract its pictures first (pdfimages -all)"),
}
_RAW_EXTENSIONS = (
    *(".3fr", ".arw", ".cr2", ".cr3", ".crw", ".dng", ".erf", ".iiq", ".mrw", ".nef"),
    *(".nrw", ".orf", ".pef", ".raf", ".rw2", ".srw", ".x3f"),
)

# TIFF/EP and DNG tags and values
_PHOTOMETRIC, _SUB_IFDS, _DNG_VERSION = 0x0106, 0x014A, 0xC612
_CFA, _LINEAR_RAW = 32803, 34892


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
    label = name or (str(source) if isinstance(source, Path) else "standard input")
    data = _contents(source, label)
    kind = _kind(data, source, label)
    guard = _Guard(label, max_megapixels)
    try:
        decoded = decode(kind, data, guard.admit)
    except (vips.Error, OSError, ValueError, SyntaxError) as error:
        raise _undecodable(kind, label, error) from error
    short = name or (source.name if isinstance(source, Path) else label)
    return [_picture(page, short, kind) for page in decoded]


@dataclass(slots=True)
class _Guard:
    """Counts the pixels that headers announce, against decompression bombs."""

    label: str
    limit: float
    total: int = 0

    def admit(self, width: int, height: int) -> None:
        self.total += width * height
        if self.total > self.limit * 1e6:
            raise InputError(
                f"{self.label}: {self.total / 1e6:.0f} megapixels, more than the limit of "
                f"{self.limit:g}",
                hint="raise --max-megapixels if you trust the file",
            )


# ------------------------------------------------------------ finding out what it is


def _contents(source: Path | bytes, label: str) -> memoryview:
    """The file's bytes, mapped and not copied where the file system can."""
    if isinstance(source, bytes):
        data = memoryview(source)
    else:
        try:
            data = _map(source)
        except FileNotFoundError:
            raise InputError(f"{label}: no such file", hint="check the path") from None
        except IsADirectoryError:
            hint = "use `dit4sr batch` for folders, or name a file in it"
            raise InputError(f"{label}: is a folder", hint=hint) from None
        except PermissionError:
            hint = "check its permissions"
            raise InputError(f"{label}: permission denied", hint=hint) from None
        except OSError as error:
            raise InputError(
                f"{label}: cannot be read: {error.strerror or error}", hint="check the path"
            ) from error
    if not len(data):
        raise InputError(f"{label}: is empty", hint="the copy or download may have failed")
    return data


def _map(path: Path) -> memoryview:
    with path.open("rb") as file:
        status = stat.S_IFMT(path.stat().st_mode)
        if status == stat.S_IFREG and path.stat().st_size:
            return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
        return memoryview(file.read())


def _kind(data: memoryview, source: Path | bytes, label: str) -> str:
    kind = formats.sniff(bytes(data[:256]))
    extension = source.suffix.lower() if isinstance(source, Path) else ""
    if (kind is None and extension in _RAW_EXTENSIONS) or (kind == "tiff" and _is_raw(data)):
        kind = "raw"
    if kind in _CANNOT and kind != "heic":  # some libvips can decode HEIC
        what, hint = _CANNOT[kind]
        raise InputError(f"{label}: {what}", hint=hint)
    if kind is None:
        hint = "give a JPEG, PNG, TIFF, WebP, GIF, AVIF, JPEG 2000, BMP or PNM picture"
        raise InputError(f"{label}: is not a picture that can be read", hint=hint)
    return kind


def _is_raw(data: memoryview) -> bool:
    """Whether a TIFF structure holds sensor data: DNG, NEF, ARW, PEF and others do."""
    try:
        block = Block.open(data)
        first = next(block.chain())
        offsets = block.layout.numbers(first.get(_SUB_IFDS))
        pages = [first, *(block.directory(offset)[0] for offset in offsets)]
    except (ValueError, StopIteration):
        return False
    values = {block.layout.number(page.get(_PHOTOMETRIC)) for page in pages}
    return _DNG_VERSION in first or bool(values & {_CFA, _LINEAR_RAW})


def _undecodable(kind: str, label: str, error: Exception) -> InputError:
    if kind == "heic":
        what, hint = _CANNOT[kind]
        return InputError(f"{label}: {what}", hint=hint)
    return InputError(
        f"{label}: damaged, truncated or unusual {kind.upper()} ({vips.reason(error)})",
        hint="copy or download it again, or convert it with another program",
    )


# ------------------------------------------------------------- upright and in sRGB


def _picture(decoded: Decoded, name: str, kind: str) -> Picture:
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
