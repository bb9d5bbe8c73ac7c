import sys

import pytest
import torch
from torch import Generator

from dit4sr_cli.core.errors import UsageError
from dit4sr_cli.training.perceptual import SIDE, Perceptual, shown_pair


def test_both_of_a_pair_are_shown_alike_and_differently_each_time():
    picture = torch.rand(3, 112, 112, generator=Generator().manual_seed(0))
    views = []
    for seed in range(12):
        first, second = shown_pair(torch.stack([picture, picture]), Generator().manual_seed(seed))
        assert first.shape == (3, SIDE, SIDE)
        torch.testing.assert_close(first, second)
        views.append(first)
    assert len({round(float(view[0, 0, 0]), 6) for view in views}) > 6


def test_small_pictures_are_enlarged():
    assert shown_pair(torch.rand(2, 3, 32, 24), Generator().manual_seed(1)).shape[-1] == SIDE


def test_without_its_package_it_says_what_to_install(monkeypatch):
    for name in ("stlpips_pytorch", "stlpips_pytorch.stlpips"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(UsageError, match="perceptual loss needs the package stlpips_pytorch"):
        Perceptual()


def test_distance_is_nought_for_the_same_and_leads_somewhere():
    pytest.importorskip("stlpips_pytorch")
    pictures = torch.rand(2, 3, 112, 112, generator=Generator().manual_seed(0))
    blurred = torch.nn.functional.avg_pool2d(pictures, 3, 1, 1).requires_grad_(True)
    measure = Perceptual()
    generators = [Generator().manual_seed(seed) for seed in range(2)]
    assert measure(pictures, pictures, generators).abs().max() < 1e-4
    distance = measure(blurred, pictures, generators)
    assert distance.shape == (2,) and distance.min() > 0.02
    distance.sum().backward()
    assert blurred.grad.abs().max() > 0
