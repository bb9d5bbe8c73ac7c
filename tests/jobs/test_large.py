"""Pictures by strips: the same files as at once, and nothing left behind."""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import pyvips
from helpers import images, tiny_published
from PIL import Image as PillowImage

from dit4sr_cli.core.errors import OutputError
from dit4sr_cli.core.settings import ModelSettings, OutputSettings, UpscaleSettings
from dit4sr_cli.imaging import fingerprint, reader, scratch, strips, writer
from dit4sr_cli.jobs import large, upscale
from dit4sr_cli.jobs.plan import Request
from dit4sr_cli.pipeline import device
from dit4sr_cli.pipeline import strips as pipeline_strips

sys.path.append(str(Path(__file__).parents[1] / "imaging"))
from imaging_samples import ADOBE_RGB


@pytest.fixture(autouse=True)
def _stopped_clock(monkeypatch):
    """The record says when a picture was made."""
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")


def _by_strips(request, **how):
    """`upscale.run`, whatever the size."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(large, "suits", lambda request: True)
        return upscale.run(request, **how)


NANO = upscale.load_upscaler(ModelSettings(model="nano"))


@pytest.fixture(autouse=True)
def narrow(monkeypatch):
    """Strips and windows so small that small pictures have several."""
    monkeypatch.setattr(strips, "_STRIP_BYTES", 3000)
    monkeypatch.setattr(pipeline_strips, "ROWS", 24)
    monkeypatch.setitem(device._LIMITS, "cpu", device.Limits(window=32))


def _pixels(width, height, channels=3, dtype=np.uint16):
    scene = np.asarray(images.scene(width, height, "RGB" if channels == 3 else "L"))
    pixels = scene.reshape(height, width, channels).astype(np.uint16) * 257
    grain = np.random.default_rng(1).integers(0, 900, pixels.shape)
    pixels = np.clip(pixels.astype(int) + grain, 0, 65535).astype(np.uint16)
    return pixels if dtype == np.uint16 else (pixels >> 8).astype(np.uint8)


def _tiff(path, pixels, *, alpha=None, icc=None, orientation=1, **options):
    if alpha is not None:
        pixels = np.concatenate([pixels, alpha[..., None]], axis=-1)
    wide = pixels.dtype == np.uint16
    grey = pixels.shape[2] < 3
    space = ("grey16" if wide else "b-w") if grey else ("rgb16" if wide else "srgb")
    image = pyvips.Image.new_from_array(np.ascontiguousarray(pixels), interpretation=space)
    image = image.copy()
    image.set_type(pyvips.GValue.gint_type, "orientation", orientation)
    if icc:
        image.set_type(pyvips.GValue.blob_type, "icc-profile-data", icc)
    image.tiffsave(str(path), compression="deflate", **options)
    return path


def _request(source, target, *, model="nano", scale=4.0, **settings):
    return Request(
        source=source,
        upscale=UpscaleSettings(scale=scale, **settings),
        model=ModelSettings(model=model),
        output=OutputSettings(target=target, record=False),
    )


def _both(source, tmp_path, suffix=".tif", load=lambda *_: NANO, **settings):
    targets = []
    for name, run in (("whole", upscale.run), ("strips", _by_strips)):
        target = tmp_path / f"{name}{suffix}"
        run(_request(source, target, **settings), load=load)
        targets.append(target)
    return targets


def _assert_same(source, tmp_path, **options):
    whole, by_strips = _both(source, tmp_path, **options)
    assert whole.read_bytes() == by_strips.read_bytes()
    assert {path.name for path in tmp_path.iterdir()} >= {whole.name, by_strips.name}
    assert not list(tmp_path.glob(".dit4sr-*"))


@pytest.fixture
def cheap(monkeypatch):
    """A transformer that does next to nothing, where it is not what is asked about."""
    with NANO.components.transformer.in_use() as transformer:
        monkeypatch.setattr(
            transformer, "forward", lambda noisy, lr, *rest, **same: noisy - 0.9 * lr
        )


SIZES = [(37, 53), (8, 6), (30, 30), (150, 9), (7, 160), (1, 1), (64, 48)]


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
def test_sizes(size, tmp_path):
    _assert_same(_tiff(tmp_path / "in.tif", _pixels(*size)), tmp_path)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("with_alpha", [False, True])
def test_kinds_of_pixels(channels, dtype, with_alpha, cheap, tmp_path):
    pixels = _pixels(41, 29, channels, dtype)
    alpha = _pixels(41, 29, 1, dtype)[..., 0] if with_alpha else None
    _assert_same(_tiff(tmp_path / "in.tif", pixels, alpha=alpha), tmp_path)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("tiled", [False, True])
def test_orientations(orientation, tiled, tmp_path):
    alpha = _pixels(200, 86, 1)[..., 0]
    pixels = _pixels(200, 86)
    source = _tiff(tmp_path / "a.tif", pixels, alpha=alpha, orientation=orientation, tile=tiled)
    kept, [whole] = strips.read(source, tmp_path), reader.read(source)
    assert (kept.pixels == whole.pixels).all() and (kept.alpha == whole.alpha).all()
    assert replace(kept, pixels=None, alpha=None) == replace(whole, pixels=None, alpha=None)


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
@pytest.mark.parametrize("orientation", [1, 3, 6, 7])
def test_png_and_jpeg_by_strips(suffix, orientation, monkeypatch, tmp_path):
    monkeypatch.setattr(strips, "_STRIP_BYTES", 10_000)
    exif = PillowImage.Exif()
    exif[0x0112] = orientation
    source = tmp_path / f"a{suffix}"
    mode = "RGBA" if suffix == ".png" else "RGB"
    images.scene(200, 86, mode).save(source, exif=exif, icc_profile=ADOBE_RGB, dpi=(300, 300))
    kept, [whole] = strips.read(source, tmp_path), reader.read(source)
    assert (kept.pixels == whole.pixels).all()
    assert (kept.alpha is None) == (suffix == ".jpg")
    assert kept.alpha is None or (kept.alpha == whole.alpha).all()
    assert replace(kept, pixels=None, alpha=None) == replace(whole, pixels=None, alpha=None)


@pytest.mark.parametrize("space", ["cmyk", "lab", "labs", "scrgb", "b-w"])
def test_unusual_tiff(space, tmp_path):
    image = pyvips.Image.new_from_array(_pixels(60, 50, dtype=np.uint8), interpretation="srgb")
    image.colourspace(space).tiffsave(str(tmp_path / "a.tif"))
    kept, [whole] = strips.read(tmp_path / "a.tif", tmp_path), reader.read(tmp_path / "a.tif")
    assert (kept.pixels == whole.pixels).all()
    assert replace(kept, pixels=None, alpha=None) == replace(whole, pixels=None, alpha=None)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_colour_profiles(dtype, cheap, tmp_path):
    source = _tiff(tmp_path / "in.tif", _pixels(33, 35, dtype=dtype), icc=ADOBE_RGB)
    _assert_same(source, tmp_path)


@pytest.mark.parametrize("scale", [1.0, 2.0, 2.7, 3.0, 6.0])
def test_other_factors(scale, cheap, tmp_path):
    _assert_same(_tiff(tmp_path / "in.tif", _pixels(37, 25)), tmp_path, scale=scale)


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_formats(suffix, dtype, cheap, tmp_path):
    alpha = _pixels(40, 30, 1, dtype)[..., 0]
    source = _tiff(tmp_path / "in.tif", _pixels(40, 30, dtype=dtype), alpha=alpha, icc=ADOBE_RGB)
    whole, by_strips = _both(source, tmp_path, suffix)
    a, b = (pyvips.Image.new_from_file(str(path)) for path in (whole, by_strips))
    assert (a.numpy() == b.numpy()).all()
    fields = set(a.get_fields()) - {"filename"}
    assert fields == set(b.get_fields()) - {"filename"}


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp"])
def test_other_sources(suffix, cheap, tmp_path):
    source = images.save(tmp_path / f"in{suffix}", 40, 31)
    _assert_same(source, tmp_path)


def test_several_steps(tmp_path):
    source = _tiff(tmp_path / "in.tif", _pixels(37, 53))
    _assert_same(source, tmp_path, steps=3, seed=4, start="lr")
    _assert_same_again(source, tmp_path, steps=2, seed=4, start="noise")


def _assert_same_again(source, tmp_path, **settings):
    for path in tmp_path.glob("*s.tif"):
        path.unlink()
    (tmp_path / "whole.tif").unlink(missing_ok=True)
    _assert_same(source, tmp_path, **settings)


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    folder = tiny_published.build(tmp_path_factory.mktemp("published") / "tiny")
    return folder, upscale.load_upscaler(ModelSettings(model=str(folder)))


@pytest.mark.parametrize("fix", ["none", "adain", "wavelet"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_the_published_layout(fix, dtype, published, tmp_path):
    folder, upscaler = published
    source = _tiff(tmp_path / "in.tif", _pixels(150, 131, dtype=dtype))
    whole, by_strips = _both(
        source,
        tmp_path,
        load=lambda *_: upscaler,
        model=str(folder),
        steps=2,
        prompt="a cat",
        color_fix=fix,
        tile=32,
    )
    a, b = (pyvips.Image.new_from_file(str(p)).numpy().astype(int) for p in (whole, by_strips))
    # Statistics of the whole are summed in another order: one level, and rarely.
    assert abs(a - b).max() <= (fix == "adain")
    assert (a != b).mean() < 0.01


def test_digests(tmp_path):
    source = _tiff(tmp_path / "in.tif", _pixels(70, 50), icc=ADOBE_RGB)
    kept, [whole] = strips.read(source, tmp_path), reader.read(source)
    for format in ("tiff", "png"):
        assert strips.digest(kept, format) == fingerprint.as_written(whole, format, 95)
    assert scratch.holds(kept.pixels[3:5, ..., 0]) and not scratch.holds(whole.pixels)


# ------------------------------------------------------------------ when it goes wrong


@pytest.mark.parametrize("phase", ["encoding", "sampling", "decoding", "writing"])
def test_ctrl_c_leaves_nothing(phase, cheap, tmp_path):
    source = _tiff(tmp_path / "in.tif", _pixels(40, 30))

    def stop(event):
        if getattr(event, "phase", "") == phase:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        _by_strips(_request(source, tmp_path / "out.tif"), load=lambda *_: NANO, observe=stop)
    assert [path.name for path in tmp_path.iterdir()] == ["in.tif"]


def test_ctrl_c_in_mid_write_keeps_what_was_there(cheap, monkeypatch, tmp_path):
    source, target = _tiff(tmp_path / "in.tif", _pixels(40, 30)), tmp_path / "out.tif"
    target.write_bytes(b"before")
    request = _request(source, target)
    request = replace(request, output=replace(request.output, overwrite=True))
    strip = writer.as_stored
    left = iter(range(1))

    def stop(picture, format):
        if next(left, None) is None:
            raise KeyboardInterrupt
        return strip(picture, format)

    monkeypatch.setattr(writer, "as_stored", stop)
    with pytest.raises(KeyboardInterrupt):
        _by_strips(request, load=lambda *_: NANO)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.tif", "out.tif"]
    assert target.read_bytes() == b"before"


@pytest.mark.parametrize("fitting", range(4))
def test_a_disk_that_fills_up(fitting, cheap, monkeypatch, tmp_path):
    source = _tiff(tmp_path / "in.tif", _pixels(40, 30))
    left = iter(range(fitting))

    reserve = scratch._reserve

    def refuse(file, size):
        if next(left, None) is None:
            raise OSError(28, "No space left on device")
        reserve(file, size)

    monkeypatch.setattr(scratch, "_reserve", refuse)
    with pytest.raises(OutputError, match="No space left"):
        _by_strips(_request(source, tmp_path / "out.tif"), load=lambda *_: NANO)
    assert [path.name for path in tmp_path.iterdir()] == ["in.tif"]


def test_a_disk_that_is_too_small_is_found_before_the_work(cheap, monkeypatch, tmp_path):
    source = _tiff(tmp_path / "in.tif", _pixels(40, 30))
    monkeypatch.setattr(large.shutil, "disk_usage", lambda folder: type("", (), {"free": 1}))
    phases = []
    with pytest.raises(OutputError, match="free"):
        _by_strips(
            _request(source, tmp_path / "out.tif"),
            load=lambda *_: NANO,
            observe=lambda event: phases.append(getattr(event, "phase", "")),
        )
    assert "encoding" not in phases


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
def test_a_full_disk_while_libvips_writes(suffix, cheap, monkeypatch, tmp_path):
    source = _tiff(tmp_path / "in.tif", _pixels(60, 50))

    def refuse(self, piece):
        self.error = OSError(28, "No space left on device")
        return -1

    monkeypatch.setattr(strips._Pieces, "write", refuse)
    with pytest.raises(OutputError, match="No space left"):
        _by_strips(_request(source, tmp_path / f"out{suffix}"), load=lambda *_: NANO)
    assert [path.name for path in tmp_path.iterdir()] == ["in.tif"]


def test_what_is_left_to_the_usual_way(tmp_path):
    source = _tiff(tmp_path / "in.tif", _pixels(40, 30))
    pages = tmp_path / "pages.tif"
    first, *more = (images.scene(40, 30) for _ in range(2))
    first.save(pages, save_all=True, append_images=more)
    suits = {
        name: large.suits(_request(path, tmp_path / name), threshold)
        for name, path, threshold in (
            ("large.tif", source, 160 * 120),
            ("small.tif", source, 160 * 120 + 1),
            ("large.webp", source, 100),
            ("pages.png", pages, 100),
            ("missing.png", tmp_path / "none.tif", 100),
        )
    }
    assert [name for name, suited in suits.items() if suited] == ["large.tif"]
