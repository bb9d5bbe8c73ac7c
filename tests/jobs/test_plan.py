"""Where results go, by every way to say so."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers import images

from dit4sr_cli.core.errors import Dit4srError, InputError, OutputError, UsageError
from dit4sr_cli.core.settings import OutputSettings, UpscaleSettings
from dit4sr_cli.jobs import plan


def request(source, output=None, *, scale=4.0, long_edge=None, format=None, overwrite=False):
    return plan.Request(
        source=source,
        upscale=UpscaleSettings(scale=scale, long_edge=long_edge),
        output=OutputSettings(target=plan.open_target(output), format=format, overwrite=overwrite),
    )


@pytest.mark.parametrize(
    ("name", "options", "expected"),
    [
        ("photo.jpg", {}, "photo_x4.png"),
        ("photo.JPG", {"scale": 2.5}, "photo_x2.5.png"),
        ("photo.webp", {"scale": 1.0}, "photo_x1.png"),
        ("scan.tif", {}, "scan_x4.tif"),
        ("scan.TIFF", {}, "scan_x4.TIFF"),
        ("photo.jpg", {"long_edge": 6000}, "photo_6000px.png"),
        ("photo.png", {"format": "jpg"}, "photo_x4.jpg"),
        ("scan.tif", {"format": "webp"}, "scan_x4.webp"),
        ("a.b.c.jpg", {}, "a.b.c_x4.png"),
        ("no-extension", {}, "no-extension_x4.png"),
    ],
)
def test_names_made_up(tmp_path, name, options, expected):
    source = tmp_path / name
    source.touch()
    assert plan.plan_target(request(source, **options)) == tmp_path / expected
    folder = tmp_path / "there"
    folder.mkdir()
    assert plan.plan_target(request(source, folder, **options)) == folder / expected


def test_a_folder_with_a_slash_is_made(tmp_path, photo):
    target = plan.plan_target(request(photo, f"{tmp_path}/new/deep/"))
    assert target == tmp_path / "new" / "deep" / "photo_x4.png"
    assert target.parent.is_dir()


def test_standard_output():
    assert plan.plan_target(request(b"...", "-")) is None
    assert plan.plan_target(request(b"...")) is None
    assert plan.plan_target(request(Path("a.jpg"), "-")) is None


def test_bytes_get_a_name_in_a_folder(tmp_path):
    assert plan.plan_target(request(b"...", tmp_path)) == tmp_path / "stdin_x4.png"


def test_format_by_request_then_name_then_source(tmp_path, photo):
    target = tmp_path / "out.webp"
    assert plan.plan_format(request(photo, target), target, "jpeg") == "webp"
    assert plan.plan_format(request(photo, target, format="png"), target, "jpeg") == "png"
    assert plan.plan_format(request(photo, "-"), None, "jpeg") == "jpeg"
    assert plan.plan_format(request(photo, "-"), None, "gif") == "png"


@pytest.mark.parametrize("name", ["a.jpg", "b.png"])
def test_existing_output(tmp_path, photo, name):
    target = tmp_path / name
    target.touch()
    with pytest.raises(OutputError, match=name):
        plan.plan_target(request(photo, target))
    assert plan.plan_target(request(photo, target, overwrite=True)) == target


def test_the_input_is_not_an_output(tmp_path, photo):
    link = tmp_path / "link.jpg"
    link.symlink_to(photo)
    for target in (photo, link, tmp_path / "." / "photo.jpg"):
        with pytest.raises(OutputError, match="input itself"):
            plan.plan_target(request(photo, target, overwrite=True))


@pytest.mark.parametrize(
    ("make", "error"),
    [
        (lambda folder: request(folder / "a.jpg", ""), UsageError),
        (lambda folder: request(folder / "a.jpg", "/proc/new/"), OutputError),
        (lambda folder: request(folder / "a.jpg", "x" * 300 + ".png"), OutputError),
        (lambda folder: request(folder / "a.jpg", folder / "none" / "a.png"), OutputError),
        (lambda folder: request(folder / "a.jpg", format="xyz"), UsageError),
    ],
)
def test_outputs_that_cannot_be(tmp_path, make, error):
    images.save(tmp_path / "a.jpg")
    with pytest.raises(error):
        plan.plan_target(make(tmp_path))


def test_sources_that_are_not_there(tmp_path):
    for source in (tmp_path / "missing.jpg", tmp_path, tmp_path / ("a" * 300)):
        with pytest.raises(InputError):
            plan.check_source(source)
    plan.check_source(b"bytes are read already")


def test_every_refusal_is_one_line(tmp_path, photo):
    with pytest.raises(Dit4srError) as caught:
        plan.plan_target(request(photo, photo, overwrite=True))
    assert "\n" not in caught.value.message + caught.value.hint
