import json
import shutil

import pytest
from helpers import parity

from dit4sr_cli.core.errors import ModelError
from dit4sr_cli.core.types import ColorFix
from dit4sr_cli.weights.files import digest
from dit4sr_cli.weights.manifest import Manifest, PulledFile, write_manifest
from dit4sr_cli.weights.resolve import embedded_dir, installed, resolve, resolve_captioner
from dit4sr_cli.weights.spec import ModelSpec, read_spec


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("DIT4SR_HOME", str(tmp_path))
    return tmp_path


def _put(folder, *, base=True):
    shutil.copytree(parity.FOLDER / "transformer_r1", folder / "transformer")
    return _put_base(folder) if base else folder


def _put_base(folder):
    (folder / "vae").mkdir(parents=True)
    (folder / "vae" / "config.json").write_text("{}")
    return folder


def _pulled(home, name, paths, *, is_complete=True):
    """A part as a pull leaves it; without its last file, if it is not complete."""
    root = home / "models" / name
    files = []
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text("{}")
        files.append(PulledFile(path, 2, digest(root / path), is_verified=True))
    if not is_complete:
        (root / paths[-1]).unlink()
    write_manifest(root, Manifest(part=name, repo="a/b", commit="c" * 40, files=tuple(files)))
    return root


def _write_toml(home, text):
    (home / "config").mkdir(exist_ok=True)
    (home / "config" / "models.toml").write_text(text)


def test_auto_prefers_published_weights(home):
    assert resolve("auto").name == "nano"
    _put(home / "models" / "dit4sr-f")
    assert resolve("auto").name == "dit4sr-f"
    _put(home / "models" / "dit4sr-q")
    assert resolve("auto").name == "dit4sr-q"
    assert resolve("nano").name == "nano"
    assert [found.name for found in installed()] == ["nano", "dit4sr-q", "dit4sr-f"]


def test_auto_passes_over_what_is_not_complete(home):
    _pulled(home, "dit4sr-q", ["dit4sr_q/transformer/config.json", "w"], is_complete=False)
    assert resolve("auto").name == "nano"
    _pulled(home, "dit4sr-f", ["dit4sr_f/transformer/config.json"])
    assert resolve("auto").name == "nano"  # its base is missing
    _pulled(home, "sd3.5-medium", ["vae/config.json"])
    assert resolve("auto").name == "dit4sr-f"


def test_a_pulled_model(home):
    _pulled(home, "dit4sr-r1", ["dit4sr_r1/transformer/config.json"])
    base = _pulled(home, "sd3.5-medium", ["vae/config.json"])
    found = resolve("dit4sr-r1")
    assert (found.name, found.rule, found.revision) == ("dit4sr-r1", "pulled", "c" * 40)
    assert found.folder == home / "models" / "dit4sr-r1" / "dit4sr_r1"
    assert found.base == base
    assert (found.spec.wiring, found.spec.injection_scale, found.spec.steps) == ("r1", 1.2, 40)


def test_a_pull_that_broke_off_names_the_command(home):
    _pulled(home, "dit4sr-q", ["dit4sr_q/transformer/config.json", "w"], is_complete=False)
    with pytest.raises(ModelError, match="only partly on this machine") as error:
        resolve("dit4sr-q")
    assert error.value.hint == "dit4sr models pull dit4sr-q"
    (home / "models" / "dit4sr-q" / "w").write_text("other")
    with pytest.raises(ModelError, match="only partly"):  # its size is wrong
        resolve("dit4sr-q")


def test_a_published_model_put_there_by_hand_keeps_its_wiring(home):
    folder = _put(home / "models" / "dit4sr-r1")
    found = resolve("dit4sr-r1")
    assert (found.folder, found.base, found.spec.wiring) == (folder, folder, "r1")
    (folder / "model.json").write_text('{"steps": 9}')
    assert (resolve("dit4sr-r1").spec.steps, resolve("dit4sr-r1").spec.wiring) == (9, "r1")


def test_a_folder_is_a_model(tmp_path):
    found = resolve(str(_put(tmp_path / "mine")))
    assert (found.name, found.rule, found.base) == ("mine", "path", found.folder)
    assert read_spec(found.folder) == found.spec == ModelSpec(name="mine")


def test_a_transformer_alone_uses_the_pulled_base(home, tmp_path):
    folder = _put(tmp_path / "mine", base=False)
    with pytest.raises(ModelError, match="neither in its folder nor pulled") as error:
        resolve(str(folder))
    assert error.value.hint == "dit4sr models pull sd3.5-medium"
    base = _pulled(home, "sd3.5-medium", ["vae/config.json"])
    assert resolve(str(folder)).base == base


def test_a_base_of_its_own(tmp_path):
    folder = _put(tmp_path / "mine", base=False)
    (folder / "model.json").write_text('{"base": "../other"}')
    with pytest.raises(ModelError, match="no VAE in its base"):
        resolve(str(folder))
    _put_base(tmp_path / "other")
    assert resolve(str(folder)).base.resolve() == (tmp_path / "other").resolve()


def test_nano_is_its_own_base():
    found = resolve("nano")
    assert found.base == found.folder == embedded_dir() / "nano"
    assert found.spec.codec == "block"


def test_what_is_not_there_is_said(tmp_path):
    with pytest.raises(ModelError, match="dit4sr-q: not on this machine") as error:
        resolve("dit4sr-q")
    assert error.value.hint == "dit4sr models pull dit4sr-q"
    with pytest.raises(ModelError, match="no such model") as error:
        resolve("dit4srq")
    assert error.value.hint == "did you mean dit4sr-q?"
    with pytest.raises(ModelError, match="no such model") as error:
        resolve("xyz")
    assert "auto, nano, dit4sr-q" in error.value.hint
    with pytest.raises(ModelError, match="no model in this folder"):
        resolve(str(tmp_path))
    with pytest.raises(ModelError, match="smolvlm: a captioner, not a model"):
        resolve("smolvlm")


def test_models_of_the_users_own(home):
    _put(home / "weights" / "a")
    _write_toml(
        home,
        '[models.portraits]\nfolder = "../weights/a"\nwiring = "r1"\nsteps = 12\n'
        'guidance = 5\ncolor_fix = "wavelet"\nlicence = "mine"\n',
    )
    found = resolve("portraits")
    assert (found.name, found.rule) == ("portraits", "models.toml")
    spec = found.spec
    assert (spec.name, spec.wiring, spec.steps, spec.guidance) == ("portraits", "r1", 12, 5.0)
    assert (spec.color_fix, spec.licence, spec.tile) == (ColorFix.WAVELET, "mine", 64)
    assert [model.name for model in installed()] == ["nano", "portraits"]
    with pytest.raises(ModelError) as error:
        resolve("portrait")
    assert error.value.hint == "did you mean portraits?"


@pytest.mark.parametrize(
    ("text", "words", "hint"),
    [
        ("[models.a]\nfolder =", r"models\.toml: not TOML", ""),
        ('[models.a]\nfolder = "x"\nstep = 3', r"\[models\.a\]: unknown key 'step'", "steps"),
        ('[model.a]\nfolder = "x"', "unknown key 'model'", "models"),
        ("[models.a]\nsteps = 3", r"\[models\.a\]: no folder", "folder ="),
        (
            '[models.a]\nfolder = "x"\nsteps = "many"',
            r"steps = 'many': it should be of type int",
            "",
        ),
        ('[models.a]\nfolder = "x"\nsteps = true', "steps = True", ""),
        ('[models.a]\nfolder = "x"\nwiring = "r2"', "it is legacy or r1", ""),
        ('[models.a]\nfolder = "x"\nstart = "middle"', "middle", ""),
        ("models = 3", "not a table", ""),
    ],
)
def test_a_broken_table_is_named(home, text, words, hint):
    _write_toml(home, text)
    with pytest.raises(ModelError, match=words) as error:
        resolve("a")
    assert hint in error.value.hint
    assert "models.toml" in error.value.message
    assert resolve("auto").name == "nano"  # which needs no table


def test_captioners(home, tmp_path):
    assert resolve_captioner() is None
    assert resolve_captioner("none") is None
    with pytest.raises(ModelError) as error:
        resolve_captioner("smolvlm")
    assert error.value.hint == "dit4sr models pull smolvlm"
    folder = _pulled(home, "smolvlm", ["config.json"])
    found = resolve_captioner()
    assert (found.name, found.folder, found.revision) == ("smolvlm", folder, "c" * 40)
    _pulled(home, "llava-1.5-7b", ["config.json"])
    assert resolve_captioner().name == "llava-1.5-7b"
    assert resolve_captioner("smolvlm") == found
    assert resolve_captioner(str(folder)).folder == folder
    with pytest.raises(ModelError) as error:
        resolve_captioner("smolvml")
    assert error.value.hint == "did you mean smolvlm?"


def test_a_spec_of_a_newer_version_is_refused(tmp_path):
    (tmp_path / "model.json").write_text('{"name": "x", "shiny": 1}')
    with pytest.raises(ModelError, match="'shiny'"):
        read_spec(tmp_path)
    (tmp_path / "model.json").write_text('{"start": "middle"}')
    with pytest.raises(ModelError, match="middle"):
        read_spec(tmp_path)


def test_a_damaged_manifest_is_a_pull_that_broke_off(home):
    root = _pulled(home, "smolvlm", ["config.json"])
    path = root / "dit4sr-pull.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"files": [{}]}))
    with pytest.raises(ModelError, match="only partly"):
        resolve_captioner("smolvlm")


@pytest.mark.parametrize("name", ["nano", "auto", "dit4sr-q", "smolvlm"])
def test_a_name_that_means_something_else_is_not_for_the_user(home, name):
    path = home / "config" / "models.toml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f'[models.{name}]\nfolder = "x"\n')
    with pytest.raises(ModelError, match="this name is taken"):
        resolve("mine")
