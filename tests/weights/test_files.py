import hashlib
import subprocess

import pytest
from helpers.repositories import weights

from dit4sr_cli.core.errors import ModelError
from dit4sr_cli.core.words import as_size, did_you_mean
from dit4sr_cli.weights.files import digest, matches, read_toml, safetensors_problem, write_json
from dit4sr_cli.weights.manifest import (
    FILE_NAME,
    Manifest,
    PulledFile,
    is_complete,
    read_manifest,
    write_manifest,
)
from dit4sr_cli.weights.resolve import embedded_dir
from dit4sr_cli.weights.verify import verify_folder


def test_digests_are_those_of_sha256sum_and_git(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"what is in it\n" * 1000)
    assert digest(path) == f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"
    git = subprocess.run(["git", "hash-object", path], capture_output=True, text=True, check=True)
    assert digest(path, "git") == f"git:{git.stdout.strip()}"
    assert matches(path, digest(path, "git"))
    assert not matches(path, digest(path).replace("a", "b"))


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda data: data, ""),
        (lambda data: data[:-1], "bytes where its header says"),
        (lambda data: data + b"x", "bytes where its header says"),
        (lambda data: data[:20], "cut off in its header"),
        (lambda data: b"", "cut off in its header"),
        (lambda data: b"<html>not found</html>" * 9, "not a safetensors file"),
        (lambda data: data[:8] + b"x" + data[9:], "its header is damaged"),
    ],
)
def test_torn_safetensors_are_noticed(tmp_path, spoil, words):
    path = weights(tmp_path / "w.safetensors", 500)
    path.write_bytes(spoil(path.read_bytes()))
    problem = safetensors_problem(path)
    assert words in problem
    assert bool(words) == bool(problem)


def test_a_file_is_replaced_as_a_whole(tmp_path):
    path = tmp_path / "a" / "b.json"
    write_json(path, {"x": 1})
    with pytest.raises(TypeError):
        write_json(path, {"x": object()})
    assert path.read_text() == '{\n "x": 1\n}\n'
    assert list(path.parent.iterdir()) == [path]


def test_toml_that_is_not_there_is_empty(tmp_path):
    assert read_toml(tmp_path / "no.toml") == {}
    (tmp_path / "a.toml").write_bytes(b"\xff")
    with pytest.raises(ModelError, match="not TOML"):
        read_toml(tmp_path / "a.toml")


def test_a_manifest_is_read_as_it_was_written(tmp_path):
    assert read_manifest(tmp_path) is None
    file = PulledFile("vae/config.json", 2, "git:00", is_verified=True)
    manifest = Manifest(part="p", repo="a/b", commit="c", t5=False, licences=("x",), files=(file,))
    write_manifest(tmp_path, manifest)
    assert read_manifest(tmp_path) == manifest
    assert not is_complete(tmp_path, manifest)
    (tmp_path / "vae").mkdir()
    (tmp_path / "vae" / "config.json").write_text("{}")
    assert is_complete(tmp_path, manifest)


@pytest.mark.parametrize("text", ["{", "[]", '{"schema": 2}', '{"schema": 1, "files": 3}'])
def test_a_damaged_manifest_is_named(tmp_path, text):
    (tmp_path / FILE_NAME).write_text(text)
    with pytest.raises(ModelError, match=FILE_NAME):
        read_manifest(tmp_path)


def test_the_sums_of_nano_are_those_of_its_files():
    """After training: sha256sum model.json codec/* transformer/* > SHA256SUMS, in its folder."""
    result = verify_folder("nano", embedded_dir() / "nano")
    assert result.problems == ()
    files = {path for path in (embedded_dir() / "nano").rglob("*/*") if path.is_file()}
    assert result.num_files == len(files) + 1  # model.json


@pytest.mark.parametrize(
    ("num_bytes", "text"),
    [(0, "0 B"), (999, "999 B"), (1234, "1.2 kB"), (99_900, "99.9 kB"), (255_000, "255 kB")],
)
def test_sizes(num_bytes, text):
    assert as_size(num_bytes) == text
    assert as_size(9.5e9) == "9.5 GB"


def test_a_near_word_is_offered():
    assert did_you_mean("dit4srq", ["nano", "dit4sr-q"]) == "did you mean dit4sr-q?"
    assert did_you_mean("xyz", ["nano"]) == ""
