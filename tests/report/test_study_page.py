"""The page of a study: whole, blind, and the same part of each picture; by the real command."""

from __future__ import annotations

import base64
import io
import json
import re
from pathlib import Path

import numpy as np
import pytest
from helpers import images
from helpers.cli import run_cli
from PIL import Image

from dit4sr_cli import upscale
from dit4sr_cli.core.types import Box, Size
from dit4sr_cli.report.study import page as study
from dit4sr_cli.report.study.key import packed, unpacked
from dit4sr_cli.report.study.pictures import boxes
from dit4sr_cli.report.study.votes import read_page

NAMES = ("bridge", "chapel", "doorway", "elmgrove", "foxglove")


@pytest.fixture(scope="module")
def folders(tmp_path_factory) -> Path:
    """Inputs, what nano made of them with its record, and a plain enlargement."""
    folder = tmp_path_factory.mktemp("study")
    for name in ("small", "nano-secret", "plain-secret"):
        (folder / name).mkdir()
    for number, name in enumerate(NAMES):
        width = 24 + 4 * number
        small = images.save(folder / "small" / f"{name}.png", width, 16)
        upscale(small, folder / "nano-secret" / f"{name}_x4.png", model="nano")
        Image.open(small).resize((4 * width, 64)).save(folder / "plain-secret" / f"{name}.jpg")
    return folder


def _study(folder: Path, *args, **more):
    return run_cli(
        "study", "nano-secret", "plain-secret", "--lr", "small", *args, cwd=folder, **more
    )


def _items(page: Path) -> list[dict]:
    text = page.read_text("utf-8")
    found = re.search(r'<script type="application/json" id="study">(.*?)</script>', text, re.S)
    return json.loads(found[1])["items"]


def _pixels(uri: str) -> np.ndarray:
    data = base64.b64decode(uri.removeprefix("data:image/webp;base64,"))
    with Image.open(io.BytesIO(data)) as image:
        assert not image.getexif() and "xmp" not in image.info and "icc_profile" not in image.info
        return np.asarray(image.convert("RGB"))


def test_the_page_is_written_and_tells_no_names(folders):
    done = _study(folders, "-o", folders / "a.html", "--seed", 3)
    assert done.code == 0, done.stderr
    assert "5 pictures, nano-secret against plain-secret" in done.stderr
    assert "seed 3" in done.stderr
    page = (folders / "a.html").read_text("utf-8")
    outside = re.sub(r'"data:image[^"]*"', "", page)
    for secret in ("nano", "secret", *NAMES):
        assert secret not in outside, secret
    assert "seed 3" in outside
    raw = base64.b64decode("".join(re.findall(r"base64,([^\"]*)", page)[:1]) + "==")
    assert b"nano" not in raw


def test_pixels_are_exact_and_sides_are_as_the_key_says(folders):
    made = study.make(
        {"q": folders / "nano-secret", "b": folders / "plain-secret"},
        folders / "small",
        folders / "exact.html",
    )
    key = read_page(folders / "exact.html")
    assert key == made.key
    paths = {"q": "nano-secret/{}_x4.png", "b": "plain-secret/{}.jpg", "lr": "small/{}.png"}
    for item, shown in zip(key.items, _items(folders / "exact.html"), strict=True):
        for place, method in (("left", item.left), ("right", item.right), ("lr", "lr")):
            file = folders / paths[method].format(item.name)
            with Image.open(file) as wanted:
                assert np.array_equal(_pixels(shown[place]), np.asarray(wanted.convert("RGB")))


def test_a_seed_shuffles_and_repeats(folders):
    def key(seed: int):
        _study(folders, "-o", folders / "seeded.html", "--seed", seed, "--overwrite")
        return read_page(folders / "seeded.html")

    first, again, other = key(1), key(1), key(2)
    assert first == again
    assert first.items != other.items
    assert first.study == other.study and first.page != other.page
    assert sorted(item.name for item in first.items) == list(NAMES)
    for one in (first, other):
        lefts = [item.left for item in one.items]
        assert abs(lefts.count("nano-secret") - lefts.count("plain-secret")) == 1


def test_large_results_show_their_middle(folders):
    done = _study(folders, "-o", folders / "crop.html", "--crop", 40, "--json")
    record = json.loads(done.stdout)
    assert record["cropped"] == record["pictures"] == 5
    assert record["methods"] == ["nano-secret", "plain-secret"]
    for item in _items(folders / "crop.html"):
        assert item["size"] == [40, 40]
        assert _pixels(item["lr"]).shape == (10, 10, 3)
        assert _pixels(item["left"]).shape == _pixels(item["right"]).shape == (40, 40, 3)
    everything = study.make(
        {"a": folders / "nano-secret", "b": folders / "plain-secret"},
        folders / "small",
        folders / "all.html",
        crop=None,
    )
    assert everything.cropped == 0


def test_the_part_is_whole_pixels_of_the_input():
    assert boxes(Size(100, 60), Size(400, 240), 80) == (Box(40, 20, 20, 20), Box(160, 80, 80, 80))
    assert boxes(Size(10, 10), Size(40, 40), 3) == (Box(4, 4, 1, 1), Box(16, 16, 4, 4))
    inner, outer = boxes(Size(101, 33), Size(253, 83), 100)
    assert outer.width <= 101 and abs(outer.x - inner.x * 253 / 101) <= 0.5
    whole = Size(253, 83)
    assert boxes(Size(101, 33), whole, None)[1] == Box(0, 0, 253, 83)


def test_the_same_results_are_said(folders, tmp_path):
    done = run_cli(
        *("study", "x=nano-secret", "y=nano-secret", "--lr", "small"),
        *("-o", tmp_path / "s.html"),
        cwd=folders,
    )
    assert done.code == 0
    assert "both results of bridge and 4 more are the same" in done.stderr


@pytest.mark.parametrize(
    ("args", "code", "words"),
    [
        (["nano-secret", "plain-secret"], 2, ["--lr"]),
        (["nano-secret", "nano-secret", "--lr", "small"], 2, ["two methods", "NAME="]),
        (["nano-secret", "nowhere", "--lr", "small"], 3, ["nowhere", "no such folder"]),
        (["nano-secret", "fewer", "--lr", "small"], 3, ["fewer: no result for bridge"]),
        (["nano-secret", "plain-secret", "--lr", "fewer"], 3, ["fewer: no input for bridge"]),
        (["nano-secret", "small", "--lr", "small"], 3, ["one size", "96x64", "24x16"]),
        (["small", "s=small", "--lr", "nano-secret"], 3, ["bridge", "--lr"]),
        (["nano-secret", "broken", "--lr", "small"], 3, ["broken/bridge.png"]),
        (["nano-secret", "plain-secret", "--lr", "small", "-o", "a.txt"], 2, [".html"]),
        (["nano-secret", "plain-secret", "--lr", "small", "-o", "no/a.html"], 4, ["no folder"]),
        (["nano-secret", "plain-secret", "--lr", "small", "--crop", "-1"], 2, ["--crop"]),
        (["nano-secret", "--lr", "small"], 2, ["Missing argument"]),
        ([], 2, ["Missing command", "dit4sr study --help"]),
    ],
    ids=lambda value: " ".join(map(str, value)) if isinstance(value, list) else "",
)
def test_what_does_not_fit_is_one_line(folders, args, code, words):
    (folders / "fewer").mkdir(exist_ok=True)
    (folders / "broken").mkdir(exist_ok=True)
    images.save(folders / "fewer" / "chapel.png", 112, 64)
    for name in NAMES:
        (folders / "broken" / f"{name}.png").write_bytes(b"\x89PNG\r\n\x1a\n no more")
    done = run_cli("study", *args, cwd=folders)
    assert done.code == code, done.stderr
    (line,) = done.lines
    for word in ("error: ", *words):
        assert word in line
    assert not (folders / "study.html").exists()


def test_a_page_that_is_there_stays(folders, tmp_path):
    page = tmp_path / "s.html"
    page.write_text("precious")
    done = _study(folders, "-o", page)
    assert done.code == 4 and "--overwrite" in done.stderr
    assert page.read_text() == "precious"


def test_a_key_goes_and_comes(folders):
    key = study.make(
        {"a|b": folders / "nano-secret", "</script>\udce9": folders / "plain-secret"},
        folders / "small",
        folders / "odd.html",
    ).key
    assert unpacked(packed(key)) == key == read_page(folders / "odd.html")
    for damaged in ("", "!", packed(key)[:-9], base64.b64encode(b"x").decode()):
        with pytest.raises(ValueError, match="damaged"):
            unpacked(damaged)


def test_both_ways_to_say_it_are_one(folders):
    _study(folders, "-o", folders / "one.html")
    done = run_cli(
        *("study", "page", "--lr", "small", "nano-secret", "plain-secret", "-o", "two.html"),
        cwd=folders,
    )
    assert done.code == 0
    assert (folders / "one.html").read_bytes() == (folders / "two.html").read_bytes()
    reordered = run_cli(
        *("study", "--lr", "small", "nano-secret", "plain-secret", "-o", "three.html"), cwd=folders
    )
    assert reordered.code == 0
