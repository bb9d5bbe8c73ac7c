"""What is foretold, against what a run then does."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers import images
from helpers.cli import run_cli
from PIL import Image

from dit4sr_cli import upscale
from dit4sr_cli.core.errors import InputError
from dit4sr_cli.core.settings import (
    CaptionSettings,
    ModelSettings,
    OutputSettings,
    UpscaleSettings,
)
from dit4sr_cli.core.types import Quantize
from dit4sr_cli.jobs.estimate import estimate, learn, problems, read_header


def _estimate(*sources: Path, folder: Path | None = None, model: str = "nano", **options):
    targets = {s: (folder or s.parent) / f"{s.stem}_x4.png" for s in sources}
    options = {
        "upscale": UpscaleSettings(),
        "caption": CaptionSettings(),
        "model": ModelSettings(model=model),
        "output": OutputSettings(),
        **options,
    }
    return estimate(targets, **options)


@pytest.mark.parametrize(("size", "scale"), [((50, 33), 4), ((24, 90), 2.5), ((9, 7), 1)])
def test_tiles_and_sizes_are_those_of_the_run(tmp_path, size, scale):
    source = images.save(tmp_path / "a.png", *size)
    (file,) = _estimate(source, upscale=UpscaleSettings(scale=scale)).files
    outcome = upscale(source, tmp_path / "out.png", model="nano", scale=scale)
    assert (file.tiles, file.output_size) == (outcome.tiles, outcome.output_size)
    assert file.input_size == outcome.input_size
    assert not file.problems


def test_orientation_counts(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    source = images.save(tmp_path / "a.jpg", 40, 20, exif=exif)
    assert _estimate(source).files[0].input_size == (20, 40)


@pytest.mark.parametrize("suffix", [".png", ".tif", ".webp", ".gif", ".bmp", ".ppm", ".jp2"])
def test_headers_of_all_formats(tmp_path, suffix):
    source = images.save(tmp_path / f"a{suffix}", 40, 20)
    header = read_header(source, max_megapixels=1)
    assert (header.size.width, header.size.height, header.pages) == (40, 20, 1)


def test_pages_and_depth(tmp_path):
    source = tmp_path / "a.tif"
    pages = [Image.fromarray(np.zeros((8, 9), np.uint16)) for _ in range(3)]
    pages[0].save(source, save_all=True, append_images=pages[1:])
    header = read_header(source, max_megapixels=1)
    assert (header.pages, header.bits, header.channels) == (3, 16, 1)


def test_nothing_is_decoded(tmp_path):
    source = images.save(tmp_path / "a.png", 400, 300)
    source.write_bytes(source.read_bytes()[:2000])
    assert read_header(source, max_megapixels=1).size.width == 400


def test_problems_are_foreseen(tmp_path):
    good = images.save(tmp_path / "good.png")
    there = images.save(tmp_path / "there.png")
    (tmp_path / "there_x4.png").touch()
    bad = tmp_path / "bad.jpg"
    bad.write_bytes(b"nothing")
    large = images.save(tmp_path / "large.png", 300, 300)
    found = _estimate(
        good,
        there,
        bad,
        tmp_path / "missing.png",
        large,
        output=OutputSettings(max_megapixels=0.05),
    )
    problems = [" ".join(file.problems) for file in found.files]
    assert problems[0] == ""
    assert "exists already" in problems[1]
    assert "not a picture" in problems[2]
    assert "no such file" in problems[3]
    assert "more than the limit" in problems[4]
    assert found.num_bad == 4


def test_what_exists_is_no_work(tmp_path):
    there = images.save(tmp_path / "there.png")
    (tmp_path / "there_x4.png").touch()
    found = _estimate(there, skip_existing=True)
    assert found.files[0].is_skipped
    assert found.seconds == found.disk == found.num_bad == 0


def test_a_format_that_is_too_small(tmp_path):
    source = images.save(tmp_path / "a.png", 5000, 4)
    found = _estimate(source, output=OutputSettings(format="webp"))
    assert "too large for webp" in found.files[0].problems[0]


def test_a_model_that_is_not_here_and_prompts_that_are_missing(tmp_path):
    first, second = images.save(tmp_path / "a.png"), images.save(tmp_path / "b.png")
    (tmp_path / "b.txt").write_text("a boat")
    found = _estimate(first, second, model="dit4sr-q")
    assert "dit4sr models pull" in found.problems[0]
    assert found.files[0].problems == ("no prompt, and nobody to describe it",)
    assert not found.files[1].problems


def test_a_setting_that_does_not_fit_is_a_problem_of_the_picture(tmp_path):
    source = images.save(tmp_path / "a.png")
    found = _estimate(source, upscale=UpscaleSettings(tile=8, overlap=8))
    assert "--overlap" in found.files[0].problems[0]
    found = _estimate(source, upscale=UpscaleSettings(long_edge=100_000))
    assert "--long-edge" in found.files[0].problems[0]


def test_a_disk_that_is_too_small(tmp_path, monkeypatch):
    monkeypatch.setattr(problems, "free_at", lambda targets: 10)
    found = _estimate(images.save(tmp_path / "a.png"))
    assert "are free" in found.problems[0]


def test_seconds_are_learnt(tmp_path, monkeypatch):
    monkeypatch.setenv("DIT4SR_HOME", str(tmp_path / "home"))
    source = images.save(tmp_path / "a.png", 60, 40)
    assert not _estimate(source).is_measured
    outcome = upscale(source, tmp_path / "out.png", model="nano")
    learn(outcome)
    found = _estimate(source)
    assert found.is_measured
    quantised = ModelSettings(model="nano", quantize=Quantize.INT4)
    fewer = {"upscale": UpscaleSettings(), "caption": CaptionSettings(), "output": OutputSettings()}
    assert not estimate({source: tmp_path / "b.png"}, model=quantised, **fewer).is_measured
    learn(replace(outcome, quantize="int4", seconds=outcome.seconds * 3))
    assert estimate({source: tmp_path / "b.png"}, model=quantised, **fewer).is_measured
    assert _estimate(source).seconds == found.seconds
    assert found.seconds == pytest.approx(outcome.seconds, rel=0.01)
    (tmp_path / "home" / "cache" / "speeds.json").write_text("{damaged")
    assert not _estimate(source).is_measured


def test_unreadable_is_said_as_the_reader_says_it(tmp_path):
    (tmp_path / "a.pdf").write_bytes(b"%PDF-1.4")
    with pytest.raises(InputError, match="is a PDF"):
        read_header(tmp_path / "a.pdf", max_megapixels=1)


def test_plan_is_a_table_or_an_object_and_loads_no_torch(tmp_path):
    (tmp_path / "in").mkdir()
    images.save(tmp_path / "in" / "a.png")
    (tmp_path / "in" / "notes.txt").touch()
    args = ["plan", tmp_path / "in", "-o", tmp_path / "out", "--model", "nano"]
    shown = run_cli(*args, faults=["list_imports"])
    assert b"24x16" in shown.stdout
    assert b"96x64" in shown.stdout
    assert b"1 picture, " in shown.stdout
    assert "1 left out" in shown.stderr
    (line,) = (line for line in shown.lines if line.startswith("IMPORTED "))
    assert not {"torch", "tqdm", "rich"} & {name.split(".")[0] for name in line.split()}
    record = json.loads(run_cli(*args, "--json").stdout)
    assert record["total"]["files"] == 1
    assert record["files"][0]["output_size"] == [96, 64]
    assert not (tmp_path / "out").exists()
