"""Small folders through the whole comparison, and through the command."""

from __future__ import annotations

import json

import numpy as np
import pytest
import typer
from helpers import images
from PIL import Image
from typer.testing import CliRunner

from dit4sr_cli.cli import evaluate as command
from dit4sr_cli.core.errors import InputError, OutputError, UsageError
from dit4sr_cli.core.events import PhaseStarted
from dit4sr_cli.evaluation import run


@pytest.fixture
def folders(tmp_path):
    small, large = tmp_path / "small", tmp_path / "large"
    small.mkdir(), large.mkdir()
    for name, size in (("a", (64, 48)), ("b", (48, 48))):
        original = images.scene(*size)
        original.save(large / f"{name}.png")
        original.resize((size[0] // 4, size[1] // 4), Image.BICUBIC).save(small / f"{name}.png")
    return small, large


def nearest(small, scale):
    assert scale == 4
    return small.repeat(4, axis=0).repeat(4, axis=1)


def test_methods_and_folders_are_measured(folders):
    small, large = folders
    seen = []
    found = run.evaluate(
        small,
        large,
        load_methods=lambda: {"nearest": nearest},
        outputs={"perfect": large},
        observe=seen.append,
    )
    assert found.methods == ["bicubic", "nearest", "perfect"] and found.pictures == ["a", "b"]
    perfect = {row.picture: row.values for row in found.of("perfect")}
    assert perfect["a"]["psnr"] == float("inf") and perfect["a"]["sharpness"] == 1
    assert found.seconds("nearest") is not None and found.seconds("perfect") is None
    assert seen == [PhaseStarted("a (1/2)"), PhaseStarted("b (2/2)")]


def test_bicubic_is_pillow_s(folders):
    small = run.load(folders[0] / "a.png")
    expected = Image.fromarray(small).resize((64, 48), Image.BICUBIC)
    assert (run.bicubic(small, 4) == np.asarray(expected)).all()


def test_grey_and_16_bit_are_measured_as_colour(tmp_path):
    grey = Image.fromarray(np.full((5, 6), 40_000, np.uint16))
    grey.save(tmp_path / "grey.png")
    loaded = run.load(tmp_path / "grey.png")
    assert loaded.shape == (5, 6, 3) and loaded.dtype == np.uint8
    assert (loaded == round(40_000 / 257)).all()


def test_what_is_kept(folders, tmp_path):
    keep = run.Keep(folder=tmp_path / "kept", sheet=tmp_path / "new" / "sheet.png", crop=16)
    run.evaluate(*folders, outputs={"perfect": folders[1]}, keep=keep)
    kept = {str(p.relative_to(keep.folder)) for p in keep.folder.rglob("*") if p.is_file()}
    pictures = {f"{method}/{name}.png" for method in ("bicubic", "perfect") for name in "ab"}
    assert kept == {"report.md", "report.json", *pictures}
    assert json.loads((keep.folder / "report.json").read_text())["pictures"] == ["a", "b"]
    assert Image.open(keep.sheet).width == 4 * 16 + 3 * 4


def test_nothing_is_loaded_when_the_folders_do_not_fit(folders):
    def load():
        raise AssertionError("loaded")

    (folders[1] / "b.png").unlink()
    with pytest.raises(InputError, match="no reference for b"):
        run.evaluate(*folders, load_methods=load)


def test_a_result_of_another_size_is_refused(folders, tmp_path):
    with pytest.raises(InputError, match="a by small: 16x12, but the reference has 64x48"):
        run.evaluate(*folders, outputs={"small": folders[0]})


def test_other_proportions_are_refused(folders):
    images.scene(64, 64).save(folders[1] / "a.png")
    with pytest.raises(InputError, match="16x12 is not 64x64 made smaller"):
        run.evaluate(*folders)


@pytest.mark.parametrize("name", ["bicubic", "nearest", "reference", "a/b", ".."])
def test_names_that_would_clash(folders, name):
    with pytest.raises(UsageError, match="name"):
        run.evaluate(
            *folders, load_methods=lambda: {"nearest": nearest}, outputs={name: folders[1]}
        )


def test_a_folder_that_cannot_be_written(folders, tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(OutputError, match="cannot be written"):
        run.evaluate(*folders, keep=run.Keep(folder=tmp_path / "file" / "kept"))


@pytest.fixture
def cli(folders):
    app = typer.Typer()
    app.command()(command.evaluate)
    small, large = map(str, folders)

    def call(*args):
        args = [small, "--reference", large, "--no-model", *args]
        return CliRunner().invoke(app, args, catch_exceptions=True)

    return call


def test_the_command_prints_a_table(cli, folders):
    done = cli("--outputs", f"perfect={folders[1]}", "--metrics", "psnr, sharpness")
    assert done.exit_code == 0, done.exception
    assert "| perfect" in done.stdout and "SSIM" not in done.stdout


def test_the_command_prints_json(cli):
    record = json.loads(cli("--json").stdout)
    assert record["command"] == "evaluate" and set(record["methods"]) == {"bicubic"}


@pytest.mark.parametrize("text", ["perfect", "=folder", "perfect="])
def test_outputs_need_a_name_and_a_folder(cli, text):
    done = cli("--outputs", text)
    assert isinstance(done.exception, UsageError) and "NAME=DIR" in str(done.exception)


def test_outputs_named_twice(cli):
    done = cli("--outputs", "x=1", "--outputs", "x=2")
    assert isinstance(done.exception, UsageError) and "twice" in str(done.exception)


def test_the_model_is_one_of_the_methods(folders, monkeypatch):
    class Fake:
        name = "fake"

        def upscale(self, pixels, *, scale, observe, **settings):
            assert settings["steps"] == 3
            return type("Result", (), {"pixels": nearest(pixels, scale)})

    monkeypatch.setattr("dit4sr_cli.jobs.upscale.load_upscaler", lambda settings: Fake())
    app = typer.Typer()
    app.command()(command.evaluate)
    args = [str(folders[0]), "--reference", str(folders[1]), "--steps", "3", "--json"]
    done = CliRunner().invoke(app, args)
    assert set(json.loads(done.stdout)["methods"]) == {"bicubic", "fake"}
