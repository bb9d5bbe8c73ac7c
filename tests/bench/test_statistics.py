"""Ratios and intervals against closed forms and printed tables."""

from __future__ import annotations

import math
import random

import pytest

from dit4sr_cli.bench.statistics import ratio_of
from dit4sr_cli.core.quantiles import t_quantile


@pytest.mark.parametrize("probability", [0.6, 0.9, 0.975, 0.999])
def test_quantiles_that_have_a_closed_form(probability):
    u = 2 * probability - 1
    assert t_quantile(probability, 1) == pytest.approx(math.tan(math.pi * u / 2))
    assert t_quantile(probability, 2) == pytest.approx(u * math.sqrt(2 / (1 - u * u)))


@pytest.mark.parametrize(
    ("freedom", "expected"),
    [(3, 3.182), (4, 2.776), (5, 2.571), (9, 2.262), (10, 2.228), (30, 2.042), (120, 1.980)],
)
def test_quantiles_of_printed_tables(freedom, expected):
    assert t_quantile(0.975, freedom) == pytest.approx(expected, abs=5e-4)


def test_a_constant_ratio_has_no_width():
    found = ratio_of([1.0, 2.0, 5.0], [3.0, 6.0, 15.0])
    assert (found.value, found.low, found.high) == pytest.approx((3, 3, 3))
    assert found.pairs == 3


def test_two_pairs():
    # Logarithms a and b: mean (a + b) / 2, half width 12.706 * |a - b| / 2.
    a, b = math.log(2), math.log(2.2)
    found = ratio_of([1.0, 1.0], [2.0, 2.2])
    half = math.tan(math.pi * 0.475) * (b - a) / 2
    assert found.value == pytest.approx(math.sqrt(4.4))
    assert found.low == pytest.approx(math.exp((a + b) / 2 - half))
    assert found.high == pytest.approx(math.exp((a + b) / 2 + half))


def test_swapping_the_two_inverts_everything():
    first, second = [1.0, 1.1, 0.9], [2.0, 2.5, 1.7]
    one, other = ratio_of(first, second), ratio_of(second, first)
    assert one.value == pytest.approx(1 / other.value)
    assert one.low == pytest.approx(1 / other.high)


def test_one_pair_has_no_interval():
    found = ratio_of([2.0], [3.0])
    assert (found.value, found.low, found.high) == (1.5, None, None)


def test_the_interval_holds_the_truth_as_often_as_it_says():
    dice = random.Random(0)
    holds = 0
    for _ in range(2000):
        first = [math.exp(dice.gauss(0, 0.1)) for _ in range(4)]
        second = [1.5 * math.exp(dice.gauss(0, 0.1)) for _ in range(4)]
        found = ratio_of(first, second)
        holds += found.low < 1.5 < found.high
    assert 0.935 < holds / 2000 < 0.965
