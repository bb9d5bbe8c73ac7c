"""What the page calls, with real models: captions, one model at a time, runs that end early."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import pytest
from helpers import images, tiny_published

from dit4sr_cli.cli.outcomes import explain
from dit4sr_cli.core.settings import CaptionSettings, ModelSettings
from dit4sr_cli.jobs.upscale import load_upscaler
from dit4sr_cli.ui.desk import Photo, State
from dit4sr_cli.ui.form import Choices, Fixed
from dit4sr_cli.ui.studio import Studio

FIXED = Fixed(model=ModelSettings(), caption=CaptionSettings(), max_megapixels=1)
NANO = Choices(model="nano", scale=1)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory) -> Path:
    return tiny_published.build(tmp_path_factory.mktemp("tiny") / "tiny")


@pytest.fixture
def loaded() -> list[str]:
    return []


@pytest.fixture
def studio(tmp_path, loaded):
    def load(settings, observe):
        loaded.append(settings.model)
        return load_upscaler(settings, observe)

    folder = tmp_path / "studio"
    folder.mkdir()
    studio = Studio(folder, FIXED, load=load, explain=explain)
    yield studio
    studio.close()


def taken(studio: Studio, name: str = "a.png", width: int = 24, height: int = 16) -> Photo:
    key, path = studio.place_for(name)
    return studio.take(key, images.save(path, width, height))


def ended(studio: Studio, key: str, *states: State) -> Photo:
    """The photograph, once it is in one of these states and nothing is being tried."""
    until = time.monotonic() + 120
    while time.monotonic() < until:
        photo = studio.desk.get(key)
        if photo is not None and photo.state in states and not photo.trying:
            return photo
        time.sleep(0.02)
    raise AssertionError(photo)


def test_a_caption_is_read_and_recorded_and_one_model_is_held(studio, loaded, tiny):
    photo = taken(studio)
    studio.desk.change(photo.key, caption="A cup\n of coffee.")
    text = Choices(model=str(tiny), scale=1, steps=1)
    studio.enlarge(photo.key, text)
    made = ended(studio, photo.key, State.DONE, State.FAILED)
    assert made.problem == ""
    assert made.outcome.caption == "A cup of coffee."
    assert made.outcome.prompt_origin == "option"
    studio.try_spot(photo.key, text)
    tried = ended(studio, photo.key, State.DONE)
    assert (tried.trial.size.width, tried.problem) == (24, "")
    assert images.size_of(tried.trial.after) == (24, 16)
    assert loaded == [str(tiny)]
    studio.enlarge(photo.key, NANO)
    again = ended(studio, photo.key, State.DONE, State.FAILED)
    assert again.outcome.model == "nano"
    assert again.run == 2
    assert not made.result.exists()  # its place was taken
    studio.enlarge(photo.key, text)
    ended(studio, photo.key, State.DONE, State.FAILED)
    assert loaded == [str(tiny), "nano", str(tiny)]


def test_a_run_that_fails_leaves_what_was_there(studio):
    photo = taken(studio)
    studio.enlarge(photo.key, NANO)
    made = ended(studio, photo.key, State.DONE)
    data = photo.source.read_bytes()
    photo.source.write_bytes(data[: len(data) // 2])
    studio.enlarge(photo.key, NANO)
    failed = ended(studio, photo.key, State.FAILED)
    assert "a.png: " in failed.problem
    assert str(photo.folder) not in failed.problem
    assert failed.result == made.result
    assert made.result.exists()
    assert sorted(path.name for path in photo.folder.iterdir()) == ["in", "out-1"]


def test_a_trial_is_called_off_and_the_whole_goes_on(studio):
    photo, other = taken(studio, width=300, height=200), taken(studio, "b.png")
    studio.enlarge(photo.key, Choices(model="nano"))
    ended(studio, photo.key, State.RUNNING)
    studio.enlarge(other.key, NANO)
    studio.try_spot(other.key, NANO)
    studio.cancel_look(other.key)
    assert studio.desk.get(other.key).trying == ""
    assert studio.place_in_line(other.key) == 1
    studio.cancel(photo.key)
    assert ended(studio, other.key, State.DONE).trial is None
    assert ended(studio, photo.key, State.CANCELLED).result is None


def test_taken_away_in_the_middle(studio):
    photo = taken(studio, width=300, height=200)
    other = taken(studio, "b.png")
    studio.enlarge(photo.key, Choices(model="nano"))
    studio.enlarge(other.key, NANO)
    while studio.desk.get(photo.key).progress.phase != "sampling":
        time.sleep(0.02)
    studio.remove(photo.key)
    assert ended(studio, other.key, State.DONE).run == 1
    assert studio.desk.get(photo.key) is None
    assert not photo.folder.exists()


def test_a_full_disk_is_told(studio, monkeypatch):
    """Or whatever else is wrong with the folder."""
    photo = taken(studio)
    shutil.rmtree(photo.folder)
    studio.enlarge(photo.key, NANO)
    assert ended(studio, photo.key, State.FAILED).problem
