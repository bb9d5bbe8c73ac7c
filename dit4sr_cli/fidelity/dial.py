"""One dial from free to faithful: `--fidelity 0..1` to the settings it stands for.

The mapping is frozen: the same number means the same settings in every release.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from dit4sr_cli.core.types import StartPoint
from dit4sr_cli.weights.spec import ModelSpec

FREE_WEIGHTS, FAITHFUL_WEIGHTS = "dit4sr-q", "dit4sr-f"
MIDDLE = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class DialSettings:
    """What a place on the dial stands for; whatever the user gives by name goes before it.

    Args:
        start: where sampling starts.
        guidance: of the sampler; 1 without text.
        projection: strength of `pipeline.consistency`, 0 to 1.
    """

    start: StartPoint
    guidance: float
    projection: float


def settings_of(fidelity: float, spec: ModelSpec) -> DialSettings:
    """The settings of a place on the dial.

    0 is the model as its makers run it, started from noise; guidance falls to none on the way to
    1, the source's latents are the start from the middle on, and the projection grows throughout.

    Args:
        fidelity: 0, free, to 1, faithful.
        spec: of the model, whose guidance is that of 0.

    Raises:
        ValueError: `fidelity` is outside 0 to 1.
    """
    _check(fidelity)
    free = max(1.0, spec.guidance)
    return DialSettings(
        start=StartPoint.NOISE if fidelity < MIDDLE else StartPoint.LR,
        guidance=round(free + (1.0 - free) * fidelity, 3),
        projection=fidelity,
    )


def weights_of(fidelity: float, installed: Collection[str]) -> str | None:
    """The published weights that fit, for model `auto`; None: as without the dial.

    Above the middle the fidelity weights go before the perceptual ones, if both are there.

    Raises:
        ValueError: `fidelity` is outside 0 to 1.
    """
    _check(fidelity)
    if not {FREE_WEIGHTS, FAITHFUL_WEIGHTS} <= set(installed):
        return None
    return FAITHFUL_WEIGHTS if fidelity > MIDDLE else FREE_WEIGHTS


def _check(fidelity: float) -> None:
    if not 0 <= fidelity <= 1:
        raise ValueError(f"a fidelity of {fidelity:g} is outside 0 to 1")
