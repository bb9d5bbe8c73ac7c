"""A part of a grid is sampled as in the whole, at both resolutions."""

from __future__ import annotations

import pytest
import torch
from helpers import parity

from dit4sr_cli import Conditioning, Tiling, Transformer, denoise
from dit4sr_cli.core.events import PhaseStarted
from dit4sr_cli.core.shortcuts import Shortcuts
from dit4sr_cli.core.types import Box, Size
from dit4sr_cli.tiles.blend import cut
from dit4sr_cli.tiles.part import inside, part_of

WHOLE = Size(64, 64)
WANTED = Box(41, 9, 7, 6)
TILING = Tiling(8, 2)


@pytest.fixture(scope="module")
def transformer():
    return Transformer.from_folder(parity.FOLDER / "transformer_r1", wiring="r1")


def sampled(transformer, part=None, seen=None, **settings):
    generator = torch.Generator().manual_seed(3)
    shape = (1, 16, WHOLE.height, WHOLE.width)
    lr, noise = (torch.randn(shape, generator=generator) for _ in range(2))
    texts = parity.tensors("denoise/untiled")
    return denoise(
        transformer,
        cut(lr, part.box) if part else lr,
        cut(noise, part.box) if part else noise,
        positive=Conditioning(texts["prompt_embeds"], texts["pooled_prompt_embeds"]),
        guidance=1.0,
        tiling=TILING,
        part=part,
        batch=16,
        observe=(seen if seen is not None else []).append,
        **settings,
    )


@pytest.mark.parametrize("coarse", [0.0, 0.5])
def test_a_first_step_at_each_resolution_is_the_same(transformer, coarse):
    """What neighbours were not computed is seen from the second step at a resolution on."""
    settings = {"steps": 2 if coarse else 1, "shortcuts": Shortcuts(coarse=coarse)}
    whole = sampled(transformer, **settings)
    part = part_of(WHOLE, WANTED, TILING, is_coarse=bool(coarse))
    seen = []
    got = cut(sampled(transformer, part, seen, **settings), inside(part.box, WANTED))
    torch.testing.assert_close(got, cut(whole, WANTED), rtol=1e-4, atol=1e-4)
    assert seen[0] == PhaseStarted("sampling", total=len(part.tiles) + len(part.coarse))
    assert len(part.tiles) + len(part.coarse) < sum(part.whole)


def test_further_steps_stay_near(transformer):
    whole = cut(sampled(transformer, steps=6), WANTED)
    part = part_of(WHOLE, WANTED, TILING)
    got = cut(sampled(transformer, part, steps=6), inside(part.box, WANTED))
    apart = (got - whole).norm() / whole.norm()
    assert 0 < apart < 0.05
