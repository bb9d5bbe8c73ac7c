"""The recipe with a stand-in model: pixels, alpha, pages, metadata, warnings, and the API."""

from __future__ import annotations

import dataclasses
import io
import itertools

import numpy as np
import pytest
from helpers import faults, images
from PIL import Image

import dit4sr_cli
from dit4sr_cli.core import events
from dit4sr_cli.core.errors import InputError, OutputError, UsageError
from dit4sr_cli.core.settings import ModelSettings, OutputSettings, UpscaleSettings
from dit4sr_cli.jobs import plan
from dit4sr_cli.jobs import upscale as job


@pytest.fixture(autouse=True)
def _stand_in(monkeypatch):
    monkeypatch.setattr(job, "load_upscaler", _load)
    monkeypatch.setattr(job.run, "__kwdefaults__", {**job.run.__kwdefaults__, "load": _load})


def _load(settings: ModelSettings, observe=None) -> faults.Upscaler:
    return faults.Upscaler.load(settings.model, settings.device.value)


def test_one_line_api(tmp_path, photo):
    out = tmp_path / "out.png"
    outcome = dit4sr_cli.upscale(photo, out, scale=2, seed=3)
    assert images.size_of(out) == (48, 32)
    assert outcome.input_size == (24, 16)
    assert outcome.output_size == (48, 32)
    assert (outcome.output, outcome.seed, outcome.model) == (str(out), 3, "nano")


def test_api_without_output_and_with_text_paths(tmp_path, photo):
    assert dit4sr_cli.upscale(str(photo)).output == str(tmp_path / "photo_x4.png")
    outcome = dit4sr_cli.upscale(str(photo), f"{tmp_path}/deep/", long_edge=30, format="jpg")
    assert outcome.output == str(tmp_path / "deep" / "photo_30px.jpg")
    assert images.size_of(tmp_path / "deep" / "photo_30px.jpg") == (30, 20)


def test_api_refuses(tmp_path, photo):
    with pytest.raises(InputError):
        dit4sr_cli.upscale(tmp_path / "missing.jpg")
    with pytest.raises(OutputError):
        dit4sr_cli.upscale(photo, photo, overwrite=True)
    with pytest.raises(UsageError):
        dit4sr_cli.upscale(photo, format="xyz")
    with pytest.raises(TypeError):
        dit4sr_cli.upscale(photo, colour=1)


def test_nothing_is_loaded_for_a_job_that_cannot_end_well(tmp_path, photo):
    def load(settings):
        pytest.fail("the model was loaded")

    (tmp_path / "there.png").touch()
    (tmp_path / "text.jpg").write_text("no picture")
    wide = images.save(tmp_path / "wide.png", 5000, 1)
    for source, output in itertools.chain(
        ((photo, name) for name in ("there.png", "none/out.png", "out.xyz")),
        [(tmp_path / "text.jpg", "out.png"), (tmp_path / "missing.jpg", "out.png")],
        [(wide, "wide.webp")],
    ):
        request = plan.Request(source=source, output=OutputSettings(target=tmp_path / output))
        with pytest.raises((InputError, OutputError)):
            job.run(request, load=load)


@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA", "LA", "P", "CMYK", "1", "I;16"])
def test_every_mode_comes_out(tmp_path, mode):
    source = tmp_path / "in.tif"
    scene = images.scene(20, 12, "L" if mode == "I;16" else "RGB")
    if mode == "I;16":
        scene = Image.fromarray(np.asarray(scene).astype(np.uint16) * 257)
    elif mode == "LA":
        scene = images.scene(20, 12, "L").convert("LA")
        source = tmp_path / "in.png"
    else:
        scene = scene.convert(mode)
    scene.save(source)
    dit4sr_cli.upscale(source, tmp_path / "out.png")
    with Image.open(tmp_path / "out.png") as picture:
        picture.load()
        assert picture.size == (80, 48)
        assert ("A" in picture.mode) == (mode in ("RGBA", "LA"))
        if mode in ("L", "LA", "1"):
            assert picture.mode[0] in "L1"
        if mode == "I;16":
            assert picture.mode.startswith("I")


def test_alpha_is_enlarged_apart(tmp_path):
    scene = images.scene(16, 16, "RGBA")
    scene.putalpha(Image.linear_gradient("L").resize((16, 16)))
    scene.save(tmp_path / "in.png")
    dit4sr_cli.upscale(tmp_path / "in.png", tmp_path / "out.png")
    with Image.open(tmp_path / "out.png") as picture:
        expected = scene.getchannel("A").resize((64, 64), Image.Resampling.BICUBIC)
        assert np.array_equal(np.asarray(picture.getchannel("A")), np.asarray(expected))


def _pages(path, number=3):
    scenes = [images.scene(10 + n, 8) for n in range(number)]
    scenes[0].save(path, save_all=True, append_images=scenes[1:])
    return path


def test_all_pages_of_a_tiff(tmp_path):
    source = _pages(tmp_path / "in.tif")
    outcome = dit4sr_cli.upscale(source)
    with Image.open(outcome.output) as picture:
        sizes = []
        for n in range(picture.n_frames):
            picture.seek(n)
            sizes.append(picture.size)
    assert sizes == [(40, 32), (44, 32), (48, 32)]
    assert outcome.pages == 3
    assert "3 pages" in outcome.summary()


def test_one_page_where_the_format_holds_one(tmp_path):
    outcome = dit4sr_cli.upscale(_pages(tmp_path / "in.tif"), tmp_path / "out.png")
    assert outcome.pages == 1
    assert any("3 pages" in text for text in outcome.warnings)


def test_metadata_is_kept_and_the_tool_named(tmp_path):
    exif = Image.Exif()
    exif[0x010F] = "Camera maker"
    exif[0x0112] = 6  # lies on its side
    source = images.save(tmp_path / "in.jpg", 24, 16, exif=exif)
    dit4sr_cli.upscale(source, tmp_path / "out.jpg")
    with Image.open(tmp_path / "out.jpg") as picture:
        assert picture.size == (64, 96)
        kept = picture.getexif()
    assert kept[0x010F].strip("\0") == "Camera maker"
    assert kept.get(0x0112, 1) == 1
    assert kept[0x0131].strip("\0") == f"dit4sr {dit4sr_cli.__version__} (nano)"


def test_to_a_stream(photo):
    stream = io.BytesIO()
    request = plan.Request(source=photo.read_bytes(), upscale=UpscaleSettings(prompt="x"))
    outcome = job.run(request, stdout=stream)
    assert images.size_of(stream.getvalue()) == (96, 64)
    assert (outcome.input, outcome.output, outcome.format) == ("-", "-", "jpeg")


def test_events_and_warnings(tmp_path, photo):
    seen = []
    outcome = dit4sr_cli.upscale(photo, tmp_path / "o.png", prompt="a cat", observe=seen.append)
    phases = [event.phase for event in seen if isinstance(event, events.PhaseStarted)]
    assert phases == ["reading", "loading the model", "sampling", "writing"]
    assert [e.message for e in seen if isinstance(e, events.Warned)] == list(outcome.warnings)


def test_what_the_format_cannot_hold_is_said_once(tmp_path):
    picture = images.save(tmp_path / "in.png", mode="RGBA")
    outcome = dit4sr_cli.upscale(picture, tmp_path / "o.jpg")
    assert len(outcome.warnings) == 1
    assert "transparen" in outcome.warnings[0] or "alpha" in outcome.warnings[0]


def test_the_record_is_plain_data(tmp_path, photo):
    outcome = dit4sr_cli.upscale(photo, tmp_path / "o.png", model="nano")
    record = outcome.as_json()
    assert record.keys() == {field.name for field in dataclasses.fields(outcome)}
    assert record["input_size"] == [24, 16]
    summary = outcome.summary()
    assert summary.startswith(f"{photo} 24x16 -> {tmp_path / 'o.png'} 96x64, nano, 1 step, ")


def test_pages_are_counted_in_the_progress(tmp_path):
    seen = []
    dit4sr_cli.upscale(_pages(tmp_path / "in.tif"), observe=seen.append)
    phases = [event.phase for event in seen if isinstance(event, events.PhaseStarted)]
    assert phases[2:5] == [f"page {n} of 3, sampling" for n in (1, 2, 3)]
