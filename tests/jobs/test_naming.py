"""Names of results: templates, the mirrored tree, and never one name for two."""

from __future__ import annotations

from pathlib import Path

import pytest

from dit4sr_cli.core.errors import UsageError
from dit4sr_cli.core.settings import UpscaleSettings
from dit4sr_cli.jobs.discover import Found
from dit4sr_cli.jobs.naming import targets


def _named(*relatives: str, **options) -> list[str]:
    files = [Found(Path("in") / relative, Path(relative)) for relative in relatives]
    options = {
        "output": Path("out"),
        "template": None,
        "format": None,
        "settings": UpscaleSettings(),
        **options,
    }
    return [target.as_posix() for target in targets(files, **options).values()]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, ["out/a_x4.png", "out/s/b_x4.TIF"]),
        ({"output": None}, ["in/a_x4.png", "in/s/b_x4.TIF"]),
        ({"format": "jpg"}, ["out/a_x4.jpg", "out/s/b_x4.jpg"]),
        ({"settings": UpscaleSettings(scale=2.5)}, ["out/a_x2.5.png", "out/s/b_x2.5.TIF"]),
        ({"settings": UpscaleSettings(long_edge=600)}, ["out/a_600px.png", "out/s/b_600px.TIF"]),
        ({"template": "{name}{suffix}"}, ["out/a.jpg.png", "out/s/b.TIF.TIF"]),
        ({"template": "{stem}-big"}, ["out/a-big.png", "out/s/b-big.TIF"]),
        ({"template": "{stem}.{ext}.webp"}, ["out/a.jpg.webp", "out/s/b.TIF.webp"]),
        ({"template": "x{scale}/{stem}{suffix}"}, ["out/x4/a.png", "out/s/x4/b.TIF"]),
        ({"template": "new/{parent}/{stem}{suffix}"}, ["out/new/a.png", "out/new/s/b.TIF"]),
        (
            {"template": "big/{parent}/{stem}{suffix}", "output": None},
            ["in/big/a.png", "in/big/s/b.TIF"],
        ),
        ({"template": "{stem}{{1}}{suffix}"}, ["out/a{1}.png", "out/s/b{1}.TIF"]),
    ],
)
def test_names(options, expected):
    assert _named("a.jpg", "s/b.TIF", **options) == expected


def test_two_pictures_of_one_name_both_take_the_whole_of_it():
    expected = ["out/a.jpg_x4.png", "out/a.png_x4.png", "out/b_x4.png", "out/a_x4.tif"]
    assert _named("a.jpg", "a.png", "b.png", "a.tif") == expected
    assert _named("a.png", "a.jpg") == ["out/a.png_x4.png", "out/a.jpg_x4.png"]


def test_a_template_that_names_two_alike_is_refused():
    with pytest.raises(UsageError, match=r"in/a\.jpg and in/a\.png would both become out/a\.png"):
        _named("a.jpg", "a.png", template="{stem}{suffix}")


@pytest.mark.parametrize(
    ("template", "words"),
    [
        ("{stm}{suffix}", "unknown field {stm}"),
        ("{}", "unknown field {}"),
        ("{0}", "unknown field {0}"),
        ("{stem.__class__}", "unknown field"),
        ("{stem[0]}", "unknown field"),
        ("{stem!r}", "no : and no !"),
        ("{stem:>{name}}", "no : and no !"),
        ("{stem", "expected '}'"),
        ("stem}", "Single '}'"),
        ("../{stem}{suffix}", "outside"),
        ("a/../../{stem}{suffix}", "outside"),
        ("/tmp/{stem}{suffix}", "outside"),
        ("{stem}/", "name is missing"),
        ("", "name is missing"),
        ("a\0{stem}", "outside"),
    ],
)
def test_templates_that_are_none(template, words):
    with pytest.raises(UsageError) as caught:
        _named("a.jpg", template=template)
    assert words in caught.value.message


def test_an_unknown_field_is_told_the_known_ones():
    with pytest.raises(UsageError) as caught:
        _named("a.jpg", template="{steem}")
    assert "did you mean stem?" in caught.value.hint
    assert "{size}" in caught.value.hint


def test_scale_is_unknown_with_a_long_edge():
    with pytest.raises(UsageError, match="every picture has its own"):
        _named("a.jpg", template="{scale}", settings=UpscaleSettings(long_edge=100))


def test_a_result_never_lands_on_an_input():
    with pytest.raises(UsageError, match=r"would land on in/a_x4\.png"):
        _named("a.png", "a_x4.png", output=None)
    with pytest.raises(UsageError, match="would land on"):
        _named("a.tif", output=None, template="{stem}.tif")


def test_not_even_through_a_link(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.tif").write_bytes(b"x")
    (tmp_path / "out").symlink_to("in")
    file = Found(tmp_path / "in" / "a.tif", Path("a.tif"))
    with pytest.raises(UsageError, match="would land on"):
        targets(
            [file],
            output=tmp_path / "out",
            template="{stem}{suffix}",
            format=None,
            settings=UpscaleSettings(),
        )


def test_names_do_not_depend_on_the_order():
    names = ["b.jpg", "a.jpg", "a.png"]
    assert set(_named(*names)) == set(_named(*reversed(names)))
