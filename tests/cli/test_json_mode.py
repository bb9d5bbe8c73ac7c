"""--json: exactly one object on stdout, with a schema number, on success and on failure."""

from __future__ import annotations

import json

import pytest
from helpers import images
from helpers.cli import run_cli

from dit4sr_cli.core.errors import ExitCode


def one_object(stdout: bytes) -> dict:
    (line,) = stdout.decode("ascii").splitlines()
    record = json.loads(line)
    assert record["schema"] == 1
    return record


def test_upscale(tmp_path, photo):
    out = tmp_path / "out.png"
    args = ["--seed", "7", "--steps", "3", "--prompt", "a cat", "--dtype", "bf16", "--json"]
    done = run_cli("upscale", photo, "-o", out, *args, faults=["fake_model", "pollute"])
    record = one_object(done.stdout)
    assert record["seconds"] >= 0
    expected = {
        "command": "upscale",
        "input": str(photo),
        "output": str(out),
        "input_size": [24, 16],
        "output_size": [96, 64],
        "format": "png",
        "pages": 1,
        "model": "nano",
        "steps": 3,
        "guidance": 1.0,
        "seed": 7,
        "tiles": 2,
        "device": "cpu",
        "dtype": "bf16",
        "prompt": "a cat",
        "warnings": ["nano reads no prompt: --prompt is ignored"],
    }
    assert {name: record[name] for name in expected} == expected
    assert "->" not in done.stderr


def test_names_of_any_bytes_survive(tmp_path):
    source = images.save(tmp_path / "photo.png").rename(tmp_path / "grün\n\udcff.png")
    done = run_cli("upscale", source, "--json", "-q", faults=["fake_model"])
    assert done.code == 0, done.stderr
    assert one_object(done.stdout)["input"] == str(source)
    assert done.stderr == ""


@pytest.mark.parametrize("command", ["doctor", "models list", "models path"])
def test_other_commands(command):
    done = run_cli(*command.split(), "--json")
    assert one_object(done.stdout)["command"] == command
    assert done.stderr == ""


def test_failures_are_objects_too(tmp_path):
    done = run_cli("upscale", tmp_path / "missing.jpg", "--json")
    assert done.code == ExitCode.INPUT
    error = one_object(done.stdout)["error"]
    assert (error["kind"], error["code"]) == ("InputError", ExitCode.INPUT)
    assert "missing.jpg" in error["message"]
    assert done.stderr.startswith("error: ")


def test_bugs_are_objects_too(tmp_path, photo):
    args = ["upscale", photo, "-o", tmp_path / "o.png", "--json"]
    done = run_cli(*args, faults=["fake_model", "crash"])
    assert done.code == ExitCode.INTERNAL
    assert "ZeroDivisionError" in one_object(done.stdout)["error"]["message"]


def test_picture_and_json_cannot_share_stdout(photo):
    for args in (["upscale", photo, "-o", "-"], ["upscale", "-"]):
        done = run_cli(*args, "--json", input=photo.read_bytes())
        assert done.code == ExitCode.USAGE
        assert "--json" in done.stderr
        assert done.stdout == b""
