"""`dit4sr compare` from outside: what it writes, says and refuses."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
from helpers import images
from helpers.cli import run_cli
from PIL import Image
from PIL.TiffImagePlugin import IFDRational

from dit4sr_cli.imaging import reader
from dit4sr_cli.imaging.description import describe
from dit4sr_cli.report.compare.metadata import State, differences


@pytest.fixture
def pair(tmp_path):
    small = images.scene(60, 40)
    exif = Image.Exif()
    exif[0x010F], exif[0x0112] = "Kodak", 1
    exif.get_ifd(0x8769)[0x829A] = IFDRational(1, 250)
    small.save(tmp_path / "in.jpg", quality=95, exif=exif, dpi=(300, 300))
    small.resize((240, 160), Image.Resampling.BICUBIC).save(tmp_path / "out.png")
    return tmp_path


def test_a_page_beside_the_result(pair):
    done = run_cli("compare", "in.jpg", "out.png", cwd=pair)
    assert done.code == 0, done.stderr
    assert done.stdout == b""
    assert "out.png is close: PSNR" in done.stderr
    page = (pair / "out.png.html").read_text("utf-8")
    assert page.startswith("<!doctype html>")
    assert not re.search(r"(?:src|href)=[\"']?(?!data:)\w", page)  # nothing from elsewhere
    again = run_cli("compare", "in.jpg", "out.png", cwd=pair)
    assert (again.code, "exists already" in again.stderr) == (4, True)
    assert run_cli("compare", "in.jpg", "out.png", "--overwrite", "-q", cwd=pair).stderr == ""


def test_json_and_a_strip(pair):
    done = run_cli(
        *("compare", "in.jpg", "a=out.png", "-o", "p.html", "--png", "s.png", "--json"), cwd=pair
    )
    found = json.loads(done.stdout)
    assert found["page"] == "p.html"
    assert [result["name"] for result in found["results"]] == ["a"]
    assert found["results"][0]["verdict"] == "close"
    strip = Image.open(pair / "s.png")
    assert strip.width == 2 * 240 + 4  # input and result, none wider than they are
    count = max(1, len(found["results"][0]["worst"]))
    assert strip.height == count * (160 + 20)


def test_reduced_is_said(pair):
    images.scene(500, 400).save(pair / "in.png")
    images.scene(1000, 800).save(pair / "big.png")
    done = run_cli("compare", "in.png", "big.png", "--reduce-to", "0.3", cwd=pair)
    assert "reduced to 0.3 megapixels" in done.stderr
    assert "big.png" in done.stderr
    assert "shown reduced to 612x490 of 1000x800" in (pair / "big.png.html").read_text("utf-8")


@pytest.mark.parametrize(
    ("args", "code", "words"),
    [
        (["in.jpg"], 2, "RESULT"),
        (["in.jpg", "none.png"], 3, "none.png: no such file"),
        (["in.jpg", "turned.png"], 3, "one of them is turned"),
        (["out.png", "in.jpg"], 3, "the source comes first"),
        (["in.jpg", "broken.png"], 3, "broken.png: damaged"),
        (["in.jpg", "out.png", "-o", "page.txt"], 2, ".html"),
        (["in.jpg", "out.png", "-o", "none/page.html"], 4, "there is no folder"),
        (["in.jpg", "out.png", "--png", "out.png", "--overwrite"], 3, "one of the pictures"),
        (["in.jpg", "out.png", "out.png"], 2, "named twice"),
        (["in.jpg", *(f"{n}=c{n}.png" for n in range(9))], 2, "1 to 8 results, not 9"),
    ],
)
def test_one_clear_line(pair, args, code, words):
    image = Image.open(pair / "out.png")
    image.transpose(Image.Transpose.ROTATE_90).save(pair / "turned.png")
    (pair / "broken.png").write_bytes((pair / "out.png").read_bytes()[:2000])
    before = sorted(path.name for path in pair.iterdir())
    done = run_cli("compare", *args, cwd=pair)
    assert done.code == code
    assert words in done.stderr
    assert code == 2 or len(done.lines) == 1
    assert sorted(path.name for path in pair.iterdir()) == before


def test_kept_changed_lost_and_added(pair):
    [source] = reader.read(pair / "in.jpg")
    [result] = reader.read(pair / "out.png")
    groups = {
        group.name: {line.name: line for line in group.lines}
        for group in differences(describe(source), [describe(result), describe(source)])
    }
    exif, file = groups["EXIF"], groups["File"]
    assert exif["Make"].source == "Kodak"
    assert exif["Make"].states == (State.LOST, State.KEPT)
    assert exif["ExposureTime"].source == "1/250"
    assert file["Format"].states == (State.CHANGED, State.KEPT)
    assert file["Size"].results == ("240 x 160", "60 x 40")
    assert file["Resolution"].states[0] is State.LOST
    assert "IPTC" not in groups


@pytest.mark.parametrize("name", ["huge.exif", "noise"])
def test_damaged_metadata_is_no_failure(pair, name):
    noise = np.random.default_rng(3).integers(0, 256, 4000, np.uint8).tobytes()
    exif = b"Exif\0\0" + (b"II*\0\x08\0\0\0\xff\xff" + noise if name == "noise" else noise)
    images.scene(60, 40).save(pair / "in.jpg", exif=exif)
    assert run_cli("compare", "in.jpg", "out.png", cwd=pair).code == 0
