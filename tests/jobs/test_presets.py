"""What a preset stands for, and what is given by name before it."""

from __future__ import annotations

import pytest

from dit4sr_cli.core.errors import UsageError
from dit4sr_cli.core.settings import ModelSettings, UpscaleSettings
from dit4sr_cli.core.shortcuts import NO_SHORTCUTS
from dit4sr_cli.core.types import Grid, Precision, Preset, Solver
from dit4sr_cli.jobs.plan import choose_model
from dit4sr_cli.jobs.presets import with_preset
from dit4sr_cli.jobs.sampling import passes_of, sampling_of, shortcuts_of, tiling_of
from dit4sr_cli.weights.resolve import resolve
from dit4sr_cli.weights.spec import ModelSpec

PUBLISHED = ModelSpec()


def sampling(**settings):
    return sampling_of(UpscaleSettings(**settings), PUBLISHED, ["a cat"], None)


def test_best_is_the_papers_settings():
    best = sampling(preset="best")
    assert (best.steps, best.guidance, best.start.value) == (40, 8.0, "noise")
    assert (best.tiling.size, best.tiling.overlap, best.tiling.grid) == (64, 24, Grid.REFERENCE)
    assert best.shortcuts == NO_SHORTCUTS
    assert best.color_fix.value == "adain"


def test_without_a_preset_nothing_is_cut_short():
    default = sampling()
    assert default.shortcuts == NO_SHORTCUTS
    assert default.tiling.grid is Grid.EVEN
    assert default.steps == 40


def test_each_preset_takes_less_than_the_one_before():
    passes = [
        passes_of(UpscaleSettings(preset=p), PUBLISHED) for p in ("best", "balanced", "draft")
    ]
    assert passes[0] == 80
    assert passes[0] > 2 * passes[1] > 4 * passes[2]


def test_what_is_given_by_name_goes_first():
    given = sampling(preset="draft", steps=12, solver="euler", reuse=0.0, grid="reference")
    assert (given.steps, given.shortcuts.solver) == (12, Solver.EULER)
    assert given.shortcuts.reuse == 0
    assert given.shortcuts.coarse == 0.4
    assert given.tiling.grid is Grid.REFERENCE


def test_a_model_of_one_step_keeps_it():
    nano = resolve("nano").spec
    for preset in Preset:
        settings = UpscaleSettings(preset=preset)
        assert with_preset(settings, nano).steps == 1
        assert shortcuts_of(settings, nano).coarse == 0


@pytest.mark.parametrize(("preset", "precision"), [("best", "auto"), ("balanced", "fast")])
def test_speed_goes_before_the_last_digits(preset, precision):
    chosen = choose_model(ModelSettings(), UpscaleSettings(preset=preset))
    assert chosen.precision.value == precision
    kept = choose_model(ModelSettings(precision=Precision.FP32), UpscaleSettings(preset=preset))
    assert kept.precision is Precision.FP32


@pytest.mark.parametrize(
    "wrong",
    [{"preset": "good"}, {"solver": "heun"}, {"grid": "hex"}, {"reuse": 2.0}, {"coarse": -1.0}],
)
def test_what_makes_no_sense_is_refused(wrong):
    with pytest.raises(UsageError):
        sampling(**wrong)


def test_the_reference_grid_has_its_own_overlap():
    assert tiling_of(UpscaleSettings(), PUBLISHED).overlap == 6
    assert tiling_of(UpscaleSettings(grid="reference"), PUBLISHED).overlap == 24
    assert tiling_of(UpscaleSettings(grid="reference", tile=32), PUBLISHED).overlap == 12
