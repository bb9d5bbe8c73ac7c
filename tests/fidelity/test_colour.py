"""CIELAB and CIEDE2000, against the numbers that were published with the formula."""

import numpy as np
import pytest

from dit4sr_cli.fidelity import colour

# L1 a1 b1 L2 a2 b2 and the difference: Sharma, Wu and Dalal (2005), table 1.
PAIRS = """
50.0000   2.6772 -79.7751 50.0000   0.0000 -82.7485  2.0425
50.0000   3.1571 -77.2803 50.0000   0.0000 -82.7485  2.8615
50.0000   2.8361 -74.0200 50.0000   0.0000 -82.7485  3.4412
50.0000  -1.3802 -84.2814 50.0000   0.0000 -82.7485  1.0000
50.0000  -1.1848 -84.8006 50.0000   0.0000 -82.7485  1.0000
50.0000  -0.9009 -85.5211 50.0000   0.0000 -82.7485  1.0000
50.0000   0.0000   0.0000 50.0000  -1.0000   2.0000  2.3669
50.0000  -1.0000   2.0000 50.0000   0.0000   0.0000  2.3669
50.0000   2.4900  -0.0010 50.0000  -2.4900   0.0009  7.1792
50.0000   2.4900  -0.0010 50.0000  -2.4900   0.0010  7.1792
50.0000   2.4900  -0.0010 50.0000  -2.4900   0.0011  7.2195
50.0000   2.4900  -0.0010 50.0000  -2.4900   0.0012  7.2195
50.0000  -0.0010   2.4900 50.0000   0.0009  -2.4900  4.8045
50.0000  -0.0010   2.4900 50.0000   0.0010  -2.4900  4.8045
50.0000  -0.0010   2.4900 50.0000   0.0011  -2.4900  4.7461
50.0000   2.5000   0.0000 50.0000   0.0000  -2.5000  4.3065
50.0000   2.5000   0.0000 73.0000  25.0000 -18.0000 27.1492
50.0000   2.5000   0.0000 61.0000  -5.0000  29.0000 22.8977
50.0000   2.5000   0.0000 56.0000 -27.0000  -3.0000 31.9030
50.0000   2.5000   0.0000 58.0000  24.0000  15.0000 19.4535
50.0000   2.5000   0.0000 50.0000   3.1736   0.5854  1.0000
50.0000   2.5000   0.0000 50.0000   3.2972   0.0000  1.0000
50.0000   2.5000   0.0000 50.0000   1.8634   0.5757  1.0000
50.0000   2.5000   0.0000 50.0000   3.2592   0.3350  1.0000
60.2574 -34.0099  36.2677 60.4626 -34.1751  39.4387  1.2644
63.0109 -31.0961  -5.8663 62.8187 -29.7946  -4.0864  1.2630
61.2901   3.7196  -5.3901 61.4292   2.2480  -4.9620  1.8731
35.0831 -44.1164   3.7933 35.0232 -40.0716   1.5901  1.8645
22.7233  20.0904 -46.6940 23.0331  14.9730 -42.5619  2.0373
36.4612  47.8580  18.3852 36.2715  50.5065  21.2231  1.4146
90.8027  -2.0831   1.4410 91.1528  -1.6435   0.0447  1.4441
90.9257  -0.5406  -0.9208 88.6381  -0.8985  -0.7239  1.5381
 6.7747  -0.2908  -2.4247  5.8714  -0.0985  -2.2286  0.6377
 2.0776   0.0795  -1.1350  0.9033  -0.0636  -0.5514  0.9082
"""
TABLE = np.array([line.split() for line in PAIRS.split("\n") if line], np.float64)


def test_the_published_pairs():
    assert len(TABLE) == 34
    found = colour.ciede2000(TABLE[:, :3], TABLE[:, 3:6])
    np.testing.assert_allclose(found, TABLE[:, 6], atol=6e-5)


def test_it_does_not_matter_which_comes_first():
    # Pairs 10 and 14 are exact opposites, where rounding decides which way round is shorter.
    rows = np.delete(TABLE, [9, 13], axis=0)
    found = colour.ciede2000(rows[:, 3:6], rows[:, :3])
    np.testing.assert_allclose(found, rows[:, 6], atol=6e-5)


def test_single_precision_is_enough():
    rows = np.delete(TABLE, range(8, 15), axis=0).astype(np.float32)  # nearly opposite hues
    found = colour.ciede2000(rows[:, :3], rows[:, 3:6])
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, rows[:, 6], atol=2e-4)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_white_black_and_grey_have_no_colour(dtype):
    top = np.iinfo(dtype).max
    grey = np.array([[0] * 3, [round(0.5 * top)] * 3, [top] * 3], dtype)
    found = colour.lab(colour.linear(grey))
    np.testing.assert_allclose(found[:, 0], [0, 53.4, 100], atol=0.25)
    np.testing.assert_allclose(found[:, 1:], 0, atol=1e-3)


def test_red_is_where_it_should_be():
    red = colour.lab(colour.linear(np.array([255, 0, 0], np.uint8)))
    np.testing.assert_allclose(red, [53.24, 80.09, 67.20], atol=0.05)
