"""A report is whole, escapes what it shows, and needs nothing but itself."""

from __future__ import annotations

import base64
import io
import json
import time
from html import escape
from html.parser import HTMLParser
from pathlib import Path

import pytest
from helpers import images
from PIL import Image

from dit4sr_cli import upscale
from dit4sr_cli.core.errors import OutputError, UsageError
from dit4sr_cli.core.types import DeviceChoice
from dit4sr_cli.imaging import vips
from dit4sr_cli.jobs.record import FileOutcome, Status
from dit4sr_cli.report import thumbnails
from dit4sr_cli.report.page import as_html
from dit4sr_cli.report.record import as_json, write
from dit4sr_cli.report.thumbnails import SIDE, data_uri


class _Checker(HTMLParser):
    """Counts tags, and fails where one is closed that is not open."""

    VOID = ("meta", "img", "input", "br")

    def __init__(self) -> None:
        super().__init__()
        self.open, self.counts, self.sources = [], {}, []

    def handle_starttag(self, tag, attrs):
        self.counts[tag] = self.counts.get(tag, 0) + 1
        self.sources += [value for name, value in attrs if name in ("src", "href")]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def _parsed(page: str) -> _Checker:
    checker = _Checker()
    checker.feed(page)
    checker.close()
    assert not checker.open
    return checker


def _failed(name: str, reason: str) -> FileOutcome:
    return FileOutcome(source=Path(name), target=None, status=Status.FAILED, reason=reason, code=3)


@pytest.fixture
def outcomes(tmp_path) -> list[FileOutcome]:
    source = images.save(tmp_path / "a.png")
    made = upscale(source, tmp_path / "a_x4.png", model="nano")
    done = FileOutcome(
        source=source,
        target=tmp_path / "a_x4.png",
        status=Status.DONE,
        seconds=made.seconds,
        outcome=made,
    )
    skipped = FileOutcome(source=Path("s.png"), target=None, status=Status.SKIPPED, reason="there")
    evil = _failed("<script>alert(1)</script>\udce9.jpg", '"><img src=http://x/ onerror=x>')
    return [done, skipped, evil]


def test_the_page_shows_all_and_escapes_all(outcomes):
    page = as_html(outcomes, settings={"steps": 1, "prompt": "</pre><b>"})
    checker = _parsed(page)
    assert checker.counts["tr"] == 4
    assert checker.counts["script"] == 1
    assert checker.counts["img"] == 2
    assert "b" not in checker.counts
    assert "unsafe-inline" not in page
    assert all(source.startswith("data:image/jpeg;base64,") for source in checker.sources)


def test_both_reports_are_written_whole(outcomes, tmp_path):
    for name in ("r.html", "r.json"):
        write(outcomes, tmp_path / name)
        write(outcomes, tmp_path / name)
    report = json.loads((tmp_path / "r.json").read_bytes())
    assert report["summary"]["done"] == report["summary"]["failed"] == 1
    assert report["files"][0]["record"]["model"] == "nano"
    assert (tmp_path / "r.html").read_text("utf-8").endswith("</html>\n")
    assert not list(tmp_path.glob("*.part"))
    with pytest.raises(UsageError):
        write(outcomes, tmp_path / "r.txt")
    with pytest.raises(OutputError):
        write(outcomes, tmp_path / "no" / "r.html")


def test_the_page_and_the_data_say_the_same(outcomes):
    settings = {"steps": None, "device": DeviceChoice.AUTO, "low_memory": False}
    page, data = (
        as_html(outcomes, settings=settings),
        json.loads(as_json(outcomes, settings=settings)),
    )
    assert data["settings"] == {"steps": None, "device": "auto", "low_memory": False}
    assert "<dt>device</dt><dd>auto</dd><dt>low memory</dt><dd>no</dd>" in page
    for name, count in data["summary"].items():
        if name in ("done", "skipped", "failed"):
            assert f"{name.capitalize()} <small>{count}</small>" in page
    for file in data["files"]:
        assert escape(file["reason"]) in page
        assert escape(file["input"].rpartition("/")[2]) in page
    made = data["files"][0]
    assert made["output"] in page
    assert "96x64" in page and "from 24x16" in page
    in_the_row = {"input", "output", "input_size", "output_size", "seconds", "warnings"}
    for name, value in made["record"].items():
        if name not in in_the_row and value not in (None, "", []):
            assert f"<dt>{name.replace('_', ' ')}" in page


def test_a_reason_does_not_repeat_the_name():
    page = as_html([_failed("in/a.jpg", "in/a.jpg: is empty")])
    assert '<p class="reason">is empty</p>' in page


def test_no_files_at_all():
    assert json.loads(as_json([]))["summary"]["files"] == 0
    _parsed(as_html([]))


def test_thousands_of_rows_are_quick():
    many = [_failed(f"missing/{n}.jpg", "no such file") for n in range(5000)]
    started = time.monotonic()
    checker = _parsed(as_html(many))
    assert checker.counts["tr"] == 5001
    assert time.monotonic() - started < 20


@pytest.mark.parametrize("name", ["a.jpg", "a.tif", "a.webp", "a.gif"])
def test_thumbnails(tmp_path, name):
    small = data_uri(images.save(tmp_path / name, 1200, 700))
    assert small.startswith("data:image/jpeg;base64,")
    assert len(small) < 20_000


def test_what_has_no_thumbnail(tmp_path):
    (tmp_path / "bad.jpg").write_bytes(b"\xff\xd8\xff broken")
    assert data_uri(tmp_path / "bad.jpg") == data_uri(tmp_path / "none") == data_uri(None) == ""


def test_thumbnails_are_upright(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    small = _opened(data_uri(images.save(tmp_path / "a.jpg", 400, 200, exif=exif)))
    assert small.size == (SIDE // 2, SIDE)


def test_thumbnails_are_in_srgb(tmp_path):
    plain = images.save(tmp_path / "a.png", 200, 120)
    wide = vips.load("png", plain.read_bytes()).icc_transform("p3", input_profile="srgb")
    wide.write_to_file(str(tmp_path / "wide.png"))
    seen = (_opened(data_uri(path)) for path in (plain, tmp_path / "wide.png"))
    assert images.psnr(*seen) > 35


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("scale", [1, 2.5, 4])
def test_the_middle_is_the_same_part(tmp_path, scale, orientation):
    scene = images.scene(301, 200)
    turned = (None, 0, 3, 1, 5, 2, 6, 4)[orientation - 1]  # what undoes Pillow's own turning
    exif = Image.Exif()
    exif[0x0112] = orientation
    source = scene if turned is None else scene.transpose(Image.Transpose(turned))
    source.save(tmp_path / "a.png", exif=exif)
    scene.resize((round(301 * scale), round(200 * scale))).save(tmp_path / "b.png")
    middle = thumbnails.middle(tmp_path / "a.png", tmp_path / "b.png")
    before, after = _opened(middle.before), _opened(middle.after)
    assert after.size == (middle.size.width, middle.size.height)
    assert max(after.size) <= thumbnails.MIDDLE_SIDE + scale
    assert images.psnr(before.resize(after.size, Image.Resampling.BICUBIC), after) > 25


def test_no_middle_of_what_is_no_picture(tmp_path):
    picture = images.save(tmp_path / "a.png")
    (tmp_path / "bad.jpg").write_bytes(b"\xff\xd8\xff broken")
    assert thumbnails.middle(tmp_path / "bad.jpg", picture) is None
    assert thumbnails.middle(picture, tmp_path / "none") is None


def _opened(uri: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2])))
