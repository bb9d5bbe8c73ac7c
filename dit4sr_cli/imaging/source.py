"""What a picture is read from: its bytes, what kind they are of, and why they are refused."""

from __future__ import annotations

import mmap
import stat
from dataclasses import dataclass
from pathlib import Path

from dit4sr_cli.core.errors import InputError
from dit4sr_cli.imaging import formats, vips
from dit4sr_cli.imaging.ifd import Block

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


def label_of(source: Path | bytes, name: str | None = None) -> str:
    """What messages call a source: its name, if it was given one."""
    return name or (str(source) if isinstance(source, Path) else "standard input")


def contents(source: Path | bytes, label: str) -> memoryview:
    """The file's bytes, mapped and not copied where the file system can.

    Raises:
        InputError: it cannot be read, or is empty.
    """
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


def kind_of(data: memoryview, source: Path | bytes, label: str) -> str:
    """The format of a file, by its first bytes; of raw camera files by the name, too.

    Raises:
        InputError: it is no picture, or of a kind that cannot be decoded.
    """
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


def undecodable(kind: str, label: str, error: Exception) -> InputError:
    """What to say of a picture whose decoder gave up."""
    if kind == "heic":
        what, hint = _CANNOT[kind]
        return InputError(f"{label}: {what}", hint=hint)
    return InputError(
        f"{label}: damaged, truncated or unusual {kind.upper()} ({vips.reason(error)})",
        hint="copy or download it again, or convert it with another program",
    )


@dataclass(slots=True)
class Guard:
    """Counts the pixels that headers announce, against decompression bombs."""

    label: str
    limit: float
    total: int = 0

    def admit(self, width: int, height: int) -> None:
        """Count one picture more.

        Raises:
            InputError: it is too much now.
        """
        self.total += width * height
        if self.total > self.limit * 1e6:
            raise InputError(
                f"{self.label}: {self.total / 1e6:.0f} megapixels, more than the limit of "
                f"{self.limit:g}",
                hint="raise --max-megapixels if you trust the file",
            )
