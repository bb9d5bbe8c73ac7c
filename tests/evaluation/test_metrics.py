"""Which metrics there are, what they need, and what is said when that is missing."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from helpers import images

from dit4sr_cli.core.errors import UsageError
from dit4sr_cli.core.events import Warned
from dit4sr_cli.core.extras import load_module
from dit4sr_cli.evaluation import metrics, packages, pixels
from dit4sr_cli.evaluation.metrics import choose, load_all
from dit4sr_cli.evaluation.niqe import niqe


def photo(width=128, height=128):
    return np.asarray(images.scene(width, height))


def noisy(sigma, picture):
    noise = np.random.default_rng(0).normal(0, 1, picture.shape)
    return (picture + sigma * noise).clip(0, 255).astype(np.uint8)


def has(package):
    try:
        load_module(package, "x")
    except UsageError:
        return False
    return True


needs_pyiqa = pytest.mark.skipif(not has("pyiqa"), reason="pyiqa is not installed")


def test_choosing():
    assert [m.name for m in choose(["ssim", "psnr", "ssim"])] == ["ssim", "psnr"]
    assert [m.name for m in choose(["all"])] == list(metrics.METRICS)
    optional = {m.name: m.is_optional for m in choose(["psnr", "paper?", "musiq"])}
    assert optional["lpips"] and not optional["psnr"] and not optional["musiq"]
    with pytest.raises(UsageError, match="'stlpip' is no metric") as caught:
        choose(["psnr", "stlpip"])
    assert "stlpips" in caught.value.hint
    with pytest.raises(UsageError, match="no metric is named"):
        choose([])


def test_without_references():
    assert {m.name for m in choose(["default"], has_references=False)} == {"niqe", "piqe"}
    paper = [m.name for m in choose(["paper"], has_references=False)]
    assert paper == ["musiq", "maniqa", "clipiqa+", "liqe"]
    with pytest.raises(UsageError, match="psnr compares with references"):
        choose(["psnr"], has_references=False)


@pytest.mark.parametrize(
    "name", ["stlpips", "stlpips-vgg", "dss", "haarpsi", "gmsd", "cvvdp", "lpips"]
)
def test_a_missing_package_is_named(name, monkeypatch):
    for package in ("piq", "stlpips_pytorch", "stlpips_pytorch.stlpips", "pycvvdp", "pyiqa"):
        monkeypatch.setitem(sys.modules, package, None)  # as if it were not installed
    with pytest.raises(UsageError, match="not installed") as caught:
        load_all(choose([name]))
    assert "dit4sr[eval]" in caught.value.hint
    said = []
    assert list(load_all(choose([f"{name}?", "psnr"]), observe=said.append)) == ["psnr"]
    assert ["not installed" in e.message for e in said if isinstance(e, Warned)] == [True]


@pytest.mark.parametrize(
    ("name", "package", "identical"),
    [
        ("stlpips", "stlpips_pytorch.stlpips", 0),
        ("dss", "piq", 1),
        ("haarpsi", "piq", 1),
        ("gmsd", "piq", 0),
        ("cvvdp", "pycvvdp", 10),
    ],
)
def test_perceptual_metrics_know_better_from_worse(name, package, identical):
    if not has(package):
        pytest.skip(f"{package} is not installed")
    (metric,) = choose([name])
    measure = metric.load(False).measure
    picture = photo()
    slight, strong = noisy(5, picture), noisy(60, picture)
    assert measure(picture, picture) == pytest.approx(identical, abs=1e-3)
    assert metric.is_better(measure(slight, picture), measure(strong, picture))


# ---------------------------------------------------------------- NIQE


def test_niqe_prefers_a_photograph_to_its_noise():
    data = pytest.importorskip("skimage.data")
    picture = data.astronaut()
    assert niqe(picture) == pytest.approx(3.063, abs=0.01)
    assert niqe(noisy(40, picture)) > niqe(picture)


@needs_pyiqa
def test_niqe_is_pyiqa_s_with_the_same_parameters(tmp_path):
    scipy_io = pytest.importorskip("scipy.io")
    from dit4sr_cli.evaluation.niqe import _natural

    mean, covariance = _natural()
    path = tmp_path / "parameters.mat"
    scipy_io.savemat(path, {"mu_prisparam": mean[None], "cov_prisparam": covariance})
    pyiqa = load_module("pyiqa", "niqe")
    theirs = pyiqa.create_metric("niqe", device="cpu", pretrained_model_path=str(path))
    picture = noisy(8, photo(300, 210))  # what is clipped hangs on rounding
    expected = float(theirs(packages.as_tensor(picture)))
    assert niqe(picture) == pytest.approx(expected, abs=0.03)


# ---------------------------------------------------------------- pyiqa


def inner(picture):
    return picture[pixels.BORDER : -pixels.BORDER, pixels.BORDER : -pixels.BORDER].copy()


@needs_pyiqa
def test_pyiqa_s_psnr_is_ours_on_a_longer_scale():
    picture = photo(160, 128)
    made = noisy(6, picture)
    theirs = load_all(choose(["iqa:psnry"]))["iqa:psnry"].measure(inner(made), inner(picture))
    longer = 20 * np.log10(255 / 219)  # its luma goes from 0 to 255, ours from 16 to 235
    assert theirs + longer == pytest.approx(pixels.psnr(made, picture), abs=0.02)


@needs_pyiqa
@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("lpips", "alexnet-owt-7be5be79.pth"),
        ("musiq", "musiq_koniq_ckpt-e95806b9.pth"),
        ("maniqa", "timm/vit_base_patch8_224"),
        ("clipiqa+", "ViT-L-14.pt"),
        ("liqe", "ViT-B-32.pt"),
        ("fid", "pt_inception-2015-12-05-6726825d.pth"),
    ],
)
def test_missing_weights_are_named_and_not_fetched(name, file, tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    with pytest.raises(UsageError, match=f"metric {name.rstrip('+')}") as caught:
        load_all(choose([name]))
    assert file in caught.value.message and "--fetch" in caught.value.hint


@needs_pyiqa
def test_a_learned_metric_runs_with_weights_put_there_by_hand(tmp_path, monkeypatch):
    import torch

    models = load_module("torchvision.models", "lpips")
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr("pyiqa.utils.download_util.DEFAULT_CACHE_DIR", str(tmp_path / "pyiqa"))
    torch.manual_seed(0)
    (tmp_path / "hub" / "checkpoints").mkdir(parents=True)
    (tmp_path / "pyiqa").mkdir()
    network = models.alexnet(weights=None).state_dict()
    torch.save(network, tmp_path / "hub" / "checkpoints" / "alexnet-owt-7be5be79.pth")
    channels = (64, 192, 384, 256, 256)
    heads = {f"lin{i}.model.1.weight": torch.rand(1, c, 1, 1) for i, c in enumerate(channels)}
    with pytest.raises(UsageError, match="alex") as caught:
        load_all(choose(["lpips"]))
    name = caught.value.message.rsplit("/", 1)[1]
    torch.save(heads, tmp_path / "pyiqa" / name)
    said = []
    loaded = load_all(choose(["lpips"]), observe=said.append)["lpips"]
    assert "sha256:" in loaded.version and name in loaded.version
    assert any("Noncommercial" in e.message for e in said if isinstance(e, Warned))
    picture = photo()
    assert loaded.measure(picture, picture) == pytest.approx(0, abs=1e-6)
    assert loaded.measure(noisy(60, picture), picture) > 0
