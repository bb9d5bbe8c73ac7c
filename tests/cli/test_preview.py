"""`dit4sr preview`: the sheet, its cells, and what is refused."""

from __future__ import annotations

import io
import json

import numpy as np
import pytest
from helpers.cli import run_cli
from helpers.images import jpeg_bytes, save
from PIL import Image


def cells_of(found, sheet):
    pixels = np.asarray(Image.open(sheet))
    for cell in found["cells"]:
        x, y, width, height = cell["on_sheet"]
        yield cell, pixels[y : y + height, x : x + width]


def test_cells_are_windows_of_what_upscale_makes(tmp_path):
    photo = save(tmp_path / "photo.png", 64, 48)
    grid = ("--grid", "seed=0,5", "start=noise,lr")
    done = run_cli(
        "preview", photo, "--at", "0.75,0.5", "--at", "8,8", "--size", "16x12", *grid, "--json"
    )
    assert done.code == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["output"] == str(tmp_path / "photo_preview.png")
    varied = [cell["varied"] for cell in found["cells"]]
    assert varied[:4] == [{"seed": s, "start": t} for s in ("0", "5") for t in ("noise", "lr")]
    assert [cell["at"] for cell in found["cells"]] == [[40, 18, 16, 12]] * 4 + [[0, 2, 16, 12]] * 4
    run_cli("upscale", photo, "--seed", "5", "--start", "lr", "-o", tmp_path / "whole.png")
    whole = np.asarray(Image.open(tmp_path / "whole.png"))
    checked = 0
    for cell, pixels in cells_of(found, found["output"]):
        assert (cell["model"], cell["steps"], cell["seed"]) == (
            "nano",
            1,
            int(cell["varied"]["seed"]),
        )
        assert 0 < cell["seconds"] <= cell["whole_seconds"] + 0.001
        if cell["varied"] == {"seed": "5", "start": "lr"}:
            x, y, width, height = (4 * side for side in cell["at"])
            assert np.array_equal(pixels, whole[y : y + height, x : x + width])
            checked += 1
    assert checked == 2
    bicubic = np.asarray(Image.open(photo).resize((256, 192), Image.Resampling.BICUBIC))
    x, y, width, height = found["inputs_on_sheet"][0]
    sheet = np.asarray(Image.open(found["output"]))
    assert np.array_equal(sheet[y : y + height, x : x + width], bicubic[72:120, 160:224])
    assert all(box[0] == 0 for box in found["inputs_on_sheet"])


def test_names_that_are_made_up_replace_nothing(tmp_path, photo):
    for name in ("photo_preview.png", "photo_preview_2.png"):
        done = run_cli("preview", photo, "--size", "8")
        assert done.code == 0
        assert str(tmp_path / name) in done.lines[-1]
        assert (tmp_path / name).exists()


def test_a_name_that_is_given_is_kept_unless_told(tmp_path, photo):
    sheet = tmp_path / "sheet.png"
    sheet.write_bytes(b"mine")
    words = ("preview", photo, "--size", "8", "-o", sheet)
    assert run_cli(*words).code == 4
    assert sheet.read_bytes() == b"mine"
    assert run_cli(*words, "--overwrite").code == 0
    assert Image.open(sheet).format == "PNG"


def test_in_a_pipe():
    done = run_cli("preview", "-", "--size", "8", "--scale", "2", input=jpeg_bytes())
    assert done.code == 0
    with Image.open(io.BytesIO(done.stdout)) as sheet:
        assert sheet.format == "PNG"


@pytest.mark.parametrize(
    ("args", "word"),
    [
        (["--at", "0.3"], "not a place"),
        (["--at", "900,3"], "outside the picture, which is 24x16"),
        (["--size", "big"], "write 128, or 160x90"),
        (["--size", "2"], "at least 8"),
        (["--grid", "stepz=2,4"], "did you mean steps?"),
        (["--grid", "steps=2", "guidence=3"], "did you mean guidance?"),
        (["--grid", "steps=2,many"], "steps=many"),
        (["--grid", "steps="], "value is missing"),
        (["--grid", "steps=0"], "below 1"),
        (["--grid", "shift=0"], "not above 0"),
        (["--grid", "scale=2,4"], "give it apart: --scale"),
        (["--grid", "steps=1", "steps=2"], "given twice"),
        (["--grid", "seed=" + ",".join(map(str, range(300)))], "at most 256"),
        (["steps=2"], "unexpected"),
    ],
    ids=lambda value: " ".join(value)[:30] if isinstance(value, list) else "",
)
def test_what_makes_no_sense_is_refused_before_the_work(photo, args, word):
    done = run_cli("preview", photo, *args)
    assert done.code == 2
    [line] = done.lines
    assert word in line
    assert list(photo.parent.iterdir()) == [photo]


def test_models_that_are_not_there_are_found_out_first(photo):
    done = run_cli("preview", photo, "--grid", "model=nano,nanno")
    assert done.code == 5
    assert "did you mean nano?" in done.stderr
