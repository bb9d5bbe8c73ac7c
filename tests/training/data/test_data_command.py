import json

import pytest
from helpers import images
from helpers.cli import run_cli


def _record(done):
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def data(photographs, tmp_path_factory):
    folder = tmp_path_factory.mktemp("command") / "data"
    done = run_cli("data", "pairs", photographs, "-o", folder, "--size", "64", "--per-photo", "1")
    assert done.code == 0 and done.stdout == b""
    assert done.lines[-1].startswith(f"{folder}: pairs: 3 made, 0 there before, 0 failed, ")
    return folder


def test_from_photographs_to_shards_for_nano(data, tmp_path):
    """All of it by command; what is run a second time makes nothing."""
    latents = ["latents", data, "--model", "nano", "--dtype", "fp16", "--batch", "2"]
    steps = [
        (["captions", data, "--empty"], 3),
        (latents, 3),
        (latents, 0),
        (["pack", data, "-o", tmp_path / "shards", "--shards", "2"], 3),
    ]
    for step, made in steps:
        record = _record(run_cli("data", *step, "--json"))
        assert record["command"] == f"data {step[0]}"
        assert (record["made"], record["kept"], record["failed"]) == (made, 3 - made, [])
    done = run_cli("data", "embeds", data, "--model", "nano")
    assert done.code == 0 and "nano reads no text" in done.stderr
    assert not (data / "prompt_embeds").exists() and not (data / "null.safetensors").exists()


def test_embeds_by_a_model_with_text(photographs, tiny_model, tmp_path):
    run_cli("data", "pairs", photographs, "-o", tmp_path, "--size", "64", "--crops", "2", "-q")
    missing = run_cli("data", "embeds", tmp_path, "--model", tiny_model)
    assert missing.code == 3
    assert missing.lines == [
        f"error: {tmp_path}: no captions in it (run: dit4sr data captions {tmp_path})"
    ]
    run_cli("data", "captions", tmp_path, "--empty", "-q")
    record = _record(run_cli("data", "embeds", tmp_path, "--model", tiny_model, "--json"))
    assert (record["made"], record["model"]) == (2, "tiny")


def test_some_bad_photographs_are_code_8_and_only_bad_ones_their_own(tmp_path):
    images.save(tmp_path / "good.png", 64, 64)
    (tmp_path / "bad.jpg").write_text("no picture")
    args = ["data", "pairs", "-o", tmp_path / "data", "--size", "64", "--json"]
    done = run_cli(*args, tmp_path)
    assert done.code == 8
    record = _record(done)
    assert record["made"] == 1
    assert [failed["file"] for failed in record["failed"]] == [str(tmp_path / "bad.jpg")]
    assert done.lines[0].startswith(f"error: {tmp_path / 'bad.jpg'}: is not a picture")
    assert run_cli(*args, tmp_path / "bad.jpg").code == 3


@pytest.mark.parametrize(
    ("args", "code", "message"),
    [
        (["pairs", "PHOTOS", "-o", "OUT", "--size", "72"], 2, "multiple of 16"),
        (["pairs", "PHOTOS", "-o", "OUT", "--per-photo", "1", "--crops", "2"], 2, "one of the two"),
        (["pairs", "PHOTOS"], 2, "--output"),
        (["pairs", "no*where", "-o", "OUT"], 3, "no picture found"),
        (["pairs", "PHOTOS", "-o", "DATA", "--size", "64", "--seed", "5"], 4, "seed 0, not seed 5"),
        (["captions", "DATA"], 5, "--from FOLDER or --empty"),
        (["captions", "OUT", "--empty"], 3, "no such folder"),
        (["latents", "DATA", "--model", "nanno"], 5, "did you mean nano"),
        (["pack", "DATA", "-o", "DATA"], 2, "folder of their own"),
    ],
)
def test_wrong_commands_say_what_to_do(photographs, data, tmp_path, args, code, message):
    places = {"PHOTOS": photographs, "DATA": data, "OUT": tmp_path / "out"}
    done = run_cli("data", *(places.get(word, word) for word in args))
    assert done.code == code
    assert len(done.lines) == 1 and done.lines[0].startswith("error: ")
    assert message in done.lines[0]
    assert not (tmp_path / "out").exists()
