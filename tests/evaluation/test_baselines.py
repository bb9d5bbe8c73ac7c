"""Small real architectures with random weights, through spandrel."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from helpers import images
from safetensors.torch import save_file

from dit4sr_cli.core.errors import InputError, ModelError, UsageError
from dit4sr_cli.core.extras import load_module
from dit4sr_cli.evaluation import baselines, packages
from dit4sr_cli.evaluation.pairs import Case

try:
    load_module("spandrel", "x")
except UsageError:
    pytest.skip("spandrel is not installed", allow_module_level=True)


def network(kind):
    torch.manual_seed(0)
    if kind == "esrgan":
        from spandrel.architectures.ESRGAN.__arch.RRDB import RRDBNet

        return RRDBNet(num_filters=8, num_blocks=1, scale=4)
    from spandrel.architectures.SwinIR.__arch.SwinIR import SwinIR

    sizes = {"embed_dim": 12, "depths": [2], "num_heads": [2], "window_size": 8, "mlp_ratio": 2}
    return SwinIR(upscale=4, upsampler="nearest+conv", img_range=1.0, img_size=64, **sizes)


@pytest.fixture(params=["esrgan.pth", "esrgan.safetensors", "swinir.pth"])
def checkpoint(request, tmp_path):
    kind, _, suffix = request.param.partition(".")
    made = network(kind).eval()
    path = tmp_path / request.param
    save = torch.save if suffix == "pth" else save_file
    save({key: value.contiguous() for key, value in made.state_dict().items()}, path)
    return path, made


def test_results_are_the_network_s(checkpoint):
    path, made = checkpoint
    small = np.asarray(images.scene(24, 16))
    enlarge = baselines.baseline("other", path).load([])
    with torch.inference_mode():
        direct = made(packages.as_tensor(small))[0].clamp(0, 1)
    expected = (direct * 255).round().byte().permute(1, 2, 0).numpy()
    result = enlarge(Case("a", path), small, 4.0)
    assert result.shape == (64, 96, 3)
    assert (result == expected).all()


def test_tiles_see_enough(tmp_path):
    path = tmp_path / "esrgan.pth"
    torch.save(network("esrgan").state_dict(), path)
    loaded = baselines.load_network(path)
    small = np.asarray(images.scene(50, 40))
    whole = baselines.run(loaded, small)
    tiled = baselines.run(loaded, small, tile=16, margin=24)
    assert np.abs(whole.astype(int) - tiled).max() <= 1


def test_another_factor_is_refused(tmp_path):
    path = tmp_path / "esrgan.pth"
    torch.save(network("esrgan").state_dict(), path)
    enlarge = baselines.baseline("other", path).load([])
    with pytest.raises(InputError, match="enlarges x4, and x2 is asked for"):
        enlarge(Case("a", path), np.asarray(images.scene(24, 16)), 2.0)


def test_files_that_are_none(tmp_path):
    with pytest.raises(ModelError, match="no such file"):
        baselines.baseline("other", tmp_path / "none.pth")
    (tmp_path / "bad.pth").write_bytes(b"not a checkpoint")
    with pytest.raises(ModelError, match=r"bad\.pth: cannot be loaded"):
        baselines.load_network(tmp_path / "bad.pth")
