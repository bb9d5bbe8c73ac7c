"""Small pictures of one size share calls of the model, and none of them is the worse for it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from helpers import images
from PIL import Image

from dit4sr_cli.core.settings import ModelSettings, UpscaleSettings
from dit4sr_cli.jobs import batch
from dit4sr_cli.jobs.batch import groups, todo
from dit4sr_cli.jobs.batch.ledger import Ledger
from dit4sr_cli.jobs.batch.request import Request, as_expected
from dit4sr_cli.jobs.journal import journal

NANO = ModelSettings(model="nano")


def gathered(folder: Path, sources: list[Path], **more) -> list[list[str]]:
    request = Request(
        targets={source: folder / "out" / f"{source.stem}.png" for source in sources},
        folder=folder / "out",
        model=NANO,
        **more,
    )
    known = todo.common(request)
    with journal(request.folder) as log:
        jobs = todo.unfinished(request, known, Ledger(log, lambda event: None, as_expected))
    found = groups.gathered(jobs, request, known.model)
    return [[job.source.stem for job in group] for group in found]


def test_those_of_one_size_go_together_in_the_order_they_came(tmp_path):
    sizes = {"a": (24, 16), "b": (40, 30), "c": (24, 16), "d": (16, 24), "e": (24, 16)}
    sources = [images.save(tmp_path / f"{name}.png", *size) for name, size in sizes.items()]
    assert gathered(tmp_path, sources) == [["a", "c", "e"], ["b"], ["d"]]


def test_those_that_fill_a_call_and_those_with_pages_go_alone(tmp_path):
    large = [images.save(tmp_path / f"{name}.jpg", 640, 480) for name in "ab"]
    pages = [tmp_path / "c.tif", tmp_path / "d.tif"]
    for path in pages:
        images.scene(24, 16).save(path, save_all=True, append_images=[images.scene(24, 16)])
    (tmp_path / "bad.png").write_bytes(b"\x89PNG\r\n\x1a\n nothing")
    found = gathered(tmp_path, [*large, *pages, tmp_path / "bad.png"])
    assert found == [["a"], ["b"], ["c"], ["d"], ["bad"]]


def test_no_more_at_once_than_memory_should_hold(tmp_path):
    sources = [images.save(tmp_path / f"{number:02}.png", 8, 8) for number in range(40)]
    found = gathered(tmp_path, sources)
    assert sum(map(len, found)) == 40
    assert 1 < max(map(len, found)) <= groups.MOST


@pytest.mark.parametrize("settings", [{}, {"steps": 4, "fidelity": 0.5}])
def test_together_is_as_alone_but_for_the_last_bit(tmp_path, settings):
    """The tolerance that is promised: one level in a few pixels, none in nearly all."""
    upscale = UpscaleSettings(**settings)
    together = made(tmp_path / "together", upscale, limit=None)
    alone = made(tmp_path / "alone", upscale, limit=1)
    for first, second in zip(together, alone, strict=True):
        difference = np.abs(first.astype(int) - second)
        assert difference.max() <= 1
        assert (difference > 0).mean() < 0.001


def made(folder: Path, upscale: UpscaleSettings, limit: int | None) -> list[np.ndarray]:
    """Results of a batch, all in one run, or a run for each."""
    folder.mkdir()
    names = ["a", "b", "c"]
    for angle, name in enumerate(names):
        images.scene(32, 32).rotate(90 * angle).save(folder / f"{name}.png")
    targets = {folder / f"{name}.png": folder / "out" / f"{name}.png" for name in names}
    request = Request(
        targets=targets, folder=folder / "out", model=NANO, upscale=upscale, limit=limit
    )
    while batch.run(request).left:
        pass
    return [np.asarray(Image.open(target)) for target in targets.values()]
