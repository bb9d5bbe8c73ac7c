"""What cannot be read is refused in one line that names the file and says what to do."""

from __future__ import annotations

import io
import os
import struct
import subprocess
import sys
import threading
import zlib
from functools import lru_cache
from pathlib import Path

import imaging_samples as samples
import numpy as np
import pytest
from PIL import Image

from dit4sr_cli.core.errors import ExitCode, InputError
from dit4sr_cli.imaging import reader

KINDS = ["JPEG", "PNG", "TIFF", "WEBP", "GIF", "AVIF", "JPEG2000", "BMP", "PPM"]


@lru_cache
def encoded(kind: str, side: int = 200) -> bytes:
    file = io.BytesIO()
    Image.fromarray(samples.photo(side, side, low=0, high=256)).save(file, kind)
    return file.getvalue()


def refusal(source: Path | bytes, **options: object) -> InputError:
    with pytest.raises(InputError) as caught:
        reader.read(source, **options)
    error = caught.value
    assert error.exit_code == ExitCode.INPUT
    assert error.hint
    assert "\n" not in error.message + error.hint
    name = str(source) if isinstance(source, Path) else "standard input"
    assert error.message.startswith(f"{name}: ")
    return error


def test_missing(tmp_path: Path) -> None:
    assert "no such file" in refusal(tmp_path / "none.jpg").message


def test_folder(tmp_path: Path) -> None:
    assert "folder" in refusal(tmp_path).message


def test_empty(tmp_path: Path) -> None:
    path = tmp_path / "empty.jpg"
    path.touch()
    assert "empty" in refusal(path).message
    assert "empty" in refusal(b"").message


@pytest.mark.parametrize("content", [b"hello, world\n" * 50, b"\0" * 500, b"P", b"<svg></svg>"])
def test_not_a_picture(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "text.jpg"
    path.write_bytes(content)
    assert "not a picture" in refusal(path).message


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("share", [0.01, 0.3, 0.6, 0.95])
def test_truncated(kind: str, share: float) -> None:
    data = encoded(kind)
    refusal(data[: int(len(data) * share)])


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "TIFF"])
def test_noise_behind_the_signature(kind: str) -> None:
    noise = np.random.default_rng(3).integers(0, 256, 3000, dtype=np.uint8).tobytes()
    refusal(encoded(kind)[:16] + noise)


def test_damaged_png_pixels() -> None:
    data = bytearray(encoded("PNG"))
    data[len(data) // 2] ^= 0xFF
    refusal(bytes(data))


def test_a_later_page_cut_off() -> None:
    file = io.BytesIO()
    pages = [Image.fromarray(samples.photo(100, 100)) for _ in range(3)]
    pages[0].save(file, "TIFF", save_all=True, append_images=pages[1:])
    data = file.getvalue()
    assert len(reader.read(data)) == 3
    refusal(data[: len(data) - 200])


def bomb(side: int) -> bytes:
    """A PNG header that announces side x side pixels, and next to nothing behind it."""

    def chunk(name: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        )

    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    pixels = zlib.compress(bytes(10_000))
    signature = b"\x89PNG\r\n\x1a\n"
    return signature + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def test_decompression_bomb() -> None:
    error = refusal(bomb(60_000))
    assert "3600 megapixels" in error.message
    assert "--max-megapixels" in error.hint


@pytest.mark.parametrize("kind", KINDS)
def test_the_limit_holds_for_every_format(kind: str) -> None:
    data = encoded(kind)
    assert "megapixels" in refusal(data, max_megapixels=0.0399).message
    assert reader.read(data, max_megapixels=0.04)


def test_the_limit_counts_all_pages() -> None:
    file = io.BytesIO()
    page = Image.fromarray(samples.photo(100, 100))
    page.save(file, "TIFF", save_all=True, append_images=[page, page])
    assert "megapixels" in refusal(file.getvalue(), max_megapixels=0.025).message


def test_heic_says_what_to_do() -> None:
    data = struct.pack(">I", 24) + b"ftypheic\0\0\0\0mif1heic" + bytes(400)
    error = refusal(data)
    assert "HEIC" in error.message
    assert "convert" in error.hint


@pytest.mark.parametrize("head", [b"\xff\x0a", b"\0\0\0\x0cJXL \r\n\x87\n"])
def test_jpeg_xl_says_what_to_do(head: bytes) -> None:
    assert "JPEG XL" in refusal(head + bytes(400)).message


def raw(tmp_path: Path, tags: dict[int, bytes], extension: str) -> Path:
    """A TIFF preview with the tags that raw formats have."""
    path = tmp_path / f"photo{extension}"
    Image.fromarray(samples.photo()).save(path, "TIFF", tiffinfo=tags)
    return path


def test_raw_files(tmp_path: Path) -> None:
    fuji = tmp_path / "a.raf"
    fuji.write_bytes(b"FUJIFILMCCD-RAW 0201" + bytes(200))
    minolta = tmp_path / "b.mrw"
    minolta.write_bytes(b"\0MRM" + bytes(200))
    canon = tmp_path / "c.cr3"
    canon.write_bytes(struct.pack(">I", 24) + b"ftypcrx \0\0\0\1crx isom" + bytes(200))
    dng = raw(tmp_path, {0xC612: b"\1\4\0\0"}, ".dng")
    for path in (fuji, minolta, canon, dng):
        assert "develop" in refusal(path).hint


def test_sensor_data_in_a_sub_directory_is_raw(tmp_path: Path) -> None:
    sub = struct.pack("<HHHIII", 1, 0x0106, 3, 1, 32803, 0)
    main = struct.pack("<H", 1) + struct.pack("<HHII", 0x014A, 4, 1, 26) + struct.pack("<I", 0)
    path = tmp_path / "photo.nef"
    path.write_bytes(b"II*\0\x08\0\0\0" + main + sub + bytes(100))
    assert "develop" in refusal(path).hint


def test_a_plain_tiff_may_be_called_dng(tmp_path: Path) -> None:
    assert reader.read(raw(tmp_path, {}, ".dng"))[0].format == "tiff"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_no_permission(tmp_path: Path) -> None:
    path, twin = tmp_path / "secret.jpg", tmp_path / "open.jpg"
    for file, mode in ((path, 0), (twin, 0o644)):
        file.write_bytes(encoded("JPEG", 20))
        file.chmod(mode)
    reader.read(twin)  # loads all that is lazy

    def refused() -> bool:
        # No decoding here: libvips' threads do not follow into the child.
        return twin.stat().st_size > 0 and "permission denied" in refusal(path).message

    assert samples.as_nobody(tmp_path, refused)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_is_read_to_its_end(tmp_path: Path) -> None:
    pipe, data = tmp_path / "pipe", encoded("JPEG", 30)
    os.mkfifo(pipe)
    thread = threading.Thread(target=pipe.write_bytes, args=(data,))
    thread.start()
    [picture] = reader.read(pipe)
    thread.join()
    assert picture.pixels.shape == (30, 30, 3)


def test_nothing_is_said_on_stderr_or_stdout(tmp_path: Path) -> None:
    """Libraries have much to say about bad files; a user must see our line only."""
    odd = io.BytesIO()
    Image.fromarray(samples.photo()).save(odd, "TIFF", tiffinfo={65000: "private"})
    extraneous = encoded("JPEG").replace(b"\xff\xda", b"\0\0\0\xff\xda", 1)
    files = [encoded(kind)[:-400] for kind in KINDS] + [odd.getvalue(), extraneous]
    file = io.BytesIO()
    Image.fromarray(samples.photo()).save(file, "JPEG", exif=b"Exif\0\0MM\0*\0\0\0\x08\0\xffxx")
    files.append(file.getvalue())
    file = io.BytesIO()
    Image.fromarray(samples.photo()).save(file, "PNG", icc_profile=samples.ADOBE_RGB[:300])
    files.append(file.getvalue())
    for number, data in enumerate(files):
        (tmp_path / f"{number:02}").write_bytes(data)
    code = """
import sys
from pathlib import Path
from dit4sr_cli.core.errors import InputError
from dit4sr_cli.imaging import reader, writer
for path in sorted(Path(sys.argv[1]).iterdir()):
    try:
        pictures = reader.read(path)
        for format in ("jpeg", "png", "tiff", "webp"):
            writer.encode(pictures, format=format)
    except InputError:
        pass
"""
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, check=True, text=True
    )
    assert (done.stdout, done.stderr) == ("", "")
