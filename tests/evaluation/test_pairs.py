"""Which files belong together, and what is said when they do not."""

from __future__ import annotations

import pytest
from helpers import images

from dit4sr_cli.core.errors import InputError, UsageError
from dit4sr_cli.evaluation import pairs


def folder(path, *names):
    path.mkdir()
    for name in names:
        images.save(path / name, 8, 8)
    return path


def test_pictures_are_matched_by_stem(tmp_path):
    small = folder(tmp_path / "small", "b.png", "a.jpg")
    large = folder(tmp_path / "large", "a.png", "b.tif", "c.png")
    found = pairs.match(small, large)
    assert [(p.name, p.picture.name, p.reference.name) for p in found] == [
        ("a", "a.jpg", "a.png"),
        ("b", "b.png", "b.tif"),
    ]


def test_names_that_upscale_gives_are_understood(tmp_path):
    results = folder(tmp_path / "results", "a_x4.png")
    assert list(pairs.by_name(results)) == ["a"]


def test_other_files_are_passed_over(tmp_path):
    small = folder(tmp_path / "small", "a.png")
    (small / "notes.txt").write_text("x")
    (small / "b.png").mkdir()
    assert list(pairs.by_name(small)) == ["a"]


def test_a_missing_reference_is_named(tmp_path):
    small = folder(tmp_path / "small", *(f"{name}.png" for name in "abcde"))
    large = folder(tmp_path / "large", "a.png")
    with pytest.raises(InputError, match=r"no reference for b, c, d and 1 more"):
        pairs.match(small, large)


def test_a_missing_result_is_named(tmp_path):
    small = folder(tmp_path / "small", "a.png", "b.png")
    found = pairs.match(small, folder(tmp_path / "large", "a.png", "b.png"))
    results = folder(tmp_path / "results", "a.png", "z.png")
    with pytest.raises(InputError, match=r"results: no result for b$"):
        pairs.finished(results, found)
    images.save(results / "b.webp", 8, 8)
    assert [path.name for path in pairs.finished(results, found).values()] == ["a.png", "b.webp"]


def test_two_files_of_one_name(tmp_path):
    twice = folder(tmp_path / "twice", "a.jpg", "a.png")
    with pytest.raises(UsageError, match=r"a\.jpg and a\.png"):
        pairs.by_name(twice)


def test_no_folder_and_no_pictures(tmp_path):
    with pytest.raises(InputError, match="no such folder"):
        pairs.by_name(tmp_path / "nowhere")
    with pytest.raises(InputError, match="no pictures"):
        pairs.by_name(folder(tmp_path / "empty"))


@pytest.mark.parametrize("ending", ["_x4", "_out", "_x4_out", "-sr", "_LR4", "_HR", "x4"])
def test_endings_of_systems_and_sets(tmp_path, ending):
    small = folder(tmp_path / "small", "a.png")
    other = folder(tmp_path / "other", f"a{ending}.jpg")
    (case,) = pairs.match(small, other)
    assert case.reference.name == f"a{ending}.jpg"
    assert list(pairs.finished(other, [case])) == ["a"]


def test_the_plain_name_goes_first(tmp_path):
    found = pairs.match(folder(tmp_path / "small", "a.png"))
    results = folder(tmp_path / "results", "a.png", "a_out.png")
    assert pairs.finished(results, found)["a"].name == "a.png"
    twice = folder(tmp_path / "twice", "a_x4.png", "a_out.png")
    with pytest.raises(UsageError, match=r"a_out\.png and a_x4\.png"):
        pairs.finished(twice, found)
