import json
import os
import shutil
import signal
import subprocess
import time

import numpy as np
import pytest
from helpers import images
from helpers.cli import command, environment, run_cli
from PIL import Image

from dit4sr_cli.core.errors import InputError, OutputError, UsageError
from dit4sr_cli.training.data.crops import CropSettings
from dit4sr_cli.training.data.pairs import PairSettings, make_pairs
from dit4sr_cli.training.data.record import alone_in

SMALL = CropSettings(size=64)


def _make(photographs, data, *, workers=1, **settings):
    files = sorted(photographs.iterdir()) if hasattr(photographs, "iterdir") else photographs
    settings = PairSettings(**{"crops": SMALL, "per_photo": 2, **settings})
    return list(make_pairs(files, data, settings, workers=workers))


def _files(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*.png"))
    }


@pytest.fixture(scope="module")
def made(photographs, tmp_path_factory):
    folder = tmp_path_factory.mktemp("made")
    _make(photographs, folder)
    return folder


def test_the_folders_are_the_released_codes(made):
    names = {path.stem for path in (made / "gt").iterdir()}
    assert len(names) == 6 and not any("." in name for name in names)
    for kind, side in (("gt", 64), ("lr", 16), ("sr_bicubic", 64)):
        for name in names:
            assert images.size_of(made / kind / f"{name}.png") == (side, side)
    for name in names:
        small = Image.open(made / "lr" / f"{name}.png")
        enlarged = Image.open(made / "sr_bicubic" / f"{name}.png")
        expected = small.resize((64, 64), Image.Resampling.BICUBIC)
        np.testing.assert_array_equal(np.asarray(enlarged), np.asarray(expected))
        gt = Image.open(made / "gt" / f"{name}.png")
        assert 8 < images.psnr(gt, enlarged) < 40
    settings = json.loads((made / "data.json").read_text())
    assert settings["pairs"]["seed"] == 0 and settings["pairs"]["degradation"] == 1


def test_a_pair_does_not_depend_on_what_else_is_there(photographs, made, tmp_path):
    (tmp_path / "other").mkdir()
    shutil.copy(photographs / "wall.png", tmp_path / "other" / "wall.png")
    images.save(tmp_path / "other" / "another.png", 80, 80)
    _make(sorted((tmp_path / "other").iterdir(), reverse=True), tmp_path / "data", per_photo=3)
    whole, other = _files(made), _files(tmp_path / "data")
    walls = {name for name in whole if "wall" in name}
    assert len(walls) == 6
    assert all(other[name] == whole[name] for name in walls)


def test_processes_change_nothing(photographs, made, tmp_path):
    _make(photographs, tmp_path, workers=2)
    assert _files(tmp_path) == _files(made)


def test_seeds_and_crops_differ(photographs, made, tmp_path):
    _make(photographs, tmp_path, seed=1)
    whole, other = _files(made), _files(tmp_path)
    assert whole.keys() == other.keys()
    assert all(whole[name] != other[name] for name in whole if name.startswith("lr/"))
    assert len(set(whole.values())) == len(whole)


def test_what_is_there_is_kept_and_what_is_missing_is_made(photographs, made, tmp_path):
    data = shutil.copytree(made, tmp_path / "data")
    gone = sorted((data / "lr").iterdir())[2]
    gone.unlink()
    times = {path: path.stat().st_mtime_ns for path in data.rglob("*.png")}
    outcomes = _make(photographs, data)
    assert sum(o.made for o in outcomes) == 1 and sum(o.kept for o in outcomes) == 5
    assert _files(data) == _files(made)
    changed = [path for path, when in times.items() if path.stat().st_mtime_ns != when]
    assert {path.stem for path in changed} == {gone.stem}


def test_more_crops_may_come_later(photographs, made, tmp_path):
    data = shutil.copytree(made, tmp_path / "data")
    outcomes = _make(photographs, data, per_photo=3)
    assert [(o.made, o.kept) for o in outcomes] == [(1, 2)] * 3
    assert _files(made).items() <= _files(data).items()


def test_so_many_crops_of_all_together(photographs, tmp_path):
    outcomes = _make(photographs, tmp_path, per_photo=0, total=10)
    counts = {o.file.rpartition("/")[2]: o.made for o in outcomes}
    assert sum(counts.values()) == 10 and counts["large.jpg"] > counts["wall.png"] > 0


@pytest.mark.parametrize(
    "changed",
    [{"seed": 1}, {"crops": CropSettings(size=80)}, {"crops": CropSettings(size=64, mirror=True)}],
)
def test_other_settings_are_refused_in_the_same_folder(photographs, made, changed):
    before = _files(made)
    with pytest.raises(OutputError, match="its pairs were made with") as caught:
        _make(photographs, made, **changed)
    assert "another folder" in caught.value.hint
    assert _files(made) == before


def test_pairs_of_unknown_origin_are_left_alone(photographs, made, tmp_path):
    data = shutil.copytree(made, tmp_path / "data")
    (data / "data.json").unlink()
    with pytest.raises(OutputError, match="unknown origin"):
        _make(photographs, data)
    (data / "data.json").write_text("torn")
    with pytest.raises(InputError, match=r"data\.json: damaged"):
        _make(photographs, data)


def test_one_run_at_a_time(photographs, made):
    with alone_in(made), pytest.raises(OutputError, match="another run"):
        _make(photographs, made)


def test_bad_photographs_are_told_and_left_out(photographs, tmp_path):
    folder = shutil.copytree(photographs, tmp_path / "photographs")
    (folder / "text.jpg").write_text("no picture")
    (folder / "cut.jpg").write_bytes((folder / "large.jpg").read_bytes()[:9000])
    images.save(folder / "small.png", 63, 200)
    glass = images.scene(100, 100)
    glass.putalpha(128)
    glass.save(folder / "glass.png")
    glass.putalpha(255)
    glass.save(folder / "opaque.png")
    outcomes = _make([*sorted(folder.iterdir()), folder / "gone.png"], tmp_path / "data")
    failed = {o.file.rpartition("/")[2]: o.error.message for o in outcomes if o.error}
    assert failed.keys() == {"text.jpg", "cut.jpg", "small.png", "glass.png", "gone.png"}
    assert "63x200, smaller than a crop of 64" in failed["small.png"]
    assert "transparent" in failed["glass.png"]
    assert len(_files(tmp_path / "data")) == 4 * 2 * 3
    assert not list((tmp_path / "data").rglob("*.part"))


def test_photographs_of_nano_are_cropped_and_reduced_as_its_manifest_says(tmp_path, monkeypatch):
    import hashlib

    from dit4sr_cli.training.data import photographs as module
    from dit4sr_cli.training.photos import Photo

    path = images.save(tmp_path / "known.png", 300, 240)
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    photo = Photo("p", "x", "other name.png", sha256, "a", "CC0", 2, (10, 20, 250, 221))
    monkeypatch.setattr(module, "_manifest", lambda: {sha256: photo})
    found = module.look_at(path)
    pixels = module.load(found)
    assert (found.size.width, found.size.height) == (120, 101) == pixels.shape[1::-1]
    expected = images.scene(300, 240).crop(photo.crop).reduce(2)
    np.testing.assert_array_equal(pixels, np.asarray(expected))


def test_settings_that_make_no_sense_are_refused():
    with pytest.raises(UsageError, match="72 pixels"):
        PairSettings(crops=CropSettings(size=72))
    with pytest.raises(UsageError, match="of all together"):
        PairSettings(per_photo=1, total=2)


def test_a_killed_run_leaves_nothing_half_written_and_is_gone_on_with(photographs, tmp_path):
    args = ["data", "pairs", photographs, "-o", tmp_path, "--size", "256", "--per-photo", "40"]
    run = subprocess.Popen(command(*args, "-q"), env=environment(), stderr=subprocess.DEVNULL)
    large = tmp_path / "lr"
    deadline = time.monotonic() + 60
    while len(list(large.glob("*.png")) if large.is_dir() else []) < 3:
        assert time.monotonic() < deadline and run.poll() is None
        time.sleep(0.01)
    os.kill(run.pid, signal.SIGKILL)
    run.wait()
    there = _files(tmp_path)
    for path in tmp_path.rglob("*.png"):
        images.size_of(path)  # decodes to its last row
    shutil.copytree(tmp_path, tmp_path.parent / "copy")
    assert run_cli(*args[:-1], "4", "-q").code == 8  # the others are smaller than 256
    assert there.items() <= _files(tmp_path).items()
    assert not list(tmp_path.rglob(".dit4sr-*.part"))


def test_ctrl_c_ends_all_processes(photographs, tmp_path):
    args = ["data", "pairs", photographs, "-o", tmp_path, "--size", "64", "--per-photo", "400"]
    run = subprocess.Popen(
        command(*args, "--workers", "2"),
        env=environment(),
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    deadline = time.monotonic() + 60
    while not (tmp_path / "lr").is_dir():
        assert time.monotonic() < deadline and run.poll() is None
        time.sleep(0.05)
    os.killpg(run.pid, signal.SIGINT)  # as a terminal does, to everyone
    _, stderr = run.communicate(timeout=60)
    assert run.returncode == 130
    assert stderr.decode().splitlines() == ["error: interrupted"]
    there = _files(tmp_path)
    time.sleep(0.5)
    assert _files(tmp_path) == there  # nobody works on
    assert not list(tmp_path.rglob(".dit4sr-*.part"))
