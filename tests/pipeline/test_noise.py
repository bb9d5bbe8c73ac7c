import torch
from hypothesis import given
from hypothesis import strategies as st

from dit4sr_cli.core.types import Box
from dit4sr_cli.pipeline.noise import position_noise


@given(
    x=st.integers(0, 90), y=st.integers(0, 90), width=st.integers(1, 60), height=st.integers(1, 60)
)
def test_a_window_is_part_of_the_whole(x, y, width, height):
    whole = position_noise(7, 2, Box(0, 0, 150, 150))
    window = position_noise(7, 2, Box(x, y, width, height))
    assert torch.equal(window, whole[..., y : y + height, x : x + width])


def test_it_is_normal_and_differs_by_seed():
    noise = position_noise(0, 4, Box(0, 0, 128, 128))
    assert abs(noise.mean()) < 0.02 and abs(noise.std() - 1) < 0.02
    other = position_noise(1, 4, Box(0, 0, 128, 128))
    assert abs((noise * other).mean()) < 0.02


def test_neighbouring_cells_are_unrelated():
    a = position_noise(0, 4, Box(0, 0, 32, 32))
    for box in (Box(32, 0, 32, 32), Box(0, 32, 32, 32)):
        assert abs((a * position_noise(0, 4, box)).mean()) < 0.06
