"""Originals that photographs at hand lack: how soft, how grainy, how much is drawn over."""

import pytest
import torch
from torch import Generator

from dit4sr_cli.training import originals
from dit4sr_cli.training.originals import as_taken, with_figures


def _grey(side: int = 256) -> torch.Tensor:
    return torch.full((3, side, side), 0.5)


def _steps(side: int = 64) -> torch.Tensor:
    """Black and white by columns of eight."""
    row = (torch.arange(side) // 8 % 2).float()
    return row.expand(3, side, side)


def _only(monkeypatch, *, soft: float, grainy: float) -> None:
    monkeypatch.setattr(originals, "_SOFT", soft)
    monkeypatch.setattr(originals, "_GRAINY", grainy)


def test_softness_blurs_and_grain_keeps_the_mean(monkeypatch):
    _only(monkeypatch, soft=1.0, grainy=0.0)
    soft = as_taken(_steps(), Generator().manual_seed(0))
    assert soft.diff(dim=2).abs().max() < 0.9 * _steps().diff(dim=2).abs().max()
    assert soft.mean() == pytest.approx(float(_steps().mean()), abs=0.01)
    _only(monkeypatch, soft=0.0, grainy=1.0)
    grainy = as_taken(_grey(), Generator().manual_seed(0))
    assert grainy.mean() == pytest.approx(0.5, abs=0.005)


@pytest.mark.parametrize("sigma", [0.1, 0.5, 1.0])
def test_grain_is_as_strong_however_far_it_clumps(monkeypatch, sigma):
    _only(monkeypatch, soft=0.0, grainy=1.0)
    monkeypatch.setattr(originals, "_GRAIN", (5.0, 5.0))
    monkeypatch.setattr(originals, "_GRAIN_SIGMA", (sigma, sigma))
    grain = as_taken(_grey(), Generator().manual_seed(1)) - 0.5
    assert float(grain.std()) * 255 == pytest.approx(5.0, rel=0.05)
    neighbours = float((grain[..., 1:] * grain[..., :-1]).mean() / grain.square().mean())
    bell = torch.exp(-(torch.arange(-7, 8) ** 2) / (2 * sigma**2))
    expected = float((bell[1:] * bell[:-1]).sum() / bell.square().sum())
    assert neighbours == pytest.approx(expected, abs=0.05)


def test_what_is_taken_holds_values_of_8_bits():
    for seed in range(8):
        levels = as_taken(_steps(), Generator().manual_seed(seed)) * 255
        assert torch.allclose(levels, levels.round(), atol=1e-4)
        assert levels.min() >= 0 and levels.max() <= 255.01


@pytest.mark.parametrize("kind", originals._KINDS)
def test_each_figure_leaves_some_of_the_picture(monkeypatch, kind):
    """It is drawn with soft edges: some pixels are covered in part."""
    monkeypatch.setattr(originals, "_KINDS", (kind,))
    monkeypatch.setattr(originals, "_FIGURES", (1, 1))
    covered = []
    for seed in range(12):
        drawn = with_figures(_grey(), Generator().manual_seed(seed))
        changed = (drawn - 0.5).abs().amax(0)
        covered.append(float((changed > 0.01).float().mean()))
        partly = (changed > 0.01) & (changed < 0.9 * changed.max())
        assert changed.max() < 0.05 or partly.any()
    assert 0 < sum(covered) / len(covered) < 0.7


def test_a_generator_of_the_same_seed_gives_the_same():
    for change in (as_taken, with_figures):
        first, second = (change(_steps(), Generator().manual_seed(7)) for _ in range(2))
        assert torch.equal(first, second)
