"""Captions that people have written down: where they are looked for, and what is read."""

from __future__ import annotations

import pytest

from dit4sr_cli.captions.prompts import QUALITY_SUFFIX, compose
from dit4sr_cli.captions.source import Caption, read_text, write_text, written_caption
from dit4sr_cli.core.errors import InputError, OutputError
from dit4sr_cli.core.events import Noted, Warned


@pytest.fixture
def places(tmp_path):
    """A picture with a caption in every place."""
    (tmp_path / "prompts").mkdir()
    (tmp_path / "photo.jpg").touch()
    (tmp_path / "given.txt").write_text("from the file")
    (tmp_path / "prompts" / "photo.txt").write_text("from the folder")
    (tmp_path / "photo.txt").write_text("from the sidecar")
    return tmp_path


def find(places, *, prompt=None, file=False, folder=False, sidecars=False, observe=None):
    return written_caption(
        places / "photo.jpg",
        prompt=prompt,
        prompt_file=places / "given.txt" if file else None,
        prompts=places / "prompts" if folder else None,
        sidecars=sidecars,
        observe=observe or (lambda event: None),
    )


def test_the_first_of_all_places_is_taken(places):
    everywhere = {"prompt": "a cat", "file": True, "folder": True, "sidecars": True}
    expected = [
        Caption("a cat", "option"),
        Caption("from the file", f"file:{places / 'given.txt'}"),
        Caption("from the folder", f"folder:{places / 'prompts' / 'photo.txt'}"),
        Caption("from the sidecar", f"sidecar:{places / 'photo.txt'}"),
    ]
    for name, caption in zip(list(everywhere), expected, strict=True):
        assert find(places, **everywhere) == caption
        del everywhere[name]
    assert find(places) is None


def test_an_empty_prompt_is_a_prompt(places):
    assert find(places, prompt="", sidecars=True) == Caption("", "option")
    (places / "photo.txt").write_text("\n")
    assert find(places, sidecars=True).text == ""


def test_the_full_name_goes_first(places):
    (places / "photo.jpg.txt").write_text("full name")
    (places / "prompts" / "photo.jpg.txt").write_text("full name in the folder")
    assert find(places, sidecars=True).text == "full name"
    assert find(places, folder=True).text == "full name in the folder"


def test_a_folder_is_matched_by_name_never_by_order(places):
    for name in ("aaa.txt", "photo2.txt", "other.jpg.txt"):
        (places / "prompts" / name).write_text("of another picture")
    assert find(places, folder=True).text == "from the folder"


def test_a_folder_without_this_picture_warns_and_leaves_it_to_others(places):
    (places / "prompts" / "photo.txt").unlink()
    heard = []
    assert find(places, folder=True, sidecars=True, observe=heard.append).text.endswith("sidecar")
    assert [type(event) for event in heard] == [Warned, Noted]
    assert "photo.jpg.txt or photo.txt" in heard[0].message


def test_a_picture_from_a_pipe_has_no_name(places):
    heard = []
    found = written_caption(None, prompts=places / "prompts", observe=heard.append)
    assert found is None
    assert "no name" in heard[0].message


def test_a_missing_folder_is_an_error(places):
    with pytest.raises(InputError, match="no such folder"):
        written_caption(places / "photo.jpg", prompts=places / "nowhere")


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"one line", "one line"),
        (b"\xef\xbb\xbfwith a BOM\r\n", "with a BOM"),
        ("  zwei\tZeilen,\n\n  größer  ".encode(), "zwei Zeilen, größer"),
        (b"", ""),
    ],
)
def test_texts_become_one_line(tmp_path, data, text):
    path = tmp_path / "prompt.txt"
    path.write_bytes(data)
    assert read_text(path) == text


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"x" * (64 * 1024 + 1), "64 KiB"),
        (b"\xff\xd8\xff\xe0 a JPEG", "UTF-8"),
        ("Umlaut ä".encode("utf-16"), "UTF-8"),
        (b"zero\0byte", "not a text"),
    ],
)
def test_what_is_no_prompt_is_refused_by_name(tmp_path, data, why):
    path = tmp_path / "prompt.txt"
    path.write_bytes(data)
    with pytest.raises(InputError, match=why) as caught:
        read_text(path)
    assert str(path) in caught.value.message


def test_missing_and_folders_are_refused(tmp_path):
    with pytest.raises(InputError, match=r"no such file"):
        read_text(tmp_path / "nothing.txt")
    with pytest.raises(InputError):
        read_text(tmp_path)


def test_what_is_written_is_read(tmp_path):
    write_text(tmp_path / "photo.txt", "ein großes Haus")
    assert (tmp_path / "photo.txt").read_bytes() == "ein großes Haus\n".encode()
    assert read_text(tmp_path / "photo.txt") == "ein großes Haus"
    assert [path.name for path in tmp_path.iterdir()] == ["photo.txt"]


def test_a_place_that_cannot_be_written_is_an_output_error(tmp_path):
    with pytest.raises(OutputError, match="cannot be written"):
        write_text(tmp_path / "nowhere" / "photo.txt", "text")


def test_compose():
    assert compose("A cat.") == f"A cat. {QUALITY_SUFFIX}"
    assert compose("") == QUALITY_SUFFIX
    assert compose("A cat.", "oil painting") == "A cat. oil painting"
    assert compose("A cat.", "") == "A cat."
    assert compose("", "") == ""
