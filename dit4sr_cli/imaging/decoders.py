"""The bytes of a file to its pixels and metadata, as they are in the file, for each format."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
from PIL import Image as PillowImage

from dit4sr_cli.imaging import containers, metadata, vips
from dit4sr_cli.imaging.ifd import Block, Directory, Layout
from dit4sr_cli.imaging.picture import Metadata, Pixels

Admit = Callable[[int, int], None]
"""Told width and height of each picture before it is decoded; raises if it is too much."""

_NO_RESOLUTION, _72_DPI = 1.0, 2.834  # what libvips says of a file without one, in pixels a mm
_VIPS_LOADERS = {
    "jpeg": "jpeg",
    "png": "png",
    "tiff": "tiff",
    "webp": "webp",
    "gif": "gif",
    "avif": "heif",
    "heic": "heif",
}
_UNLIMITED = ("jpeg", "png", "tiff", "heif")  # loaders with a limit of their own; ours is enough
_PILLOW_FORMATS = {"bmp": "BMP", "jp2": "JPEG2000", "pnm": "PPM"}
_MODES = {1: "grey", 3: "rgb", 4: "cmyk"}

# TIFF 6.0 tags and values
_SUBFILE, _PHOTOMETRIC, _EXTRA_SAMPLES = 0x00FE, 0x0106, 0x0152
_REDUCED, _MASK = 1, 4
_PALETTE = 3
_ASSOCIATED, _UNASSOCIATED = 1, 2


@dataclass(frozen=True, slots=True)
class Decoded:
    """Pixels as the file has them, before they are made upright sRGB."""

    array: Pixels  # [H, W, C], alpha and other extra channels last
    channels: int  # of colour: 1, 3 or 4
    mode: str
    metadata: Metadata = field(default_factory=Metadata)
    orientation: int = 1
    has_alpha: bool = True  # if there is a channel beyond the colours
    warnings: tuple[str, ...] = ()


def decode(kind: str, data: memoryview, admit: Admit) -> list[Decoded]:
    """All pages of a TIFF file, one picture of any other format."""
    if kind in _PILLOW_FORMATS:
        return [_decode_pillow(kind, data, admit)]
    if kind == "tiff":
        return list(_decode_tiff(data, admit))
    return [_decode_vips(kind, data, admit)]


def is_for_vips(kind: str) -> bool:
    """Whether libvips decodes this kind: its header can be had without its pixels."""
    return kind in _VIPS_LOADERS


def open_vips(kind: str, data: memoryview, **options: object) -> vips.Image:
    """A file that libvips decodes, opened: its header is read, its pixels when asked for."""
    loader = _VIPS_LOADERS[kind]
    if loader in _UNLIMITED:
        options["unlimited"] = True
    return vips.load(loader, data, **options)


def _decode_vips(kind: str, data: memoryview, admit: Admit) -> Decoded:
    image = open_vips(kind, data)
    admit(image.width, image.height)
    return decode_single(kind, data, image)


def decode_single(kind: str, data: memoryview, image: vips.Image) -> Decoded:
    """The picture of a file that holds one, or as many rows of it as `image` has."""
    exif, notes = _exif(_block(image, "exif-data"))
    xmp = _block(image, "xmp-data")
    if xmp and b"HasExtendedXMP" in xmp:
        xmp = metadata.without_extension(xmp)
        notes += ("extended XMP: only the main part is kept",)
    if _frames(kind, image, data) > 1:
        notes += ("animation: only the first frame is used",)
    iptc = None
    if kind == "jpeg":
        iptc = containers.jpeg_iptc(data)
        if containers.jpeg_has_more_pictures(data):
            notes += ("further pictures in the file (gain map, depth) are not kept",)
    elif kind == "png":
        iptc = containers.png_iptc(data)
    array, channels, mode = _array(image)
    return Decoded(
        array,
        channels,
        mode,
        Metadata(exif, xmp, iptc, _block(image, "icc-profile-data"), _dpi(image, exif)),
        orientation=_field(image, "orientation", 1),
        warnings=notes,
    )


def _decode_tiff(data: memoryview, admit: Admit) -> Iterator[Decoded]:
    block = Block.open(data)
    pages = list(block.chain())
    kept = shown_pages(pages, block.layout)
    images = [open_vips("tiff", data, page=number) for number in kept]
    for image in images:
        admit(image.width, image.height)
    for number, image in zip(kept, images, strict=True):
        yield decode_page(block, pages[number], image, skipped=len(pages) - len(kept))


def shown_pages(pages: Sequence[Directory], layout: Layout) -> list[int]:
    """Which directories of a TIFF are pictures of their own, and no previews or masks."""
    return [
        number
        for number, page in enumerate(pages)
        if not layout.number(page.get(_SUBFILE)) & (_REDUCED | _MASK)
    ] or [0]


def decode_page(block: Block, page: Directory, image: vips.Image, *, skipped: int) -> Decoded:
    """One picture of a TIFF; `skipped`: how many directories beside the pictures are left out."""
    array, channels, mode = _array(image)
    extra = block.layout.numbers(page.get(_EXTRA_SAMPLES))
    kind_of_extra = extra[0] if extra else 0
    notes: tuple[str, ...] = ()
    if array.shape[2] > channels and kind_of_extra not in (_ASSOCIATED, _UNASSOCIATED):
        notes += ("channels besides colour and transparency are not kept",)
    if skipped:
        notes += ("previews stored beside the picture are not kept",)
    array, rescaled = _to_unsigned(array)
    if block.layout.number(page.get(_PHOTOMETRIC)) == _PALETTE:
        mode = "palette"
    return Decoded(
        array,
        channels,
        mode,
        Metadata(
            exif=metadata.exif_in_tiff(block, page),
            xmp=_value(page, metadata.XMP_TAG),
            iptc=_value(page, metadata.IPTC_TAG)
            or containers.iptc_in_photoshop(_value(page, metadata.PHOTOSHOP_TAG) or b""),
            icc=_value(page, metadata.ICC_TAG),
            dpi=_dpi(image),
        ),
        orientation=_field(image, "orientation", 1),
        has_alpha=kind_of_extra in (_ASSOCIATED, _UNASSOCIATED),
        warnings=notes + rescaled,
    )


def _decode_pillow(kind: str, data: memoryview, admit: Admit) -> Decoded:
    """Formats that libvips leaves out."""
    with (
        _pillow_unlimited(),
        PillowImage.open(io.BytesIO(data), formats=[_PILLOW_FORMATS[kind]]) as image,
    ):
        admit(*image.size)
        mode = {"1": "bilevel", "P": "palette", "CMYK": "cmyk"}.get(image.mode, "")
        exif, notes = _exif(image.info.get("exif"))
        info = Metadata(exif, None, None, image.info.get("icc_profile"), image.info.get("dpi"))
        array = _pillow_array(image)
    bits = _announced_bits(kind, bytes(data[:4096]))
    if bits > 8 and array.dtype == np.uint8:
        notes += (f"{bits} bits a channel: read as 8",)
    array, rescaled = _to_unsigned(array)
    channels = 4 if mode == "cmyk" else 1 if array.shape[2] < 3 else 3
    return Decoded(array, channels, mode or _MODES[channels], info, warnings=notes + rescaled)


def _pillow_array(image: PillowImage.Image) -> Pixels:
    if image.mode in ("1", "P"):
        has_alpha = "transparency" in image.info
        target = "L" if image.mode == "1" else "RGBA" if has_alpha else "RGB"
        array = np.array(image.convert(target))
    else:
        array = np.array(image)
        if image.format == "PPM" and image.mode == "I":  # what Pillow makes of 16-bit grey
            array = array.astype(np.uint16)
    return array if array.ndim == 3 else array[..., None]


def _announced_bits(kind: str, head: bytes) -> int:
    """Bits a channel that the header tells of: Pillow cuts colour down to 8 without a word."""
    if kind == "pnm" and head[1:2] in b"2356":
        numbers = re.sub(rb"#[^\n]*", b"", head).split(maxsplit=4)
        return int(numbers[3]).bit_length()
    start = head.find(b"\xff\x4f\xff\x51")  # JPEG 2000 codestream, then its SIZ segment
    if kind == "jp2" and 0 <= start < len(head) - 42:
        return (head[start + 42] & 0x7F) + 1
    return 8


@contextmanager
def _pillow_unlimited() -> Iterator[None]:
    """The guard counts instead of Pillow, whose limit is lower and who warns on stderr."""
    before, PillowImage.MAX_IMAGE_PIXELS = PillowImage.MAX_IMAGE_PIXELS, None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        PillowImage.MAX_IMAGE_PIXELS = before


def _array(image: vips.Image) -> tuple[Pixels, int, str]:
    """The pixels, the number of colour channels among them, and what the file calls them."""
    space = image.interpretation
    mode = None
    if space in ("lab", "labs"):
        image, mode = image.colourspace("rgb16"), "lab"
    elif _field(image, "palette", 0):
        mode = "palette"
    elif _field(image, "bits-per-sample", 8) == 1:
        mode = "bilevel"
    array = vips.to_array(image)
    channels = 4 if space == "cmyk" else 1 if array.shape[2] < 3 else 3
    return array, channels, mode or _MODES[channels]


def _to_unsigned(array: Pixels) -> tuple[Pixels, tuple[str, ...]]:
    """Floats, signed and 32-bit numbers as 16 bits: from [0, 1] or the type's range, or wider."""
    if array.dtype in (np.uint8, np.uint16):
        return array, ()
    note = f"{array.dtype} samples: converted to 16 bits"
    values = array.astype(np.float32)
    np.nan_to_num(values, copy=False)
    low, high = min(0.0, float(values.min())), float(values.max())
    if np.issubdtype(array.dtype, np.floating):
        top = max(1.0, high)
    else:
        top = 65535.0 if high <= 65535 and array.itemsize > 2 else float(np.iinfo(array.dtype).max)
    if low < 0 or (np.issubdtype(array.dtype, np.floating) and top > 1):
        note += f", {low:g} to {top:g} as black to white"
    values -= low
    values *= 65535 / (top - low)
    return np.rint(values, out=values).astype(np.uint16), (note,)


# ------------------------------------------------------- fields of an opened image


def _field(image: vips.Image, name: str, default: int) -> int:
    return int(image.get(name)) if image.get_typeof(name) else default


def _block(image: vips.Image, name: str) -> bytes | None:
    return bytes(image.get(name)) or None if image.get_typeof(name) else None


def _value(page: Directory, tag: int) -> bytes | None:
    return page[tag].value if tag in page else None


def _exif(raw: bytes | None) -> tuple[bytes | None, tuple[str, ...]]:
    exif = metadata.checked_exif(raw)
    return exif, ("damaged EXIF: dropped",) if raw and exif is None else ()


def _frames(kind: str, image: vips.Image, data: memoryview) -> int:
    if kind == "png":
        return 2 if any(name == b"acTL" for name, _ in containers.png_chunks(data)) else 1
    return _field(image, "n-pages", 1)


def _dpi(image: vips.Image, exif: bytes | None = None) -> tuple[float, float] | None:
    """The resolution, from the file's own field or from EXIF; libvips always reports one."""
    if image.xres == _NO_RESOLUTION or (
        abs(image.xres - _72_DPI) < 0.002 and not image.get_typeof("resolution-unit")
    ):
        return metadata.exif_dpi(exif)
    return image.xres * 25.4, image.yres * 25.4
