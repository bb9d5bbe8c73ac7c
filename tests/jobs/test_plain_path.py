"""The plain path: one tile a call on the released grid, for comparison with the default one."""

from __future__ import annotations

import numpy as np
import pytest
from helpers import images

from dit4sr_cli import Upscaler
from dit4sr_cli.jobs import large
from dit4sr_cli.model.transformer import MMDiTControl

TILES = {"tile": 16, "overlap": 6}


@pytest.fixture(scope="module")
def plain():
    return Upscaler.load("nano", device="cpu", plain=True)


def _batches(monkeypatch) -> list[int]:
    seen: list[int] = []
    forward = MMDiTControl.forward

    def noting(self, noisy_latents, *others):
        seen.append(len(noisy_latents))
        return forward(self, noisy_latents, *others)

    monkeypatch.setattr(MMDiTControl, "forward", noting)
    return seen


def test_one_tile_a_call(plain, monkeypatch):
    seen = _batches(monkeypatch)
    result = plain.upscale(images.scene(50, 40), **TILES)
    assert seen == [1] * result.record.tiles and len(seen) > 1


def test_the_released_grid(plain):
    # Both grids lie at the same places here: what differs is how tiles are blended.
    picture = np.asarray(images.scene(50, 40))
    even = Upscaler.load("nano", device="cpu").upscale(picture, **TILES)
    ours = plain.upscale(picture, **TILES)
    apart = abs(even.pixels.astype(int) - ours.pixels)
    assert even.record.tiles == ours.record.tiles
    assert apart.max() > 0 and apart.mean() < 1


def test_without_tiles_both_paths_are_one(plain):
    picture = np.asarray(images.scene(20, 16))
    default = Upscaler.load("nano", device="cpu").upscale(picture).pixels
    assert abs(default.astype(int) - plain.upscale(picture).pixels).max() <= 1


def test_by_strips_too(plain, monkeypatch, tmp_path):
    from dit4sr_cli.captions.source import NO_CAPTION
    from dit4sr_cli.core.settings import UpscaleSettings

    picture = np.asarray(images.scene(50, 40))
    whole = plain.upscale(picture, **TILES).pixels
    seen = _batches(monkeypatch)
    [result] = plain.upscale_many(
        [picture],
        UpscaleSettings(**TILES),
        captions=[NO_CAPTION],
        enlarge=large.enlarging(tmp_path / "out.tif"),
    )
    assert set(seen) == {1}
    assert abs(whole.astype(int) - result.pixels).max() <= 1
