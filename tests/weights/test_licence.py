import json

import pytest

from dit4sr_cli.core.errors import ModelError, OutputError
from dit4sr_cli.weights import licence
from dit4sr_cli.weights.catalog import MODELS, PARTS


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("DIT4SR_HOME", str(tmp_path))
    return tmp_path


def test_every_part_has_a_known_licence():
    for part in PARTS.values():
        assert part.licence in licence.LICENCES
    assert {model.licence for model in MODELS.values()} == {"dit4sr"}
    for terms in licence.LICENCES.values():
        assert terms.url.startswith("https://")
        assert not terms.needs_consent or len(terms.summary) == 3


def test_acceptance_is_written_down_once(home):
    assert [terms.key for terms in licence.missing(["dit4sr", "apache-2.0", "dit4sr"])] == [
        "dit4sr"
    ]
    licence.accept(["dit4sr"])
    assert licence.is_accepted("dit4sr")
    assert not licence.is_accepted("stability-community")
    assert licence.missing(["dit4sr"]) == []
    licence.accept(["llama2"])
    assert licence.is_accepted("dit4sr")
    assert licence.accepted_at("dit4sr").endswith("+00:00")


def test_a_new_text_is_asked_for_again(home):
    licence.accept(["dit4sr"])
    path = home / "config" / licence.FILE_NAME
    record = json.loads(path.read_text())
    record["accepted"]["dit4sr"]["version"] = "1999"
    path.write_text(json.dumps(record))
    assert not licence.is_accepted("dit4sr")


def test_a_damaged_record_is_named(home):
    (home / "config").mkdir()
    (home / "config" / licence.FILE_NAME).write_text('{"accepted": [1]}')
    with pytest.raises(ModelError, match=r"licences\.json: damaged"):
        licence.is_accepted("dit4sr")


def test_settings_that_cannot_be_written(home):
    (home / "config").write_text("a file where a folder should be")
    with pytest.raises(OutputError, match=r"licences\.json"):
        licence.accept(["dit4sr"])
