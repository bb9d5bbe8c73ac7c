"""One variant's work, as it is sent to a process."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from dit4sr_cli.bench.architecture import Architecture
from dit4sr_cli.bench.variant import Variant
from dit4sr_cli.core.types import Size

DEFAULT_SIZE = Size(128, 128)


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One variant's work.

    Args:
        variant: the settings.
        source: the picture.
        result: where the result goes: a picture, or `.npy` with the latents of random weights.
        random: the shape of a transformer of random weights; None: the model of the settings.
        size: of a picture that is not there, for random weights.
    """

    variant: Variant
    source: Path
    result: Path
    random: Architecture | None = None
    size: Size = DEFAULT_SIZE
