"""Each shortcut does what it says, is off by default, and stays near the exact result."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from helpers import parity

from dit4sr_cli import Conditioning, Tiling, Transformer, denoise
from dit4sr_cli.core.events import Advanced, PhaseStarted
from dit4sr_cli.core.shortcuts import Shortcuts
from dit4sr_cli.core.types import Solver
from dit4sr_cli.model.flow import dpm_step, sigmas
from dit4sr_cli.model.prepared import Prepared
from dit4sr_cli.pipeline.solver import Stepper


@pytest.fixture(scope="module")
def prepared():
    transformer = Transformer.from_folder(parity.FOLDER / "transformer_r1", wiring="r1")
    return Prepared.of(transformer, transformer.config)


def sample(network, steps=8, size=24, batch=3, observe=lambda event: None, **shortcuts):
    generator = torch.Generator().manual_seed(3)
    t = parity.tensors("denoise/untiled")
    lr, noise = (torch.randn(1, 16, size, size, generator=generator) for _ in range(2))
    return denoise(
        network,
        lr,
        noise,
        positive=Conditioning(t["prompt_embeds"], t["pooled_prompt_embeds"]),
        negative=Conditioning(t["negative_prompt_embeds"], t["negative_pooled_prompt_embeds"]),
        steps=steps,
        guidance=3.0,
        tiling=Tiling(16, 4),
        batch=batch,
        shortcuts=Shortcuts(**shortcuts),
        observe=observe,
    )


def far(got, exact) -> float:
    return float((got - exact).norm() / exact.norm())


def test_both_forms_of_the_network_sample_alike(prepared):
    transformer = Transformer.from_folder(parity.FOLDER / "transformer_r1", wiring="r1")
    assert far(sample(prepared), sample(transformer)) < 1e-5


@pytest.mark.parametrize(
    "shortcuts",
    [{"guidance_from": 0.5}, {"guidance_to": 0.8}, {"reuse": 0.7}, {"solver": Solver.DPM}],
)
def test_near_and_not_the_same(prepared, shortcuts):
    exact = sample(prepared)
    assert 1e-4 < far(sample(prepared, **shortcuts), exact) < 0.5


def test_guidance_where_it_is_asked_for_alone(prepared, monkeypatch):
    sizes, real = [], Prepared.forward

    def forward(self, noisy, *rest, **same):
        sizes.append(len(noisy))
        return real(self, noisy, *rest, **same)

    monkeypatch.setattr(Prepared, "forward", forward)
    sample(prepared, batch=4, guidance_from=0.5, guidance_to=0.9)
    levels = sigmas(8, 3.0)[:-1]
    assert sizes == [8 if 0.5 <= level <= 0.9 else 4 for level in levels]


def test_reuse_spares_blocks_and_does_not_depend_on_batches(prepared, monkeypatch):
    computed, real = [], Prepared._run

    def run(self, image, text, numbers, **same):
        computed.append(image.shape[1] * len(numbers))
        return real(self, image, text, numbers, **same)

    monkeypatch.setattr(Prepared, "_run", run)
    one_by_one = sample(prepared, batch=1, reuse=0.7)
    spared = sum(computed)
    computed.clear()
    together = sample(prepared, batch=4, reuse=0.7)
    assert sum(computed) == spared
    assert far(together, one_by_one) < 1e-5
    computed.clear()
    sample(prepared)
    assert spared < 0.9 * sum(computed)
    assert far(sample(prepared, reuse=1e-9), sample(prepared)) < 1e-5


def test_coarse_steps_see_a_quarter_of_the_cells(prepared):
    events = []
    made = sample(prepared, size=32, observe=events.append, coarse=0.5)
    assert made.shape[-2:] == (32, 32)
    # 32 cells are 3 x 3 tiles, 16 are one.
    assert events[0] == PhaseStarted("sampling", total=4 * 9 + 4)
    assert events[-1] == Advanced(4 * 9 + 4)
    assert torch.isfinite(made).all()
    assert far(sample(prepared, size=30, coarse=0.5), sample(prepared, size=30)) == 0


def test_dpm_is_exact_where_the_estimate_is_constant():
    clean, noise = torch.randn(2, 7).unbind()
    latents = 0.2 * clean + 0.8 * noise
    moved = dpm_step(latents, clean, clean, 0.9, 0.8, 0.5)
    torch.testing.assert_close(moved, 0.5 * clean + 0.5 * noise)
    assert torch.equal(dpm_step(latents, clean, noise, 0.9, 0.8, 0.0), clean)


def test_dpm_is_of_second_order():
    """On a flow whose solution is known: normal data of deviation d, for which v is linear in x."""
    d = 0.5

    def error(solver: Solver, steps: int) -> float:
        # From below 1, where the log of the signal-to-noise ratio begins.
        levels = [0.9 - 0.8 * i / steps for i in range(steps + 1)]
        stepper = Stepper(solver, levels, lambda: torch.zeros(1, 1, dtype=torch.float64))
        x = torch.ones(1, 1, dtype=torch.float64)
        for step, s in enumerate(levels[:-1]):
            variance = ((1 - s) * d) ** 2 + s**2
            clean = (1 - s) * d**2 * x / variance
            x = stepper.advance(x, (x - clean) / s, step)
        first, last = levels[0], levels[-1]
        exact = (((1 - last) * d) ** 2 + last**2) ** 0.5 / (
            ((1 - first) * d) ** 2 + first**2
        ) ** 0.5
        return abs(float(x) - exact)

    euler = error(Solver.EULER, 20) / error(Solver.EULER, 40)
    dpm = error(Solver.DPM, 20) / error(Solver.DPM, 40)
    assert 1.7 < euler < 2.4
    assert dpm > 3.2
    assert error(Solver.DPM, 20) < error(Solver.EULER, 20) / 4


def test_rows_are_advanced_by_themselves():
    levels = [0.9, 0.6, 0.3, 0.0]
    velocity = torch.randn(3, 2, 8, 4)
    whole = Stepper(Solver.DPM, levels, lambda: torch.zeros(2, 8, 4))
    parts = Stepper(Solver.DPM, levels, lambda: torch.zeros(2, 8, 4))
    x = y = torch.randn(2, 8, 4)
    for step in range(3):
        x = whole.advance(x, velocity[step], step)
        rows = [slice(0, 3), slice(3, 8)]
        y = torch.cat([parts.advance(y[:, r], velocity[step][:, r], step, r) for r in rows], dim=1)
    assert torch.equal(x, y)


def test_the_settings_are_frozen_and_nothing_by_default():
    assert Shortcuts() == replace(Shortcuts(coarse=0.4), coarse=0.0)
    assert Shortcuts(coarse=1.0).coarse_steps(4) == 3
    assert Shortcuts(coarse=0.5).coarse_steps(1) == 0
