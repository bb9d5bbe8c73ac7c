"""`dit4sr doctor`: what a bug report needs, also where things are broken."""

from __future__ import annotations

import json

from helpers.cli import run_cli


def doctor(home, **env):
    done = run_cli("doctor", "--json", env={"DIT4SR_HOME": str(home), **env})
    assert (done.code, done.stderr) == (0, "")
    return json.loads(done.stdout)


def test_what_would_run_is_told(tmp_path):
    found = doctor(tmp_path)
    assert found["device"]["kind"] in ("cpu", "cuda", "mps")
    run = found["run"]
    assert (run["model"], run["photo"], run["result"]) == ("nano", [1224, 816], [4896, 3264])
    assert run["seconds"] > 0
    assert run["memory_bytes"] > 1e9
    assert run["seconds_are"] == "a guess"  # nothing has run in this home
    assert found["versions"]["torch"] != "missing"


def test_folders_with_their_sizes_and_problems(tmp_path):
    (tmp_path / "models" / "mine").mkdir(parents=True)
    (tmp_path / "models" / "mine" / "weights").write_bytes(bytes(1000))
    (tmp_path / "cache").touch()
    folders = doctor(tmp_path)["folders"]
    assert folders["models"] == {"path": str(tmp_path / "models"), "bytes": 1000}
    assert "is a file, not a folder" in folders["cache"]["problem"]


def test_a_broken_models_toml_is_a_finding(tmp_path):
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "models.toml").write_text("[[[")
    assert "models.toml" in doctor(tmp_path)["model"]["problem"]


def test_secrets_are_not_told(tmp_path):
    found = doctor(tmp_path, HF_TOKEN="hf_secret", OMP_NUM_THREADS="1")
    assert found["environment"]["HF_TOKEN"] == "(set)"
    assert found["environment"]["OMP_NUM_THREADS"] == "1"


def test_extras_say_how_they_are_installed(tmp_path):
    extras = doctor(tmp_path)["extras"]
    if "problem" in extras:  # run from the sources alone
        return
    assert {"train", "eval", "watch", "ray"} <= set(extras)
    assert "dev" not in extras
    shown = run_cli("doctor").stdout.decode()
    for name, extra in extras.items():
        wanted = f"{name} installed" if extra["installed"] else f"pip install 'dit4sr[{name}]'"
        assert wanted in shown


def test_completion_is_found_where_it_is_put(tmp_path):
    place = tmp_path / ".local/share/bash-completion/completions/dit4sr"
    home = {"HOME": str(tmp_path), "XDG_DATA_HOME": None}
    assert doctor(tmp_path, **home)["completion"]["bash"] != str(place)
    place.parent.mkdir(parents=True)
    place.touch()
    assert doctor(tmp_path, **home)["completion"]["bash"] == str(place)
