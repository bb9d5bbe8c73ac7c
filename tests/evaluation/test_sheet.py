"""The contact sheet shows pixels as they are."""

from __future__ import annotations

import numpy as np
from helpers import images

from dit4sr_cli.evaluation import sheet


def row(name="scene", side=32, **options):
    original = np.asarray(images.scene(side, side))
    small = original[::4, ::4]
    results = {"bicubic": original // 2, "nano": original // 3}
    return original, sheet.make_row(name, small, results, original, **options)


def test_columns_in_order_and_input_in_squares():
    original, made = row()
    assert list(made.cells) == ["input", "bicubic", "nano", "reference"]
    assert (made.cells["input"][:4, :4] == original[0, 0]).all()


def test_the_middle():
    pixels = np.arange(100, dtype=np.uint8).reshape(10, 10)
    assert sheet.middle(pixels, 2).tolist() == [[44, 45], [54, 55]]
    assert sheet.middle(pixels, 50).shape == (10, 10)
    assert sheet.middle(pixels, None) is pixels


def test_every_pixel_at_its_own_size():
    original, made = row(crop=16)
    _, other = row("second", crop=16)
    page = np.asarray(sheet.make_sheet([made, other]))
    middle = original[8:24, 8:24]
    hits = np.lib.stride_tricks.sliding_window_view(page, (16, 16, 3))[:, :, 0]
    assert (hits == middle).all(axis=(2, 3, 4)).sum() == 2  # once a row, untouched
    assert (page[:12] < 128).any()  # a label above
