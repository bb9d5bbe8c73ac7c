"""The command on nano and on a tiny published model: the picture, its figures, wrong words."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from helpers import images, tiny_published
from helpers.cli import run_cli
from PIL import Image

import dit4sr_cli
from dit4sr_cli.core.settings import ModelSettings, UpscaleSettings
from dit4sr_cli.inspection.attention import look

NANO = Path(dit4sr_cli.__file__).parent / "embedded" / "nano"


def _inspect(*args, cwd):
    return run_cli("inspect", "attention", *args, cwd=cwd)


def test_nano_on_a_photograph_that_is_not_square(tmp_path):
    images.save(tmp_path / "a.png", 90, 30)
    done = _inspect("a.png", "--model", "nano", "--at", "80,5", "--json", cwd=tmp_path)
    assert done.code == 0, done.stderr
    record = json.loads(done.stdout)
    assert [block["block"] for block in record["blocks"]] == [0, 1, 2, 3, 4]
    assert record["joint"] and not record["text_is_read"] and record["text_tokens"] == 4
    assert record["tiles"] > 1 and "tiles" in done.stderr
    x, y, width, height = record["tile"]
    assert x <= 80 < x + width <= 90 and y <= 5 < y + height <= 30
    assert sum(record["even"].values()) == pytest.approx(1)
    for block in record["blocks"]:
        for shares in block["shares"].values():
            assert sum(shares.values()) == pytest.approx(1, abs=1e-4)
        (peaks,) = block["peaks"]
        assert set(peaks) == {"X to X", "X to L", "L to X", "L to L"}
    with Image.open(tmp_path / "attention.png") as picture:
        picture.load()
        assert picture.width == 1160 and picture.height > 400
        assert picture.getpixel((1, 1)) == (255, 255, 255)


def test_two_points_some_blocks_and_a_kept_picture(tmp_path):
    images.save(tmp_path / "a.jpg", 30, 24, "L")
    args = ["a.jpg", "--model", "nano", "--at", "3,3", "--at", "25,20", "--blocks", "4,0"]
    done = _inspect(*args, "-o", "b.png", cwd=tmp_path)
    assert done.code == 0, done.stderr
    assert "2 attentions" in done.stderr and done.stdout == b""
    before = (tmp_path / "b.png").read_bytes()
    done = _inspect(*args, "-o", "b.png", cwd=tmp_path)
    assert done.code == 4 and "--overwrite" in done.stderr
    assert (tmp_path / "b.png").read_bytes() == before


def test_the_published_layout_with_dual_blocks_at_a_later_step(tmp_path):
    model = tiny_published.build(tmp_path / "tiny")
    photo = images.save(tmp_path / "a.png", 40, 24)
    settings = UpscaleSettings(steps=3, prompt="a house", scale=4)
    for low_memory in (False, True):
        seen = look(
            photo, ModelSettings(model=str(model), low_memory=low_memory), step=3, settings=settings
        )
        assert [(one.block, one.name) for one in seen.blocks] == [
            *((0, "attn"), (0, "attn2"), (1, "attn")),
        ]
        assert seen.reads_text and seen.text_tokens > 77
        assert 0 < seen.sigma < 1
        assert seen.blocks[1].shares[0, 2] == 0
    early = look(photo, ModelSettings(model=str(model)), settings=settings)
    assert early.sigma == 1
    assert not early.blocks[0].shares.allclose(seen.blocks[0].shares, rtol=0, atol=1e-7)


def test_a_model_that_attends_separately_says_so(tmp_path):
    folder = tmp_path / "separate"
    shutil.copytree(NANO, folder)
    config = json.loads((folder / "transformer" / "config.json").read_text())
    config["control_attention"] = "separate"
    (folder / "transformer" / "config.json").write_text(json.dumps(config))
    images.save(tmp_path / "a.png", 24, 16)
    done = _inspect("a.png", "--model", folder, "--json", cwd=tmp_path)
    assert done.code == 0, done.stderr
    assert "attends separately" in done.stderr
    record = json.loads(done.stdout)
    assert record["joint"] is False
    for block in record["blocks"]:
        assert block["shares"]["X"]["L"] == block["shares"]["L"]["X"] == 0
        assert set(block["peaks"][0]) == {"X to X", "L to L"}


@pytest.mark.parametrize(
    ("args", "code", "words"),
    [
        (["a.png", "--at", "24,3"], 2, ["--at 24,3", "24x16"]),
        (["a.png", "--at", "3"], 2, ["--at 3", "X,Y"]),
        (["a.png", "--blocks", "5"], 2, ["--blocks 5", "0 to 4"]),
        (["a.png", "--blocks", "a"], 2, ["--blocks a"]),
        (["a.png", "--step", "2"], 2, ["--step 2", "1 to 1"]),
        (["a.png", "-o", "a.jpg"], 2, [".png"]),
        (["a.png", "-o", "no/a.png"], 4, ["no folder"]),
        (["b.png"], 3, ["b.png", "no such file"]),
        (["c.png"], 3, ["c.png"]),
        (["a.png", "--model", "none-such"], 5, ["none-such"]),
    ],
    ids=lambda value: " ".join(map(str, value)) if isinstance(value, list) else "",
)
def test_wrong_words(tmp_path, args, code, words):
    images.save(tmp_path / "a.png")
    (tmp_path / "c.png").write_text("Dear diary")
    more = [] if "--model" in args else ["--model", "nano"]
    done = _inspect(*args, *more, cwd=tmp_path)
    assert done.code == code, done.stderr
    for word in ("error: ", *words):
        assert word in done.lines[-1]
    assert not (tmp_path / "attention.png").exists()
