"""`dit4sr bench` on tiny pictures, as people call it."""

from __future__ import annotations

import json
import sys

import pytest
from helpers.cli import run_cli

from dit4sr_cli.core.errors import ExitCode

TINY = ["--size", "40x32", "--runs", "2", "--device", "cpu"]
NANO = ["--model", "nano"]


def _json(*args: object) -> dict:
    done = run_cli("bench", *args, "--json")
    assert done.code == 0, done.stderr
    (line,) = done.stdout.decode().splitlines()
    return json.loads(line)


def _python(code: str) -> str:
    return f"{sys.executable} -c '{code}' {{input}} {{output}}"


COPY = _python("import shutil, sys; shutil.copy(sys.argv[1], sys.argv[2])")


def test_the_default_beside_the_plain_path():
    found = _json(*TINY, *NANO)
    default, plain = found["variants"]
    assert (default["name"], default["plain"]) == ("default", False)
    assert (plain["name"], plain["plain"]) == ("plain", True)
    for side in found["variants"]:
        assert len(side["runs"]) == 2
        assert 0 < side["first_tile"] < side["seconds"]
        assert side["seconds_per_megapixel"] == pytest.approx(side["seconds"] / (160 * 128 / 1e6))
        assert 0 < side["base_bytes"] < side["peak_bytes"]
        assert {"reading", "encoding", "sampling", "decoding", "writing"} <= set(side["phases"])
        assert "loading the transformer" in side["first_run"]["phases"]
        assert sum(side["first_run"]["phases"].values()) <= side["first_run"]["seconds"]
    # Over 20 x 16 cells two tiles of 12 x 16, or of 16 x 16: X, L, and nano's four tokens of text.
    assert default["tokens"] == 2 * (2 * 192 + 4)
    assert plain["tokens"] == 2 * (2 * 256 + 4)
    ratio = found["ratio"]
    assert ratio["low"] <= ratio["value"] <= ratio["high"]
    assert (ratio["pairs"], ratio["level"]) == (2, 0.95)
    assert found["max_difference"] < 0.1


def test_as_a_table(photo):
    done = run_cli("bench", photo, *NANO, "--runs", "1")
    assert done.code == 0, done.stderr
    text = done.stdout.decode()
    assert text.startswith("photo.jpg -> 0.01 megapixels, nano, cpu, float32, 1 run of each")
    for words in (
        "seconds (median)",
        "tokens",
        "peak memory",
        "sampling",
        "times as fast as plain",
    ):
        assert words in text
    assert "one pair: no interval" in text
    assert list(photo.parent.iterdir()) == [photo]


def test_two_settings():
    found = _json(*TINY, *NANO, "--compare", "steps=3", "tile=32")
    three, whole = found["variants"]
    assert (three["name"], whole["name"]) == ("steps=3", "tile=32")
    assert three["tokens"] == 3 * 2 * (2 * 192 + 4)
    assert whole["tokens"] == 2 * 320 + 4
    assert found["psnr"] > 10 and found["max_difference"] > 0


def test_the_same_settings_make_the_same_picture():
    found = _json(*TINY, *NANO, "--compare", "", "steps=1")
    assert (found["psnr"], found["max_difference"]) == (None, 0)


@pytest.mark.parametrize("steps", [[], ["--steps", "2"]])
def test_random_weights(tmp_path, steps):
    config = tmp_path / "config.json"
    values = {
        "num_layers": 2,
        "attention_head_dim": 8,
        "num_attention_heads": 2,
        "joint_attention_dim": 32,
        "caption_projection_dim": 16,
        "pooled_projection_dim": 24,
        "pos_embed_max_size": 40,
    }
    config.write_text(json.dumps(values))
    found = _json("--random-weights", config, "--size", "32x24", "--runs", "1", *steps)
    for side in found["variants"]:
        # 16 x 12 cells by patches of 2; 77 + 256 tokens of text; both halves of guidance.
        assert side["tokens"] == 2 * (2 * 8 * 6 + 333) * (2 if steps else 1)
        assert side["first_run"]["phases"].keys() >= {"loading the transformer", "sampling"}
    assert found["max_difference"] < 1e-4
    assert found["random_weights"] == str(config)


def test_another_program():
    found = _json(*TINY, *NANO, "--versus", COPY)
    assert found["versus"] == COPY
    assert len(found["ours"]["runs"]) == len(found["theirs"]["runs"]) == 2
    assert found["theirs"]["seconds"] < found["ours"]["seconds"]
    assert found["ratio"]["value"] < 1
    assert found["warm"]["seconds"] < found["ours"]["seconds"]


def test_another_program_as_a_table():
    done = run_cli("bench", *TINY, *NANO, "--versus", "cp {input} {output}")
    assert done.code == 0, done.stderr
    text = done.stdout.decode()
    assert "dit4sr upscale" in text and "cp {input} {output}" in text and "95 %" in text


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (_python('import sys; sys.exit("out of luck")'), ["failed with code 1", "out of luck"]),
        ("no-such-program {input} {output}", ["no-such-program", "cannot be started"]),
        (_python("pass"), ["{output}"]),
        (_python("import os; os.kill(os.getpid(), 9)"), ["signal 9"]),
    ],
)
def test_another_program_that_fails(command, words):
    done = run_cli("bench", *TINY, *NANO, "--versus", command)
    assert done.code == ExitCode.COMMAND
    (line,) = done.lines
    assert line.startswith("error: ")
    for word in words:
        assert word in line
    assert done.stdout == b""


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["--size", "128"], ["--size", "WIDTHxHEIGHT"]),
        (["--compare", "steps=4", "nonsense=1"], ["nonsense"]),
        (["--compare", "", "steps=4", "--versus", "cp"], ["--compare", "--versus"]),
        (["--random-weights", "huge"], ["huge", "full", "small"]),
        (["--random-weights", "small", "--versus", "cp"], ["--random-weights"]),
        (["--versus", "'"], ["--versus"]),
        (["--runs", "0"], ["--runs"]),
        (["--device", "cuda"], ["--device"]),
    ],
)
def test_what_makes_no_sense(args, words):
    done = run_cli("bench", *args, env={"CUDA_VISIBLE_DEVICES": ""})
    assert done.code == ExitCode.USAGE
    (line,) = done.lines
    for word in words:
        assert word in line


def test_a_photo_that_is_not_there(tmp_path):
    done = run_cli("bench", tmp_path / "none.jpg", "--json")
    assert done.code == ExitCode.INPUT
    assert json.loads(done.stdout)["error"]["code"] == ExitCode.INPUT


def test_what_a_run_raises_is_told_as_upscale_would(tmp_path):
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"no picture\n" * 50)
    done = run_cli("bench", broken, *NANO)
    assert done.code == ExitCode.INPUT
    (line,) = done.lines
    assert "broken.jpg" in line
