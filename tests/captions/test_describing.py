"""Captions for pictures: who is asked, how often a captioner is loaded, what is remembered."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from helpers import images

from dit4sr_cli.captions import vision
from dit4sr_cli.captions.cache import Asked, CaptionCache, fingerprint
from dit4sr_cli.core.errors import InputError, ModelError, OutOfMemoryError
from dit4sr_cli.core.events import Warned
from dit4sr_cli.core.settings import CaptionSettings
from dit4sr_cli.core.types import CaptionChoice
from dit4sr_cli.jobs.caption import Request, describing, find_caption, finding, run
from dit4sr_cli.weights.resolve import Captioner

SAID = "A stone house. The background is blurred. A red roof!"
KEPT = "A stone house. A red roof!"


@pytest.fixture
def loads(monkeypatch):
    """A captioner that says the same of everything; returns what was loaded and asked."""
    log = []

    @contextmanager
    def open_captioner(folder, *, device, dtype):
        log.append(f"load {folder.name}")

        def ask(image, seed):
            assert image.mode in ("L", "RGB")
            log.append(f"ask {image.size} {seed}")
            return SAID

        yield ask
        log.append("free")

    monkeypatch.setattr(vision, "open_captioner", open_captioner)
    return log


@pytest.fixture
def captioner(tmp_path):
    folder = tmp_path / "smolvlm"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(b"weights")
    return Captioner("smolvlm", folder, "abc123")


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("DIT4SR_HOME", str(tmp_path / "home"))


def pixels(width=24, height=16):
    return np.asarray(images.scene(width, height))


def test_several_pictures_and_one_load(loads, captioner):
    with describing(captioner, device="cpu") as describe:
        assert loads == []
        first, second = describe(pixels(), "a.jpg"), describe(pixels(30), "b.jpg")
    assert loads == ["load smolvlm", "ask (24, 16) 0", "ask (30, 16) 0", "free"]
    assert (first.text, first.raw, first.origin) == (KEPT, SAID, "captioner:smolvlm@abc123")
    assert second.text == KEPT


def test_the_second_time_nothing_is_loaded(loads, captioner):
    for _ in range(2):
        with describing(captioner, device="cpu") as describe:
            assert describe(pixels(), "a.jpg").raw == SAID
    assert loads.count("load smolvlm") == 1


def test_another_picture_seed_or_revision_is_asked_anew(loads, captioner):
    newer = Captioner("smolvlm", captioner.folder, "def456")
    for who, seed, width in ((captioner, 0, 24), (captioner, 1, 24), (newer, 0, 24)):
        with describing(who, device="cpu", seed=seed) as describe:
            describe(pixels(width), "a.jpg")
    assert loads.count("load smolvlm") == 3


def test_a_folder_without_revision_is_known_by_its_weights(loads, captioner):
    local = Captioner("mine", captioner.folder)
    for _ in range(2):
        with describing(local, device="cpu") as describe:
            assert describe(pixels(), "a.jpg").origin == "captioner:mine"
    assert loads.count("load smolvlm") == 1
    (captioner.folder / "model.safetensors").write_bytes(b"other weights")
    with describing(local, device="cpu") as describe:
        describe(pixels(), "a.jpg")
    assert loads.count("load smolvlm") == 2


@pytest.mark.parametrize("kind", ["grey", "16 bit", "grey 16 bit"])
def test_all_kinds_of_pixels(loads, captioner, kind):
    picture = pixels()[..., :1] if "grey" in kind else pixels()
    picture = picture.astype(np.uint16) * 257 if "16" in kind else picture
    with describing(captioner, device="cpu") as describe:
        assert describe(picture, "a.tif").text == KEPT


def test_filter_can_be_left_out(loads, captioner):
    with describing(captioner, device="cpu", is_filtered=False) as describe:
        assert describe(pixels(), "a.jpg").text == SAID


def test_memory_that_is_short_is_said_in_words(captioner, monkeypatch):
    @contextmanager
    def open_captioner(folder, **options):
        raise RuntimeError("[enforce fail at alloc_cpu.cpp] . can't allocate memory")
        yield

    monkeypatch.setattr(vision, "open_captioner", open_captioner)
    with (
        pytest.raises(OutOfMemoryError, match="captioner smolvlm"),
        describing(captioner, device="cpu") as describe,
    ):
        describe(pixels(), "a.jpg")


def test_fingerprints_differ_by_pixels_type_and_shape():
    picture = pixels()
    other = picture.copy()
    other[0, 0, 0] ^= 1
    shapes = [picture, other, picture.reshape(24, 16, 3), picture.astype(np.uint16)]
    assert len({fingerprint(shape) for shape in shapes}) == 4
    assert fingerprint(picture[:, ::-1][:, ::-1]) == fingerprint(picture)


def test_cache_survives_damage(tmp_path):
    cache, nowhere = CaptionCache(tmp_path / "captions"), CaptionCache(None)
    asked = Asked(picture="p", captioner="c", version="v", question="q", how="h", seed=0)
    for known in (cache, nowhere):
        assert known.get(asked) is None
        known.put(asked, SAID)
    assert (cache.get(asked), nowhere.get(asked)) == (SAID, None)
    (file,) = (tmp_path / "captions").iterdir()
    for text in ("", "[]", "{}", '{"said": 3}'):
        file.write_text(text)
        assert cache.get(asked) is None


def test_a_cache_that_cannot_be_written_holds_nothing(tmp_path):
    (tmp_path / "file").touch()
    cache = CaptionCache(tmp_path / "file")
    asked = Asked(picture="p", captioner="c", version="v", question="q", how="h", seed=0)
    cache.put(asked, SAID)
    assert cache.get(asked) is None


# The first who knows


def find(source, *, prompt=None, **settings):
    return find_caption(
        source, pixels(), prompt=prompt, settings=CaptionSettings(**settings), device="cpu"
    )


def test_a_captioner_is_asked_last(loads, captioner, tmp_path):
    photo, folder = tmp_path / "photo.jpg", str(captioner.folder)
    assert find(photo, prompt="a cat", captioner=folder).origin == "option"
    assert loads == []
    assert find(photo, captioner=folder).text == KEPT
    assert find(None, captioner=folder).text == KEPT
    (tmp_path / "photo.txt").write_text("a dog")
    assert find(photo, captioner=folder).text == "a dog"


def test_a_batch_loads_once_and_only_for_who_needs_it(loads, captioner, tmp_path):
    (tmp_path / "prompts").mkdir()
    (tmp_path / "prompts" / "b.txt").write_text("a dog")
    settings = CaptionSettings(prompts=tmp_path / "prompts", captioner=str(captioner.folder))
    heard = []
    with finding(settings=settings, device="cpu", observe=heard.append) as find:
        assert find(Path("b.jpg"), pixels()).text == "a dog"
        assert loads == []
        captions = [find(Path(f"{name}.jpg"), pixels(20 + i)) for i, name in enumerate("acd")]
    assert [caption.text for caption in captions] == [KEPT] * 3
    assert loads.count("load smolvlm") == 1
    assert sum(isinstance(event, Warned) for event in heard) == 3


def test_nobody_is_asked(loads, captioner, tmp_path):
    photo, folder = tmp_path / "photo.jpg", str(captioner.folder)
    for settings in (
        {"caption": CaptionChoice.NONE, "captioner": folder},
        {"captioner": "none"},
        {"captioner": "auto"},  # nothing is installed
    ):
        caption = find(photo, **settings)
        assert (caption.text, caption.origin) == ("", "none")
    assert loads == []


def test_a_captioner_that_was_named_must_be_there(tmp_path):
    with pytest.raises(ModelError, match="smolvlm"):
        find(tmp_path / "photo.jpg", captioner="smolvlm")


# Files


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    return [images.save(folder / "a.jpg"), images.save(folder / "b.png", 30)]


def request(captioner, *sources, **options):
    return Request(sources=sources, captioner=str(captioner.folder), device="cpu", **options)


def test_one_bad_file_does_not_stop_the_others(loads, captioner, photos):
    missing = Path("nothing.jpg")
    found = list(run(request(captioner, photos[0], missing, photos[1])))
    assert [captioned.error is None for captioned in found] == [True, False, True]
    assert isinstance(found[1].error, InputError)
    assert found[0].dropped == ("The background is blurred.",)
    assert loads.count("load smolvlm") == 1


def test_sidecars(loads, captioner, photos):
    found = list(run(request(captioner, *photos, write_sidecars=True)))
    assert [captioned.sidecar.name for captioned in found] == ["a.txt", "b.txt"]
    assert photos[0].with_suffix(".txt").read_text() == f"{KEPT}\n"


def test_existing_sidecars_are_kept_unless_overwritten(loads, captioner, photos):
    mine = photos[0].with_name("a.jpg.txt")
    mine.write_text("my own words")
    found = list(run(request(captioner, photos[0], write_sidecars=True)))
    assert (found[0].is_kept, found[0].sidecar, loads) == (True, mine, [])
    (again,) = run(request(captioner, photos[0], write_sidecars=True, overwrite=True))
    assert (again.is_kept, again.sidecar) == (False, mine)
    assert mine.read_text() == f"{KEPT}\n"
    assert not photos[0].with_suffix(".txt").exists()


def test_pictures_of_one_name_get_sidecars_of_their_own(loads, captioner, photos):
    twin = images.save(photos[0].with_suffix(".tif"))
    found = list(run(request(captioner, *photos, twin, write_sidecars=True)))
    names = [captioned.sidecar.name for captioned in found]
    assert names == ["a.jpg.txt", "b.txt", "a.tif.txt"]


def test_no_captioner_says_how_to_get_one(photos):
    with pytest.raises(ModelError, match="no captioner on this machine") as caught:
        list(run(Request(sources=photos)))
    assert "dit4sr models pull" in caught.value.hint
