"""The embedded model through the real command: sizes, extremes, seeds, colours, bounded memory."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from helpers import images
from helpers.cli import command, environment, run_cli
from PIL import Image

from dit4sr_cli.core.errors import ExitCode

CPU = ("--device", "cpu", "-q")


def upscale(source, out, *args) -> None:
    done = run_cli("upscale", source, "-o", out, *CPU, *args)
    assert done.code == 0, done.stderr
    assert done.stderr == ""


def test_a_photograph_stays_itself(tmp_path):
    source = images.save(tmp_path / "in.png", 96, 64)
    upscale(source, tmp_path / "out.png")
    with Image.open(tmp_path / "out.png") as out, Image.open(source) as original:
        assert out.size == (384, 256)
        bicubic = original.resize(out.size, Image.Resampling.BICUBIC)
        assert images.psnr(out, bicubic) > 20
        difference = np.asarray(out, np.float64).mean((0, 1)) - np.asarray(original).mean((0, 1))
        assert abs(difference).max() < 4


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (3, 2), (17, 5)], ids=str)
def test_tiny_pictures(tmp_path, size):
    source = images.save(tmp_path / "in.png", *size)
    upscale(source, tmp_path / "out.png")
    assert images.size_of(tmp_path / "out.png") == (size[0] * 4, size[1] * 4)


@pytest.mark.slow
def test_a_panorama(tmp_path):
    source = images.save(tmp_path / "in.png", 2000, 50)
    upscale(source, tmp_path / "out.png")
    assert images.size_of(tmp_path / "out.png") == (8000, 200)


@pytest.mark.parametrize(
    ("args", "size"),
    [
        (["--scale", "1"], (40, 30)),
        (["--scale", "2.5"], (100, 75)),
        (["--scale", "8"], (320, 240)),
        (["--long-edge", "111"], (111, 83)),
    ],
    ids=str,
)
def test_other_sizes(tmp_path, args, size):
    source = images.save(tmp_path / "in.png", 40, 30)
    upscale(source, tmp_path / "out.png", *args)
    assert images.size_of(tmp_path / "out.png") == size


def test_the_same_seed_gives_the_same_picture(tmp_path, monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "0")  # the record has the time in it
    source = images.save(tmp_path / "in.png", 40, 30)
    for name, seed in (("a", "1"), ("b", "1")):
        upscale(source, tmp_path / f"{name}.png", "--seed", seed, "--steps", "2")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_grey_stays_grey_and_16_bits_stay(tmp_path):
    grey = np.asarray(images.scene(24, 16, "L")).astype(np.uint16) * 257
    Image.fromarray(grey).save(tmp_path / "in.tif")
    upscale(tmp_path / "in.tif", tmp_path / "out.tif")
    with Image.open(tmp_path / "out.tif") as out:
        assert out.mode.startswith("I;16")
        assert len(np.unique(np.asarray(out) % 257)) > 1


def test_pipeline_with_the_real_model():
    done = run_cli("upscale", "-", "-o", "-", *CPU, input=images.jpeg_bytes(32, 24))
    assert done.code == 0, done.stderr
    assert images.size_of(done.stdout) == (128, 96)


def test_json_record_of_the_real_model(tmp_path):
    source = images.save(tmp_path / "in.png", 32, 24)
    done = run_cli("upscale", source, "-o", tmp_path / "o.png", "--device", "cpu", "--json")
    record = json.loads(done.stdout)
    assert (record["model"], record["device"]) == ("nano", "cpu")
    assert record["output_size"] == [128, 96]
    assert record["steps"] >= 1
    assert record["tiles"] >= 1
    (note,) = done.lines
    assert note.startswith("note: ")


def test_unknown_model(tmp_path, photo):
    for name in ("no-such-model", tmp_path):
        done = run_cli("upscale", photo, "-o", tmp_path / "o.png", "--model", name)
        assert done.code == ExitCode.MODEL, done.stderr
        (line,) = done.lines
        assert line.startswith("error: ")
        assert str(name) in line


def test_ctrl_c_in_the_middle(tmp_path):
    source = images.save(tmp_path / "in.png", 1200, 900)
    process = subprocess.Popen(
        command("upscale", source, "-o", tmp_path / "o.png", "--device", "cpu"),
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
    )
    assert process.stderr.readline().startswith("note: ")  # the model is loaded, the work begins
    time.sleep(1)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=30)
    assert process.returncode == ExitCode.INTERRUPTED
    assert stderr == "error: interrupted\n"
    assert [p.name for p in tmp_path.iterdir()] == ["in.png"]


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss is in KiB on Linux only")
def test_memory_grows_gently_with_the_picture(tmp_path):
    """An eighth of the 24 megapixels of the promise (under 4 GB) must stay well below it."""
    source = images.save(tmp_path / "in.png", 500, 375)
    code = (
        "import resource, subprocess, sys;"
        "subprocess.run(sys.argv[1:], check=True);"
        "sys.stdout.write(str(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss))"
    )
    argv = command("upscale", source, "-o", tmp_path / "o.png", *CPU)
    done = subprocess.run(
        [sys.executable, "-c", code, *argv],
        capture_output=True,
        text=True,
        env=environment(),
        check=True,
    )
    assert int(done.stdout) * 1024 < 1.5e9
