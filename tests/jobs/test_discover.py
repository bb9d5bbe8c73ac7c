"""Words on a command line to pictures: folders, patterns, lists, links, odd names."""

from __future__ import annotations

import io
import os
import random
from pathlib import Path

import pytest

from dit4sr_cli.core.errors import InputError, UsageError
from dit4sr_cli.jobs.discover import discover, matches, natural_key


def _make(root: Path, *names: str) -> None:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")


def _relative(found) -> list[str]:
    return [file.relative.as_posix() for file in found.files]


@pytest.fixture
def scans(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    root = tmp_path / "scans"
    _make(root, "scan10.jpg", "scan2.JPG", "2019/b.tif", "2019/deep/c.png", "notes.txt")
    return root


def test_a_folder_is_walked_sorted_naturally_and_mirrored(scans):
    found = discover(["scans"])
    assert _relative(found) == ["2019/b.tif", "2019/deep/c.png", "scan2.JPG", "scan10.jpg"]
    assert [f.path for f in found.files] == [Path("scans") / r for r in _relative(found)]
    assert found.skipped == ((Path("scans/notes.txt"), "not a picture, by its name"),)


def test_the_order_does_not_depend_on_the_disk(scans, monkeypatch):
    expected, scandir = discover(["scans"]), os.scandir

    class Shuffled(list):
        def __enter__(self):
            return self

        def __exit__(self, *exc_info):
            return None

    def shuffled(folder):
        entries = Shuffled(scandir(folder))
        random.Random(1).shuffle(entries)
        return entries

    monkeypatch.setattr(os, "scandir", shuffled)
    assert discover(["scans"]) == expected


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("scans/*.jpg", ["scan10.jpg"]),
        ("scans/*", ["2019/b.tif", "2019/deep/c.png", "scan2.JPG", "scan10.jpg"]),
        ("scans/20*", ["2019/b.tif", "2019/deep/c.png"]),
        ("scans/**/*.png", ["2019/deep/c.png"]),
        ("scans/**/c.png", ["2019/deep/c.png"]),
        ("scans/scan[0-9].*", ["scan2.JPG"]),
        ("scans/scan?.[!t]*", ["scan2.JPG"]),
        ("*/2019/*.tif", ["scans/2019/b.tif"]),
        ("./scans/**", ["2019/b.tif", "2019/deep/c.png", "scan2.JPG", "scan10.jpg"]),
    ],
)
def test_patterns_mean_what_a_shell_would_make_of_them(scans, pattern, expected):
    assert _relative(discover([pattern])) == expected
    assert _relative(discover([str(scans.parent / pattern)])) == expected


def test_a_file_of_that_very_name_is_no_pattern(scans):
    _make(scans, "a[1].jpg", "a1.jpg")
    assert _relative(discover(["scans/a[1].jpg"])) == ["a[1].jpg"]


def test_several_folders_stay_apart(scans, tmp_path):
    _make(tmp_path, "old/2019/b.tif")
    names = _relative(discover(["scans/2019", "old/2019"]))
    assert names == ["scans/2019/b.tif", "scans/2019/deep/c.png", "old/2019/b.tif"]


def test_files_beside_each_other_lose_their_folders(scans):
    assert _relative(discover(["scans/scan10.jpg", "scans/scan2.JPG"])) == [
        "scan10.jpg",
        "scan2.JPG",
    ]


def test_a_named_file_is_taken_whatever_it_is_called_or_even_missing(scans):
    found = discover(["scans/notes.txt", "scans/missing.jpg"])
    assert _relative(found) == ["notes.txt", "missing.jpg"]
    assert found.skipped == ()


def test_the_same_file_by_several_ways_comes_once(scans):
    (scans / "a_link.jpg").symlink_to(scans / "scan10.jpg")
    found = discover(["scans", "scans/scan10.jpg", "scans/*.jpg", "./scans/../scans"])
    assert _relative(found).count("scan10.jpg") == 1
    assert "a_link.jpg" not in _relative(found)


def test_loops_of_links_end_and_linked_folders_are_read(scans, tmp_path):
    (scans / "2019" / "up").symlink_to(scans)
    (scans / "self").symlink_to("self")
    _make(tmp_path, "elsewhere/e.jpg")
    (scans / "away").symlink_to(tmp_path / "elsewhere")
    found = discover(["scans"])
    assert "away/e.jpg" in _relative(found)
    assert len(found.files) == 5
    assert discover(["scans/**"]).files == found.files


def test_hidden_and_half_written_files_are_left_out(scans):
    _make(scans, ".hidden.jpg", ".dit4sr/j.jpg", ".git/x.png", "a.jpg.part", ".dit4sr-1.part")
    assert len(discover(["scans"]).files) == 4
    assert _relative(discover(["scans/.hidden.jpg"])) == [".hidden.jpg"]


def test_results_beside_their_pictures_are_not_enlarged_again(scans):
    _make(scans, "scan10_x4.png", "scan2_6000px.png", "scan2.JPG_x2.5.png", "alone_x4.png")
    found = discover(["scans"])
    assert "alone_x4.png" in _relative(found)
    assert len(found.files) == 5
    assert (Path("scans/scan10_x4.png"), "by its name the result of scan10.jpg") in found.skipped
    assert _relative(discover(["scans/scan10_x4.png"])) == ["scan10_x4.png"]


def test_nothing_is_found_in_the_output_unless_it_is_an_input(scans):
    _make(scans, "out/scan10_x4.png")
    assert len(discover(["scans"], output=Path("scans/out")).files) == 4
    assert len(discover(["scans"], output=Path("scans")).files) == 5
    assert len(discover(["scans/out"], output=Path("scans/out")).files) == 1


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"include": ["*.tif"]}, ["2019/b.tif"]),
        ({"include": ["*.jpg"]}, ["scan2.JPG", "scan10.jpg"]),
        ({"include": ["2019"]}, ["2019/b.tif", "2019/deep/c.png"]),
        ({"include": ["2019/*.*"]}, ["2019/b.tif"]),
        ({"include": ["scans/2019/*"]}, ["2019/b.tif", "2019/deep/c.png"]),
        ({"exclude": ["2019/deep"]}, ["2019/b.tif", "scan2.JPG", "scan10.jpg"]),
        ({"exclude": ["**/*.png", "*10*"]}, ["2019/b.tif", "scan2.JPG"]),
        ({"include": ["2019"], "exclude": ["deep"]}, ["2019/b.tif"]),
    ],
)
def test_include_and_exclude(scans, options, expected):
    assert _relative(discover(["scans"], **options)) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("scans/scan10.jpg\nscans/2019\n", 3),
        ("\ufeffscans/scan10.jpg\r\nscans/scan2.JPG\r\n\r\n", 2),
        ("# a comment\n\nscans/*0.jpg\n", 1),
        ("scans/scan10.jpg\0scans/new\nline.jpg\0", 2),
    ],
)
def test_lists(scans, text, expected):
    _make(scans, "new\nline.jpg")
    Path("list.txt").write_bytes(text.encode())
    found = discover(["@list.txt"])
    assert len(found.files) == expected
    assert discover(["-"], listing=io.StringIO(text)).files == found.files


def test_a_comment_is_a_file_if_there_is_one(scans, tmp_path):
    _make(tmp_path, "#1.jpg")
    assert _relative(discover(["-"], listing=io.StringIO("#1.jpg\n#2.jpg\n"))) == ["#1.jpg"]


def test_odd_names_survive(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = [b"caf\xe9.jpg", "日本.jpg".encode(), "e\u0301.jpg".encode(), b" lead.jpg", b"a\nb.jpg"]
    (tmp_path / "in").mkdir()
    for name in names:
        Path(os.fsdecode(b"in/" + name)).write_bytes(b"x")
    found = discover(["in"])
    assert {os.fsencode(file.path.name) for file in found.files} == set(names)
    Path("list.txt").write_bytes(b"in/caf\xe9.jpg\n")
    assert discover(["@list.txt"]).files[0].path.is_file()


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_closed_folder_is_reported(scans):
    (scans / "2019").chmod(0)
    found = discover(["scans"])
    (scans / "2019").chmod(0o755)
    assert found.skipped[0][1].startswith("folder cannot be read")


def test_a_folder_that_fails_is_reported_and_the_rest_found(scans, monkeypatch):
    scandir = os.scandir

    def failing(folder):
        if str(folder).endswith("2019"):
            raise PermissionError(13, "Permission denied")
        return scandir(folder)

    monkeypatch.setattr(os, "scandir", failing)
    found = discover(["scans"])
    assert len(found.files) == 2
    assert (Path("scans/2019"), "folder cannot be read: Permission denied") in found.skipped


def test_what_is_no_picture_says_why(scans):
    _make(scans, "a.NEF", "b.pdf", "c.psd")
    os.mkfifo(scans / "pipe.jpg")
    (scans / "broken.jpg").symlink_to("nowhere")
    reasons = {path.name: reason for path, reason in discover(["scans"]).skipped}
    assert reasons["a.NEF"] == "a raw camera file: develop it first"
    assert reasons["pipe.jpg"] == "not a file"
    assert reasons["broken.jpg"] == "a link to nothing"


@pytest.mark.parametrize("words", [["empty"], ["empty/*.jpg"], ["scans/*.bmp"], []])
def test_nothing_found_says_what_was_looked_for(scans, words):
    Path("empty").mkdir()
    with pytest.raises(InputError, match="no picture found in " + (words or ["an empty"])[0][:5]):
        discover(words)


def test_nothing_found_names_the_filters_and_the_first_that_was_left(scans):
    with pytest.raises(InputError, match=r"with --include \*\.gif"):
        discover(["scans"], include=["*.gif"])
    with pytest.raises(InputError, match=r"notes\.txt: not a picture"):
        discover(["scans"], include=["*.txt"])


def test_lists_that_are_not_there():
    with pytest.raises(InputError, match=r"nolist\.txt"):
        discover(["@nolist.txt"])
    with pytest.raises(UsageError):
        discover(["-"])
    with pytest.raises(UsageError):
        discover([""])


def test_brackets_in_patterns():
    assert matches("a[b.jpg", "a[b.jpg")
    assert matches("ax.jpg", "a[!b].jpg")
    assert not matches("ab.jpg", "a[!b].jpg")
    assert matches("a^.jpg", "a[^].jpg")
    assert matches("a].jpg", "a[]].jpg")
    with pytest.raises(UsageError):
        matches("a", "[z-a]")


def test_natural_order():
    names = ["b", "a10", "a2", "a2/x", "A2b", "a002", "²"]
    backwards = names[::-1]
    assert sorted(names, key=natural_key) == sorted(backwards, key=natural_key)
    assert sorted(["p10", "p9", "p1"], key=natural_key) == ["p1", "p9", "p10"]
