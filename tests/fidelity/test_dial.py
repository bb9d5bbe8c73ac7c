import pytest

from dit4sr_cli.core.types import StartPoint
from dit4sr_cli.fidelity.dial import settings_of, weights_of
from dit4sr_cli.weights.spec import ModelSpec

BOTH = ["nano", "dit4sr-q", "dit4sr-f"]


@pytest.mark.parametrize(
    ("fidelity", "start", "guidance", "projection"),
    [
        (0, StartPoint.NOISE, 8.0, 0.0),
        (0.25, StartPoint.NOISE, 6.25, 0.25),
        (0.5, StartPoint.LR, 4.5, 0.5),
        (0.75, StartPoint.LR, 2.75, 0.75),
        (1, StartPoint.LR, 1.0, 1.0),
    ],
)
def test_the_mapping_is_frozen(fidelity, start, guidance, projection):
    found = settings_of(fidelity, ModelSpec())
    assert (found.start, found.guidance, found.projection) == (start, guidance, projection)


def test_a_model_without_guidance_gets_none():
    assert {settings_of(f / 10, ModelSpec(guidance=1.0)).guidance for f in range(11)} == {1.0}


@pytest.mark.parametrize(
    ("fidelity", "wanted"),
    [(0, "dit4sr-q"), (0.5, "dit4sr-q"), (0.51, "dit4sr-f"), (1, "dit4sr-f")],
)
def test_weights_turn_in_the_middle(fidelity, wanted):
    assert weights_of(fidelity, BOTH) == wanted


@pytest.mark.parametrize("installed", [[], ["nano"], BOTH[:2], ["nano", "dit4sr-f"]])
def test_weights_are_left_alone_without_a_choice(installed):
    assert weights_of(1, installed) is None


@pytest.mark.parametrize("fidelity", [-0.1, 1.1, float("nan")])
def test_outside_is_refused(fidelity):
    with pytest.raises(ValueError, match="outside 0 to 1"):
        settings_of(fidelity, ModelSpec())
    with pytest.raises(ValueError, match="outside 0 to 1"):
        weights_of(fidelity, BOTH)
