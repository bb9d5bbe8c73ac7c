"""Means, differences and their formats."""

from __future__ import annotations

import csv
import io
import json
import math

import pytest

from dit4sr_cli.evaluation import benchmarks, report, tables
from dit4sr_cli.evaluation.metrics import choose
from dit4sr_cli.evaluation.report import Report, Row


def example(n=8, **more):
    rows = []
    for index in range(n):
        rows.append(Row(f"p{index}", "bicubic", {"psnr": 20.0 + index, "stlpips": 0.5}))
        better = {"psnr": 21.0 + index * 1.1, "stlpips": 0.6}
        rows.append(Row(f"p{index}", "nano", better, 0.25))
    return Report(choose(["psnr", "stlpips"]), rows, **more)


def test_differences_are_of_pairs():
    psnr, distance = example().differences()
    assert psnr.wins == 8 and distance.wins == 0  # lower is better
    assert psnr.interval.mean == pytest.approx(1 + 0.1 * 3.5)
    assert psnr.interval.low < psnr.interval.mean < psnr.interval.high
    assert psnr.p == pytest.approx(2 * 2 / 2**8)  # all signs alike, twice by Holm


def test_markdown_marks_the_best():
    lines = tables.rendered(example(), "md").splitlines()
    assert lines[2].startswith("| bicubic   |   *23.50* | **0.5000** |")
    assert "sign-flip" in lines[-1]


def test_too_few_pictures_have_no_p():
    text = tables.rendered(example(3), "md")
    assert (
        "| none |" in text and "n = 3 is too small for a test" in text and "sign-flip" not in text
    )


def test_against_another_row():
    (one, _) = example(against="nano").differences()
    assert one.method == "bicubic" and one.wins == 0


def test_published_stands_beside_measured():
    text = tables.rendered(example(published=benchmarks.published("DrealSR")), "md")
    assert len([line for line in text.splitlines() if "(published)" in line]) == 11
    assert "| DiT4SR (published)" in text and "25.81" in text and "| nano (measured)" in text


def test_latex_compiles_in_the_mind():
    text = tables.rendered(example(about={"inputs": "a_b"}), "latex")
    assert text.count(r"\begin{tabular}") == text.count(r"\end{tabular}") == 2
    assert r"\textbf{" in text and r"PSNR-Y $\uparrow$" in text and "% - inputs: a_b" in text


def test_csv_has_a_figure_a_line():
    lines = list(csv.DictReader(io.StringIO(tables.rendered(example(), "csv"))))
    means = {(x["method"], x["metric"]): float(x["value"]) for x in lines if x["kind"] == "mean"}
    assert means["bicubic", "psnr"] == 23.5
    assert sum(line["kind"] == "picture" for line in lines) == 32


def test_json():
    data = json.loads(tables.rendered(example(), "json"))
    assert data["schema"] == 1 and data["against"] == "bicubic"
    assert data["methods"]["nano"]["seconds"] == 0.25
    assert data["differences"][0]["n"] == 8


def test_identical_pictures_are_no_number_in_json():
    found = Report(choose(["psnr"]), [Row("one", "perfect", {"psnr": math.inf})])
    assert report.to_dict(found)["methods"]["perfect"]["mean"] == {"psnr": None}
    assert "inf" in tables.rendered(found, "md")
