"""What commands over many pictures say of what became of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from dit4sr_cli.cli import failures
from dit4sr_cli.core.errors import Dit4srError

if TYPE_CHECKING:
    from dit4sr_cli.jobs.record import FileOutcome


def explain(error: Exception) -> Dit4srError:
    """What went wrong with one picture, in one line, while the others go on."""
    known = failures.translate(error)
    return known or Dit4srError(f"unexpected {type(error).__name__}: {error}")


def counts(outcomes: Sequence[FileOutcome]) -> str:
    """`3 done, 0 skipped, 1 failed`."""
    from dit4sr_cli.jobs.record import Status

    statuses = [outcome.status for outcome in outcomes]
    return ", ".join(f"{statuses.count(status)} {status.value}" for status in Status)
