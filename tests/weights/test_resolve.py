import shutil

import pytest
from helpers import parity

from dit4sr_cli.core.errors import ModelError
from dit4sr_cli.weights.resolve import installed, resolve
from dit4sr_cli.weights.spec import ModelSpec, read_spec


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("DIT4SR_HOME", str(tmp_path))
    return tmp_path


def _put(folder):
    shutil.copytree(parity.FOLDER / "transformer_r1", folder / "transformer")
    return folder


def test_auto_prefers_published_weights(home):
    assert resolve("auto").name == "nano"
    _put(home / "models" / "dit4sr-f")
    assert resolve("auto").name == "dit4sr-f"
    _put(home / "models" / "dit4sr-q")
    assert resolve("auto").name == "dit4sr-q"
    assert resolve("nano").name == "nano"
    assert [found.name for found in installed()] == ["nano", "dit4sr-f", "dit4sr-q"]


def test_a_folder_is_a_model(tmp_path):
    found = resolve(str(_put(tmp_path / "mine")))
    assert (found.name, found.rule) == ("mine", "path")
    assert read_spec(found.folder) == ModelSpec(name="mine")


def test_what_is_not_there_is_said(tmp_path):
    with pytest.raises(ModelError, match="dit4sr-q: not on this machine"):
        resolve("dit4sr-q")
    with pytest.raises(ModelError, match="no such model") as error:
        resolve("dit4srq")
    assert "nano" in error.value.hint
    with pytest.raises(ModelError, match="no model in this folder"):
        resolve(str(tmp_path))


def test_a_spec_of_a_newer_version_is_refused(tmp_path):
    (tmp_path / "model.json").write_text('{"name": "x", "shiny": 1}')
    with pytest.raises(ModelError, match="'shiny'"):
        read_spec(tmp_path)
    (tmp_path / "model.json").write_text('{"start": "middle"}')
    with pytest.raises(ModelError, match="middle"):
        read_spec(tmp_path)
