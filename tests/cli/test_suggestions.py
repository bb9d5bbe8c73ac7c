"""A slip of the pen is answered with what was meant."""

from __future__ import annotations

import pytest
from helpers.cli import run_cli

SLIPS = [
    ("upscal photo.jpg", "upscale"),
    ("models pul", "pull"),
    ("upscale photo.jpg --stepz 3", "--steps"),
    ("upscale photo.jpg --stepz=3", "--steps"),
    ("upscale photo.jpg --no-t6", "--no-t5"),
    ("--versoin", "--version"),
    ("upscale photo.jpg --preset blanced", "balanced"),
    ("upscale photo.jpg --color-fix wavlet", "wavelet"),
    ("upscale photo.jpg --model nanno", "nano"),
    ("upscale phot.jpg", "photo.jpg"),
    ("caption photo.jpg --captioner smolvml", "smolvlm"),
    ("models info smolvml", "smolvlm"),
    ("models pull dit4sr-qq", "dit4sr-q"),
    ("train papr --data . -o run", "paper"),
    ("completion zhs", "zsh"),
]


@pytest.mark.parametrize(("words", "meant"), SLIPS)
def test_the_near_one_is_suggested(words, meant, tmp_path):
    (tmp_path / "photo.jpg").write_bytes(b"x")
    done = run_cli(*words.split(), cwd=tmp_path)
    assert done.code != 0
    (line,) = done.lines
    assert line.startswith("error: ")
    assert line.endswith(f"(did you mean {meant}?)")


def test_where_nothing_is_near_the_help_is_named():
    assert run_cli("frobnicate").lines[0].endswith("(see dit4sr --help)")
    assert run_cli("upscale", "--zzzzz").lines[0].endswith("(see dit4sr upscale --help)")


@pytest.mark.parametrize("encoding", ["cp1252", "cp437", "ascii"])
def test_a_code_page_without_the_name_is_no_matter(encoding, tmp_path):
    """As on Windows: what the terminal cannot show is escaped, on either stream."""
    env = {"PYTHONIOENCODING": encoding}
    done = run_cli("upscale", tmp_path / "☃.jpg", env=env)
    assert done.code == 3
    assert "\\u2603.jpg: no such file" in done.stderr
    folder = tmp_path / "☃"
    done = run_cli("models", "path", env={**env, "DIT4SR_HOME": str(folder)})
    assert done.code == 0
    assert b"\\u2603" in done.stdout
