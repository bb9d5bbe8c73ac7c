"""The training photographs are found in packages, checked, and put in place."""

from __future__ import annotations

import hashlib
import shutil
import struct
import subprocess
import zlib
from pathlib import Path

import pytest

from dit4sr_cli.core.errors import InputError, NetworkError, UsageError
from dit4sr_cli.training import photos

needs_dpkg = pytest.mark.skipif(shutil.which("dpkg-deb") is None, reason="dpkg-deb is missing")

PLAIN, STORED, SQUEEZED, EET = b"plain jpeg", b"stored webp", b"squeezed webp" * 40, b"eet jpeg"
RCC_FOLDER, RCC_ZLIB = 2, 1


def rcc(files: dict[str, tuple[bytes, int]]) -> bytes:
    """A Qt resource file of version 3: files (content, flags) in one folder `pictures`."""
    names, payloads = bytearray(), bytearray()

    def name(text: str) -> int:
        at = len(names)
        names.extend(struct.pack(">HI", len(text), 0) + text.encode("utf-16-be"))
        return at

    def folder(text: str, count: int, first: int) -> bytes:
        return struct.pack(">IHIIQ", name(text), RCC_FOLDER, count, first, 0)

    tree = folder("", 1, 1) + folder("pictures", len(files), 2)
    for text, (content, flags) in files.items():
        packed = struct.pack(">I", len(content)) + zlib.compress(content)
        data = packed if flags & RCC_ZLIB else content
        tree += struct.pack(">IHHHIQ", name(text), flags, 0, 1, len(payloads), 0)
        payloads.extend(struct.pack(">I", len(data)) + data)
    start = 24
    places = (start, start + len(tree), start + len(tree) + len(payloads))
    return b"qres" + struct.pack(">5I", 3, *places, 0) + tree + bytes(payloads) + bytes(names)


def eet(entry: str, content: bytes) -> bytes:
    """An Enlightenment file of one entry."""
    name = entry.encode() + b"\0"
    start = 12 + 24
    node = (start + len(name), len(content), len(content), start, len(name), 0)
    return struct.pack(">3I", 0x1EE70F42, 1, 0) + struct.pack(">6I", *node) + name + content


FILES = {
    "usr/share/a/plain.jpg": PLAIN,
    "usr/share/a/all.rcc": rcc({"stored.webp": (STORED, 0), "squeezed.webp": (SQUEEZED, RCC_ZLIB)}),
    "usr/share/a/one.edj": eet("edje/images/0", EET),
}
PHOTOS = {
    "usr/share/a/all.rcc!pictures/squeezed.webp": SQUEEZED,
    "usr/share/a/all.rcc!pictures/stored.webp": STORED,
    "usr/share/a/one.edj!edje/images/0": EET,
    "usr/share/a/plain.jpg": PLAIN,
}
NAMES = ["photo0.jpg", "photo1.jpg", "photo2.jpg", "photo3.jpg"]


def write_manifest(file: Path, contents: dict[str, bytes]) -> None:
    file.write_text(
        "\n".join(
            f'[[photo]]\npackage = "album"\npath = "{path}"\nname = "photo{number}.jpg"\n'
            f'sha256 = "{hashlib.sha256(content).hexdigest()}"\n'
            'author = "Somebody"\nlicence = "CC0-1.0"\n'
            for number, (path, content) in enumerate(contents.items())
        )
    )


def build_deb(folder: Path, files: dict[str, bytes]) -> Path:
    root = folder / "root"
    for path, content in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(content)
    (root / "DEBIAN").mkdir()
    (root / "DEBIAN/control").write_text(
        "Package: album\nVersion: 1.0\nArchitecture: all\nMaintainer: A <a@b.c>\nDescription: a\n"
    )
    debs = folder / "debs"
    debs.mkdir()
    subprocess.run(
        ["dpkg-deb", "--root-owner-group", "-Znone", "--build", root, debs / "album_1.0_all.deb"],
        check=True,
        capture_output=True,
    )
    return debs


def put_apt_get(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    folder.mkdir()
    (folder / "apt-get").write_text(f"#!/bin/sh\n{script}\n")
    (folder / "apt-get").chmod(0o755)
    monkeypatch.setenv("PATH", str(folder), prepend=":")


@pytest.fixture
def manifest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    file = tmp_path / "photos.toml"
    write_manifest(file, PHOTOS)
    monkeypatch.setattr(photos, "_MANIFEST", file)
    return file


@pytest.fixture
def debs(tmp_path: Path, manifest: Path) -> Path:
    return build_deb(tmp_path, FILES)


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder of downloads, unlike the one that the tests of a run share."""
    monkeypatch.setenv("DIT4SR_HOME", str(tmp_path / "home"))
    return tmp_path / "home" / "debs"


def test_the_manifest_is_sound() -> None:
    known = photos.read_manifest()
    assert len(known) > 100
    assert len({photo.name for photo in known}) == len(known)
    assert [photo.package for photo in known] == sorted(photo.package for photo in known)
    for photo in known:
        assert len(photo.sha256) == 64
        assert photo.author and photo.licence
        assert 1 <= photo.reduce <= 4
        assert photo.name == Path(photo.name).name
        if photo.crop:
            left, top, right, bottom = photo.crop
            assert 0 <= left < right and 0 <= top < bottom


def test_every_licence_lets_the_weights_be_given_away() -> None:
    free = ("CC0-", "CC-BY-", "LicenseRef-public-domain", "GPL-", "LGPL-", "BSD-")
    for photo in photos.read_manifest():
        assert photo.licence.startswith(free), photo.name
        assert "-NC-" not in photo.licence and "-ND-" not in photo.licence, photo.name


@needs_dpkg
def test_photographs_come_out_of_files_and_containers(tmp_path: Path, debs: Path) -> None:
    lines: list[str] = []
    written = photos.fetch(tmp_path / "out", debs=debs, observe=lines.append)
    assert [path.name for path in written] == NAMES
    assert [path.read_bytes() for path in written] == list(PHOTOS.values())
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == NAMES
    assert lines == ["unpacking album"]


@needs_dpkg
def test_what_is_there_is_left_alone(tmp_path: Path, debs: Path) -> None:
    first = photos.fetch(tmp_path / "out", debs=debs)
    times = [path.stat().st_mtime_ns for path in first]
    shutil.rmtree(debs)
    again = photos.fetch(tmp_path / "out", debs=debs)
    assert [path.stat().st_mtime_ns for path in again] == times


@needs_dpkg
def test_a_damaged_photograph_is_replaced(tmp_path: Path, debs: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / NAMES[0]).write_bytes(b"half a phot")
    photos.fetch(tmp_path / "out", debs=debs)
    assert (tmp_path / "out" / NAMES[0]).read_bytes() == SQUEEZED


@needs_dpkg
def test_another_photograph_is_refused(tmp_path: Path, debs: Path, manifest: Path) -> None:
    write_manifest(manifest, {"usr/share/a/plain.jpg": b"what the manifest means"})
    with pytest.raises(InputError, match=r"album: usr/share/a/plain\.jpg is not the photograph"):
        photos.fetch(tmp_path / "out", debs=debs)
    assert not list((tmp_path / "out").iterdir())


@needs_dpkg
@pytest.mark.parametrize("path", ["usr/share/a/gone.jpg", "usr/share/a/all.rcc!pictures/gone.webp"])
def test_a_photograph_that_its_package_lacks(
    tmp_path: Path, debs: Path, manifest: Path, path: str
) -> None:
    write_manifest(manifest, {path: PLAIN})
    with pytest.raises(InputError, match="gone") as caught:
        photos.fetch(tmp_path / "out", debs=debs)
    assert "bookworm" in caught.value.hint


@needs_dpkg
def test_a_package_that_is_no_package(tmp_path: Path, debs: Path) -> None:
    (debs / "album_1.0_all.deb").write_bytes(b"not a package")
    with pytest.raises(InputError, match="dpkg-deb"):
        photos.fetch(tmp_path / "out", debs=debs)


def test_a_folder_without_the_package(tmp_path: Path, manifest: Path) -> None:
    with pytest.raises(InputError, match="album") as caught:
        photos.fetch(tmp_path / "out", debs=tmp_path)
    assert "apt-get download album" in caught.value.hint


@needs_dpkg
def test_packages_are_downloaded_once_and_kept(
    tmp_path: Path, debs: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_apt_get(tmp_path / "bin", monkeypatch, f'[ "$*" = "download album" ] && cp {debs}/* .')
    assert len(photos.fetch(tmp_path / "out")) == len(PHOTOS)
    assert [file.name for file in own_cache.iterdir()] == ["album_1.0_all.deb"]
    (tmp_path / "bin/apt-get").write_text("#!/bin/sh\nexit 1\n")
    assert len(photos.fetch(tmp_path / "elsewhere")) == len(PHOTOS)


def test_a_download_that_fails(
    tmp_path: Path, manifest: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = "echo 'E: Unable to locate package album' >&2; touch album_1.0_all.deb; exit 100"
    put_apt_get(tmp_path / "bin", monkeypatch, script)
    with pytest.raises(NetworkError, match="Unable to locate package album") as caught:
        photos.fetch(tmp_path / "out")
    assert caught.value.hint == "run: apt-get update"
    assert not list(own_cache.iterdir())


def test_a_system_without_apt_get(
    tmp_path: Path, manifest: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UsageError, match="apt-get") as caught:
        photos.fetch(tmp_path / "out")
    assert "--debs" in caught.value.hint


@pytest.mark.parametrize(
    "container", [b"", b"qres", b"qres\0\0\0\3" + b"\xff" * 40, b"\x89PNG" * 9]
)
def test_a_container_that_is_none(container: bytes) -> None:
    with pytest.raises(InputError):
        photos.read_entry(container, "pictures/a.jpg")
