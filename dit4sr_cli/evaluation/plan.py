"""What an evaluation knows once nothing is at fault any more, and before any picture is made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from dit4sr_cli.evaluation.loaded import Loaded
from dit4sr_cli.evaluation.metrics import Metric
from dit4sr_cli.evaluation.pairs import Case
from dit4sr_cli.evaluation.scores import Scores


@dataclass(frozen=True, slots=True)
class Plan:
    """What is measured, how, and where it stays.

    Args:
        cases: the pictures.
        metrics: those that can be measured, `loaded` has each by its name.
        digests: of pictures and references, by path.
        store: what earlier runs made and measured.
        folder: gets METHOD/NAME.png; None: results are let go.
        scale: where there are no references to say it.
    """

    cases: Sequence[Case]
    metrics: Sequence[Metric]
    loaded: Mapping[str, Loaded]
    digests: Mapping[str, str]
    store: Scores
    folder: Path | None
    scale: float

    def place(self, method: str, case: Case) -> Path | None:
        """Where a result of a method is kept, if it is."""
        return self.folder / method / f"{case.name}.png" if self.folder else None
