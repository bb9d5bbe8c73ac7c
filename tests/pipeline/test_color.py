import numpy as np
import pytest
import torch
from helpers import parity
from PIL import Image

from dit4sr_cli import match_color
from dit4sr_cli.core.types import ColorFix
from dit4sr_cli.pipeline.color import matched


def _open(name):
    return Image.open(parity.FOLDER / "color" / f"{name}.png")


@pytest.mark.parametrize("method", ["adain", "wavelet"])
def test_pictures_are_the_released_ones(method):
    result = match_color(_open("generated"), _open("lr_upsampled"), method)
    difference = np.asarray(result).astype(int) - np.asarray(_open(method)).astype(int)
    assert abs(difference).max() <= 1


def test_none_changes_nothing():
    assert match_color(_open("generated"), _open("lr_upsampled"), "none") == _open("generated")


def test_sizes_must_agree():
    with pytest.raises(ValueError, match="sizes differ"):
        match_color(_open("generated"), _open("lr_upsampled").resize((8, 8)), "adain")


def test_adain_gives_the_reference_its_mean_and_deviation():
    generated, reference = torch.rand(3, 20, 20), 0.3 + 0.2 * torch.rand(3, 20, 20)
    out = matched(generated, reference, ColorFix.ADAIN)
    torch.testing.assert_close(out.mean((1, 2)), reference.mean((1, 2)))
    torch.testing.assert_close(out.std((1, 2)), reference.std((1, 2)), rtol=1e-2, atol=1e-3)


def test_one_pixel_is_no_trouble():
    for method in ColorFix:
        out = matched(torch.full((3, 1, 1), 0.2), torch.full((3, 1, 1), 0.6), method)
        assert out.isfinite().all()
