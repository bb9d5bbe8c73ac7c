"""Means, wins and their two formats."""

from __future__ import annotations

import json
import math

import pytest

from dit4sr_cli.evaluation import report
from dit4sr_cli.evaluation.metrics import choose
from dit4sr_cli.evaluation.report import Report, Row

FIGURES = {
    ("one", "bicubic"): (20.0, 0.50),
    ("one", "nano"): (22.0, 0.40),
    ("two", "bicubic"): (30.0, 0.30),
    ("two", "nano"): (29.0, 0.20),
}


def example():
    rows = [
        Row(
            picture,
            method,
            {"psnr": psnr, "stlpips": distance, "sharpness": 0.5},
            0.25 if method == "nano" else None,
        )
        for (picture, method), (psnr, distance) in FIGURES.items()
    ]
    return Report(choose(["psnr", "stlpips", "sharpness"]), rows)


def test_means_and_wins():
    found = example()
    psnr, distance, _ = found.metrics
    assert found.methods == ["bicubic", "nano"] and found.pictures == ["one", "two"]
    assert found.mean("nano", psnr) == 25.5
    assert found.mean("nano", distance) == pytest.approx(0.3)
    assert found.wins("nano", psnr) == 1
    assert found.wins("nano", distance) == 2  # lower is better
    assert found.seconds("nano") == 0.25 and found.seconds("bicubic") is None


def test_markdown():
    assert report.to_markdown(example()).splitlines() == [
        "| mean of 2 | PSNR-Y ↑ | ST-LPIPS ↓ | sharpness | seconds |",
        "| --------- | -------: | ---------: | --------: | ------: |",
        "| bicubic   |    25.00 |     0.4000 |    0.5000 |         |",
        "| nano      |    25.50 |     0.3000 |    0.5000 |    0.25 |",
        "",
        "| better than bicubic, of 2 | PSNR-Y ↑ | ST-LPIPS ↓ |",
        "| ------------------------- | -------: | ---------: |",
        "| nano                      |        1 |          2 |",
    ]


def test_markdown_of_each_picture():
    lines = report.to_markdown(example(), with_pictures=True).splitlines()
    assert lines[-4:] == [
        "| one     | bicubic |    20.00 |     0.5000 |    0.5000 |",
        "| one     | nano    |    22.00 |     0.4000 |    0.5000 |",
        "| two     | bicubic |    30.00 |     0.3000 |    0.5000 |",
        "| two     | nano    |    29.00 |     0.2000 |    0.5000 |",
    ]


def test_one_method_has_nobody_to_beat():
    found = example()
    alone = Report(found.metrics, found.of("bicubic"))
    assert "better" not in report.to_markdown(alone)


def test_json():
    data = json.loads(report.to_json(example()))
    assert data["pictures"] == ["one", "two"]
    assert data["metrics"] == ["psnr", "stlpips", "sharpness"]
    nano = data["methods"]["nano"]
    assert nano["mean"] == {"psnr": 25.5, "stlpips": 0.3, "sharpness": 0.5}
    assert nano["wins"] == {"psnr": 1, "stlpips": 2}
    assert nano["seconds"] == 0.25
    assert nano["pictures"]["two"] == {"psnr": 29.0, "stlpips": 0.2, "sharpness": 0.5}


def test_an_infinite_figure_is_still_json():
    row = Row("one", "perfect", {"psnr": math.inf})
    found = Report(choose(["psnr"]), [row])
    assert json.loads(report.to_json(found))["methods"]["perfect"]["mean"] == {"psnr": None}
    assert "inf" in report.to_markdown(found)
