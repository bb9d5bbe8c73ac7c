"""What became of one thing that a command worked on."""

from __future__ import annotations

from dataclasses import dataclass

from dit4sr_cli.core.errors import Dit4srError


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was made, what was there already, or why there is nothing.

    Args:
        file: the photograph, or the sample's name.
        made: how many samples.
        kept: how many samples were there already.
        error: why it was left out; None if all went well.
    """

    file: str
    made: int = 0
    kept: int = 0
    error: Dit4srError | None = None
