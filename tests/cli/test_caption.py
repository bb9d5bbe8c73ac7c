"""`dit4sr caption` from the outside, with a captioner that really speaks."""

from __future__ import annotations

import json

import pytest
from helpers import images, tiny_hub
from helpers.cli import run_cli

from dit4sr_cli.captions.source import read_text, written_caption


@pytest.fixture(scope="module")
def captioner(tmp_path_factory):
    return tiny_hub.build_smolvlm(tmp_path_factory.mktemp("captioners") / "smolvlm")


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """Shared, so that later tests find what earlier ones were told."""
    return {"DIT4SR_HOME": str(tmp_path_factory.mktemp("home"))}


@pytest.fixture
def photos(tmp_path):
    # The same picture twice: the captioner is loaded only by the first test that asks for it.
    for name in ("a.jpg", "b.jpg"):
        images.save(tmp_path / name, quality=95)
    return tmp_path


def caption(photos, captioner, home, *args, **options):
    return run_cli("caption", *args, "--captioner", captioner, cwd=photos, env=home, **options)


def test_one_file_is_the_caption_alone_and_a_prompt_file(photos, captioner, home):
    done = caption(photos, captioner, home, "a.jpg")
    assert (done.code, done.stderr) == (0, "")
    assert done.stdout.count(b"\n") == 1
    (photos / "p.txt").write_bytes(done.stdout)
    text = done.stdout.decode().rstrip("\n")
    assert text
    assert read_text(photos / "p.txt") == text
    assert caption(photos, captioner, home, "a.jpg").stdout == done.stdout


def test_several_files_go_on_after_a_bad_one(photos, captioner, home):
    done = caption(photos, captioner, home, "a.jpg", "missing.jpg", "b.jpg")
    assert done.code == 8
    assert done.lines == ["error: missing.jpg: no such file"]
    lines = [line.split("\t") for line in done.stdout.decode().splitlines()]
    assert [(name, bool(text)) for name, text in lines] == [("a.jpg", True), ("b.jpg", True)]


def test_all_bad(photos, captioner, home):
    (photos / "broken.jpg").write_bytes(b"no picture")
    assert caption(photos, captioner, home, "missing.jpg", "broken.jpg").code == 3
    done = caption(photos, captioner, home, "missing.jpg")
    assert (done.code, done.stdout) == (3, b"")


def test_json_says_where_it_is_from(photos, captioner, home):
    done = caption(photos, captioner, home, "a.jpg", "missing.jpg", "--json")
    assert done.code == 8
    told, failed = [json.loads(line) for line in done.stdout.splitlines()]
    assert told["schema"] == 1
    assert (told["command"], told["file"]) == ("caption", "a.jpg")
    assert told["origin"] == "captioner:smolvlm"
    assert told["captioner"] == "smolvlm"
    assert told["dropped"] == []
    assert told["caption"] == told["raw"]
    assert (failed["file"], failed["error"]["code"]) == ("missing.jpg", 3)


def test_standard_input(photos, captioner, home):
    data = (photos / "a.jpg").read_bytes()
    piped = caption(photos, captioner, home, "-", input=data)
    assert piped.code == 0
    assert piped.stdout == caption(photos, captioner, home, "a.jpg").stdout
    refused = caption(photos, captioner, home, "-", "--write-sidecars", input=data)
    assert refused.code == 2


def test_sidecars_are_written_kept_and_replaced(photos, captioner, home):
    done = caption(photos, captioner, home, "a.jpg", "b.jpg", "--write-sidecars")
    assert (done.code, done.stdout) == (0, b"")
    assert done.lines == ["a.jpg -> a.txt", "b.jpg -> b.txt"]
    written = (photos / "a.txt").read_text()
    assert written_caption(photos / "a.jpg").text == written.strip()
    (photos / "a.txt").write_text("mine")
    kept = caption(photos, captioner, home, "a.jpg", "--write-sidecars")
    assert (kept.code, (photos / "a.txt").read_text()) == (0, "mine")
    assert "kept" in kept.stderr
    caption(photos, captioner, home, "a.jpg", "--write-sidecars", "--overwrite")
    assert (photos / "a.txt").read_text() == written


def test_no_captioner_on_this_machine(photos, home):
    done = run_cli("caption", "a.jpg", cwd=photos, env=home)
    assert done.code == 5
    assert "no captioner on this machine" in done.stderr
    assert "dit4sr models pull" in done.stderr


def test_a_folder_that_is_no_captioner(photos, home):
    done = run_cli("caption", "a.jpg", "--captioner", photos, cwd=photos, env=home)
    assert (done.code, len(done.lines)) == (5, 1)


def test_help_is_light(photos):
    done = run_cli("caption", "--help", faults=["list_imports"])
    assert done.code == 0
    assert b"--write-sidecars" in done.stdout
    imported = done.stderr.split("IMPORTED")[1].split()
    assert not {"torch", "transformers", "numpy", "PIL"} & set(imported)


def test_a_missing_file_needs_no_torch(photos, captioner, home):
    done = caption(photos, captioner, home, "missing.jpg", faults=["list_imports"])
    assert done.code == 3
    assert not {"torch", "transformers"} & set(done.stderr.split("IMPORTED")[1].split())
