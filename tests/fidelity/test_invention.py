"""Where samples disagree: known pictures in, a map and a percentage out."""

import weakref

import numpy as np
import pytest
from helpers.images import scene

from dit4sr_cli.fidelity import colour
from dit4sr_cli.fidelity.invention import THRESHOLD, invention

PICTURE = np.asarray(scene(90, 600))


def _sample(seed):
    """A quarter is made up anew with every seed."""
    made = PICTURE.copy()
    made[300:, 45:] = np.random.default_rng(seed).integers(0, 256, (300, 45, 3))
    return made


def test_samples_that_agree_invent_nothing():
    found = invention(lambda seed: PICTURE, range(4))
    assert found.percent == 0
    assert found.num_samples == 4
    assert "chance has no part" in found.summary()
    assert (found.map[..., 0] == found.map[..., 1]).all()  # grey, without any colour
    assert (found.map[..., 1] == found.map[..., 2]).all()


def test_what_is_made_up_is_counted_and_coloured():
    found = invention(_sample, range(4))
    assert 25 <= found.percent < 28  # with the 4 pixels around it that the means reach
    assert found.summary().startswith("invented: 2")
    assert found.as_json()["samples"] == 4
    coloured = np.ptp(found.map.astype(int), axis=2) > 10
    assert coloured[300:, 45:].mean() > 0.99
    assert not coloured[:296].any()  # which is 4 pixels away, as far as the means reach
    assert not coloured[:, :41].any()


def test_the_running_variance_is_the_variance():
    stack = np.stack([colour.lab(colour.linear(_sample(seed))) for seed in range(5)])
    variance = np.pad(stack.var(axis=0, ddof=1).sum(axis=-1), 4, mode="symmetric")
    pooled = np.lib.stride_tricks.sliding_window_view(variance, (9, 9)).mean(axis=(2, 3))
    found = invention(_sample, range(5))
    assert found.percent == pytest.approx(100 * (pooled > THRESHOLD**2).mean(), abs=0.02)
    assert found.largest == pytest.approx(np.sqrt(pooled.max()), rel=1e-3)


def test_differences_that_nobody_sees_do_not_count():
    found = invention(lambda seed: PICTURE // 2 + np.uint8(seed % 2), range(4))
    assert found.percent == 0


@pytest.mark.parametrize("kind", ["grey", "uint16"])
def test_other_kinds_of_pictures(kind):
    def sample(seed):
        made = _sample(seed)
        return made[..., :1] if kind == "grey" else made.astype(np.uint16) * 257

    found = invention(sample, range(3))
    assert found.map.shape == PICTURE.shape
    assert found.map.dtype == np.uint8
    assert 25 <= found.percent < 28  # with the 4 pixels around it that the means reach


def test_one_picture_is_in_memory_at_a_time():
    alive = []

    def sample(seed):
        assert all(reference() is None for reference in alive)
        made = _sample(seed)
        alive.append(weakref.ref(made))
        return made

    invention(sample, range(4))


def test_one_seed_is_not_enough():
    with pytest.raises(ValueError, match="two samples"):
        invention(_sample, [7])
