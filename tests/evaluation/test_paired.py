"""The paired test and the intervals, against closed forms and another library."""

from __future__ import annotations

import numpy as np
import pytest

from dit4sr_cli.evaluation.statistics import holm, interval, sign_flip


def test_all_of_one_sign_has_the_least_p():
    assert sign_flip([1.0, 2, 3, 4, 5, 6, 7]) == 2 / 2**7
    assert sign_flip([1.0] * 5) is None
    assert sign_flip([0.0] * 8) == 1


@pytest.mark.parametrize("n", [12, 40])
def test_sign_flip_is_scipy_s(n):
    stats = pytest.importorskip("scipy.stats")
    values = np.random.default_rng(n).normal(0.3, 1, n)
    theirs = stats.permutation_test(
        (values,), np.mean, permutation_type="samples", n_resamples=50_000, rng=1
    ).pvalue
    assert sign_flip(values) == pytest.approx(theirs, abs=0.01)


def test_interval_is_student_s():
    found = interval([1.0, 2.0, 3.0])
    assert (found.mean, found.n) == (2, 3)
    assert found.high - 2 == pytest.approx(4.302653 / 3**0.5, abs=1e-5)
    assert interval([1.0]).low is None


def test_holm():
    assert holm([0.01, None, 0.04, 0.03]) == pytest.approx([0.03, None, 0.06, 0.06])
