"""The picture as the rest of the package sees it: sRGB pixels beside the metadata of its file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

from numpy.typing import NDArray

Pixels: TypeAlias = NDArray[Any]


@dataclass(frozen=True, slots=True)
class Metadata:
    """The blocks of a file as they came; None where the file had none.

    Args:
        exif: a TIFF structure, without the `Exif` prefix that JPEG puts before it.
        xmp: one XML packet.
        iptc: IIM records, without the Photoshop wrapping that JPEG puts around them.
        icc: the colour profile that the file has, and that the result is converted to.
        dpi: horizontal and vertical.
    """

    exif: bytes | None = None
    xmp: bytes | None = None
    iptc: bytes | None = None
    icc: bytes | None = None
    dpi: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class Picture:
    """One upright picture; its pixels are always sRGB (or grey with the sRGB curve).

    Args:
        pixels: uint8 or uint16, [H, W, 1] grey or [H, W, 3].
        alpha: same type, [H, W].
        metadata: what the file said besides.
        name: file name for messages.
        format: what the file was: "jpeg", "png", "tiff", ...
        mode: what its pixels were: "rgb", "grey", "cmyk", "palette", "bilevel", "lab".
        warnings: what the user should know about the reading, one line each.
        depth: bits a channel in the file. 8 beside uint16 pixels means a colour conversion
            that must not round twice; the writer rounds to 8. None: as the pixels are.
    """

    pixels: Pixels
    alpha: Pixels | None
    metadata: Metadata
    name: str
    format: str
    mode: str
    warnings: tuple[str, ...] = ()
    depth: int | None = None

    @property
    def width(self) -> int:
        """Columns."""
        return int(self.pixels.shape[1])

    @property
    def height(self) -> int:
        """Rows."""
        return int(self.pixels.shape[0])

    @property
    def bits(self) -> int:
        """Bits a channel that are worth writing."""
        return min(self.depth or 16, 8 * self.pixels.itemsize)
