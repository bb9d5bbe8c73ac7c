"""A result is put in place whole or not at all, and never over a file without leave."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import imaging_samples as samples
import numpy as np
import pytest

from dit4sr_cli.core.errors import ExitCode, OutputError
from dit4sr_cli.imaging import formats, reader, writer
from dit4sr_cli.imaging.picture import Metadata, Picture

FORMATS = sorted(formats.WRITABLE)
POSIX = pytest.mark.skipif(os.name != "posix", reason="needs POSIX files")


def picture(height: int = 40, width: int = 60) -> Picture:
    return Picture(samples.photo(height, width), None, Metadata(), "photo", "png", "rgb")


def refusal(target: Path, **options: object) -> OutputError:
    with pytest.raises(OutputError) as caught:
        writer.write([picture()], target, format="png", **options)
    error = caught.value
    assert error.exit_code == ExitCode.OUTPUT
    assert error.hint
    assert "\n" not in error.message + error.hint
    assert error.message.startswith(f"{target}: ")
    return error


def only(folder: Path, *names: str) -> bool:
    return sorted(path.name for path in folder.iterdir()) == sorted(names)


@pytest.mark.parametrize("format", FORMATS)
def test_file_and_bytes_are_the_same(tmp_path: Path, format: str) -> None:
    target = tmp_path / "out"
    writer.write([picture()], target, format=format)
    assert target.read_bytes() == writer.encode([picture()], format=format)
    assert only(tmp_path, "out")


@POSIX
def test_the_umask_decides_the_mode(tmp_path: Path) -> None:
    for mask in (0o022, 0o077):
        before = os.umask(mask)
        try:
            writer.write([picture()], tmp_path / "out", format="png", overwrite=True)
        finally:
            os.umask(before)
        assert (tmp_path / "out").stat().st_mode & 0o777 == 0o666 & ~mask


def test_an_existing_file_stays(tmp_path: Path) -> None:
    target = tmp_path / "out.png"
    target.write_bytes(b"precious")
    assert "--overwrite" in refusal(target).hint
    with pytest.raises(OutputError, match="exists"):
        writer.check_target(target, overwrite=False)
    assert target.read_bytes() == b"precious"
    writer.check_target(target, overwrite=True)
    writer.write([picture()], target, format="png", overwrite=True)
    assert reader.read(target)
    assert only(tmp_path, "out.png")


@pytest.mark.parametrize("links", [True, False])
def test_a_file_that_appears_meanwhile_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, links: bool
) -> None:
    target = tmp_path / "out.png"
    encode = writer._encode_to

    def slow(stream: io.BufferedIOBase, *rest: object) -> None:
        encode(stream, *rest)
        target.write_bytes(b"precious")

    monkeypatch.setattr(writer, "_encode_to", slow)
    if not links:  # as on FAT
        monkeypatch.setattr(os, "link", _no_links)
    assert "appeared" in refusal(target).message
    assert target.read_bytes() == b"precious"
    assert only(tmp_path, "out.png")


def _no_links(*_: object, **__: object) -> None:
    raise PermissionError(1, "Operation not permitted")


def test_without_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "link", _no_links)
    writer.write([picture()], tmp_path / "out.png", format="png")
    assert reader.read(tmp_path / "out.png")
    assert only(tmp_path, "out.png")


@pytest.mark.parametrize("failure", [KeyboardInterrupt, MemoryError, OSError(5, "I/O error")])
@pytest.mark.parametrize("overwrite", [True, False])
def test_failure_in_mid_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failure: object, overwrite: bool
) -> None:
    target = tmp_path / "out.png"
    if overwrite:
        target.write_bytes(b"precious")

    def breaking(stream: io.BufferedIOBase, *_: object) -> None:
        stream.write(b"half a picture")
        stream.flush()
        raise failure

    monkeypatch.setattr(writer, "_encode_to", breaking)
    expected = OutputError if isinstance(failure, OSError) else failure
    with pytest.raises(expected):
        writer.write([picture()], target, format="png", overwrite=overwrite)
    assert only(tmp_path, *["out.png"] * overwrite)
    assert not overwrite or target.read_bytes() == b"precious"


def test_a_second_page_that_fails_leaves_nothing(tmp_path: Path) -> None:
    broken = Picture(np.zeros((4, 4, 7), np.uint8), None, Metadata(), "p", "tiff", "rgb")
    with pytest.raises((OutputError, KeyError)):
        writer.write([picture(), broken], tmp_path / "out.tif", format="tiff")
    assert only(tmp_path)


def test_missing_folder(tmp_path: Path) -> None:
    assert "no folder" in refusal(tmp_path / "none" / "out.png").message


def test_target_is_a_folder(tmp_path: Path) -> None:
    assert "folder" in refusal(tmp_path, overwrite=True).message


@POSIX
@pytest.mark.parametrize("overwrite", [True, False])
def test_a_link_is_followed(tmp_path: Path, overwrite: bool) -> None:
    (tmp_path / "real").mkdir()
    file, link = tmp_path / "real" / "file.png", tmp_path / "link.png"
    if overwrite:
        file.touch()
    link.symlink_to(file)
    writer.write([picture()], link, format="png", overwrite=overwrite)
    assert link.is_symlink()
    assert reader.read(file)
    assert only(tmp_path / "real", "file.png")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_device() -> None:
    error = refusal(Path("/dev/full"))
    assert "No space left" in error.message
    assert Path("/dev/full").is_char_device()


@pytest.mark.skipif(not Path("/dev/null").exists(), reason="needs /dev/null")
def test_a_device_is_not_replaced() -> None:
    for format in FORMATS:
        writer.write([picture()], Path("/dev/null"), format=format)
    assert Path("/dev/null").is_char_device()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_gets_the_bytes(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    got: list[bytes] = []
    thread = threading.Thread(target=lambda: got.append(pipe.read_bytes()))
    thread.start()
    writer.write([picture()], pipe, format="tiff")
    thread.join()
    assert got == [writer.encode([picture()], format="tiff")]
    assert pipe.is_fifo()


@pytest.fixture
def small_disk(tmp_path: Path):
    """A file system of 64 KB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = shutil.which("mount")
    command = [mount or "false", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)]
    if subprocess.run(command, capture_output=True).returncode:
        pytest.skip("may not mount")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.parametrize("format", ["png", "tiff"])
def test_a_full_disk(small_disk: Path, format: str) -> None:
    target = small_disk / "out"
    target.write_bytes(b"precious")
    with pytest.raises(OutputError, match="No space left"):
        writer.write([picture(400, 600)], target, format=format, overwrite=True)
    assert target.read_bytes() == b"precious"
    assert only(small_disk, "out")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_file_size_limit(tmp_path: Path) -> None:
    """The same as a full disk, where nothing may be mounted."""
    code = """
import resource, signal, sys
from pathlib import Path
sys.path[:0] = sys.argv[2:]
from test_whole_or_nothing import picture, writer, OutputError
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))
for format in ("png", "tiff"):
    try:
        writer.write([picture(400, 600)], Path(sys.argv[1]), format=format, overwrite=True)
    except OutputError as error:
        assert "too large" in error.message, error.message
    else:
        sys.exit(f"{format} was written")
"""
    target = tmp_path / "out"
    target.write_bytes(b"precious")
    command = [sys.executable, "-c", code, str(target), str(Path(__file__).parent)]
    subprocess.run(command, check=True)
    assert target.read_bytes() == b"precious"
    assert only(tmp_path, "out")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_folder_without_permission(tmp_path: Path) -> None:
    folder = tmp_path / "locked"
    folder.mkdir(mode=0o555)
    data = writer.encode([picture()], format="png")  # loads all that is lazy

    def refused() -> bool:
        with pytest.raises(OutputError, match="no permission to write in"):
            writer.check_target(folder / "out.png", overwrite=False)
        return not (folder / "out.png").exists()

    assert data
    assert samples.as_nobody(folder, refused)


@pytest.mark.parametrize(("format", "side"), [("webp", 16_384), ("jpeg", 65_501)])
def test_too_long_a_side_is_said_before_encoding(tmp_path: Path, format: str, side: int) -> None:
    flat = Picture(np.zeros((1, side, 3), np.uint8), None, Metadata(), "p", "png", "rgb")
    with pytest.raises(OutputError, match="too large") as caught:
        writer.write([flat], tmp_path / "out", format=format)
    assert "PNG" in caught.value.hint
    assert only(tmp_path)
