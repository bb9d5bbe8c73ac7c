"""What a pull asks and checks before it fetches; the fetching itself is in cli/test_models.py."""

import json
import shutil
from collections import namedtuple

import pytest
from helpers import repositories
from helpers.repositories import DIT4SR, SD35

from dit4sr_cli.core import events
from dit4sr_cli.core.errors import ModelError, OutputError, UsageError
from dit4sr_cli.weights import download, licence
from dit4sr_cli.weights.manifest import read_manifest
from dit4sr_cli.weights.pull import ensure, pull
from dit4sr_cli.weights.resolve import resolve
from dit4sr_cli.weights.shelf import State, look_up

Usage = namedtuple("Usage", "total used free")


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("DIT4SR_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def source(tmp_path):
    return repositories.build(tmp_path / "source")


@pytest.fixture
def no_network(monkeypatch):
    def fail(*args, **kwargs):
        raise AssertionError("the network was used")

    monkeypatch.setattr(download, "list_files", fail)
    monkeypatch.setattr(download, "fetch", fail)


def yes(terms):
    return True


def test_no_licence_no_network(no_network):
    with pytest.raises(UsageError, match="licence not accepted"):
        pull()
    asked = []
    with pytest.raises(UsageError):
        pull(accept=lambda terms: asked.append([t.key for t in terms]))
    assert asked == [["dit4sr", "stability-community"]]
    assert not licence.is_accepted("dit4sr")


def test_a_disk_that_is_too_small(home, source, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(9e9, 0, 51_000_000))
    with pytest.raises(OutputError, match=r"3\.2 MB are needed, 51\.0 MB are free") as error:
        pull(source=source, accept=yes)
    assert "DIT4SR_HOME" in error.value.hint
    assert not list((home / "models").rglob("*.safetensors"))
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(9e9, 0, 55_000_000))
    assert [part.name for part in pull(source=source, accept=yes)] == ["dit4sr-q", "sd3.5-medium"]


def test_events_of_a_copy(source, no_network):
    seen = []
    pull(["dit4sr-f"], source=source, accept=yes, observe=seen.append)
    started = next(e for e in seen if isinstance(e, events.TransferStarted))
    files = {e.name: e.num_bytes for e in seen if isinstance(e, events.FileStarted)}
    assert (started.num_files, started.num_bytes, started.done) == (
        len(files),
        sum(files.values()),
        0,
    )
    assert {e.name for e in seen if isinstance(e, events.FileFinished)} == set(files)
    assert "dit4sr-f/dit4sr_f/transformer/config.json" in files


def test_what_was_put_there_by_hand_is_left_alone(home, source, no_network):
    shutil.copytree(source / SD35, home / "models" / "sd3.5-medium")
    (part, base) = pull(["dit4sr-f"], source=source, accept=yes)
    assert part.num_fetched > 0
    assert base.num_fetched == 0
    assert resolve("dit4sr-f").base == home / "models" / "sd3.5-medium"
    assert not licence.is_accepted("stability-community")


def test_ensure(home, source, no_network, monkeypatch):
    assert ensure("nano") == []
    with pytest.raises(ModelError, match="no such model"):
        ensure("something")
    with pytest.raises(AssertionError, match="network"):
        ensure("auto", accept=yes)
    pull(["dit4sr-f"], source=source, accept=yes)
    assert ensure("dit4sr-f") == []
    assert ensure("auto") == []


def test_a_file_that_changed_size_is_taken_again(home, source, no_network):
    pull(["dit4sr-f"], source=source, accept=yes)
    path = home / "models" / "dit4sr-f" / "dit4sr_f" / "transformer" / "config.json"
    good = path.read_bytes()
    path.write_text("{}")
    with pytest.raises(ModelError, match="only partly"):
        resolve("dit4sr-f")
    (part, _) = pull(["dit4sr-f"], source=source, accept=yes)
    assert path.read_bytes() == good
    assert part.num_fetched >= len(good)


def test_a_lost_manifest_is_made_again(home, source, no_network):
    pull(["dit4sr-f"], source=source, accept=yes)
    manifest = home / "models" / "dit4sr-f" / "dit4sr-pull.json"
    manifest.write_text("{")
    pull(["dit4sr-f"], source=source, accept=yes)
    assert resolve("dit4sr-f").rule == "pulled"


def test_the_wrong_folder_is_said(tmp_path, source):
    shutil.rmtree(source / DIT4SR)
    with pytest.raises(ModelError, match="no copy of dit4sr-q in it"):
        pull(source=source, accept=yes)
    with pytest.raises(ModelError, match="no copy of smolvlm in it at revision v2"):
        pull(["smolvlm"], source=tmp_path / "home" / "..", revision=["v2"], accept=yes)


@pytest.mark.parametrize(
    ("revision", "message"),
    [
        ("dit4sr-f=main", "dit4sr-f is not among what is pulled"),
        ("", "names no revision"),
        ("dit4sr-q=", "names no revision"),
    ],
)
def test_a_revision_of_nothing(no_network, revision, message):
    with pytest.raises(UsageError, match=message):
        pull(["dit4sr-q"], revision=[revision], accept=yes)


@pytest.mark.parametrize("path", ["../../mine.txt", "/etc/hosts"])
def test_a_record_that_leads_out_of_its_folder_is_damaged(home, source, path):
    pull(["dit4sr-q"], source=source, accept=yes)
    record = home / "models" / "dit4sr-q" / "dit4sr-pull.json"
    values = json.loads(record.read_text())
    values["files"][0]["path"] = path
    record.write_text(json.dumps(values))
    with pytest.raises(ModelError, match="damaged"):
        read_manifest(record.parent)
    assert look_up("dit4sr-q").state is State.PARTLY
