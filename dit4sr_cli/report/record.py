"""Outcomes as one JSON document, and which of the two reports a name asks for."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from dit4sr_cli import __version__
from dit4sr_cli.captions.source import write_text
from dit4sr_cli.core.errors import UsageError
from dit4sr_cli.jobs.record import FileOutcome, Status

SCHEMA = 1


def write(
    outcomes: Sequence[FileOutcome], path: Path, *, settings: Mapping[str, Any] | None = None
) -> None:
    """Write a report in the format of its name; what was there before stays until it is whole.

    Args:
        outcomes: in the order in which they shall be shown.
        path: ends with .html or .json.
        settings: of the run, to be shown as they are.

    Raises:
        UsageError: another ending.
        OutputError: it cannot be written.
    """
    from dit4sr_cli.report.page import as_html

    makers = {".html": as_html, ".htm": as_html, ".json": as_json}
    make = makers.get(path.suffix.lower())
    if make is None:
        raise UsageError(f"{path}: a report ends with .html or .json")
    text = make(outcomes, settings=settings)
    # File names may be bytes that are no text: shown, not fatal.
    write_text(path, text.encode("utf-8", "backslashreplace").decode("utf-8"))


def as_json(outcomes: Sequence[FileOutcome], *, settings: Mapping[str, Any] | None = None) -> str:
    """The whole run as one object."""
    body = {
        "schema": SCHEMA,
        "tool": f"dit4sr {__version__}",
        "made_at": now(),
        "settings": dict(settings or {}),
        "summary": summary(outcomes),
        "files": [of_file(outcome) for outcome in outcomes],
    }
    return json.dumps(body, indent=1, default=str)


def summary(outcomes: Sequence[FileOutcome]) -> dict[str, Any]:
    """Counts, seconds, megapixels made, and the reasons of failures by how often."""
    counts = Counter(outcome.status for outcome in outcomes)
    made = [outcome.outcome for outcome in outcomes if outcome.outcome is not None]
    failed = Counter(o.code for o in outcomes if o.status is Status.FAILED)
    pixels = sum(one.output_size[0] * one.output_size[1] * one.pages for one in made)
    return {
        "files": len(outcomes),
        **{status.value: counts[status] for status in Status},
        "seconds": round(sum(outcome.seconds for outcome in outcomes), 1),
        "megapixels": round(pixels / 1e6, 2),
        "failures_by_code": {str(code): number for code, number in sorted(failed.items())},
    }


def of_file(outcome: FileOutcome) -> dict[str, Any]:
    """One file; `record` is how it was made, if it was made in this run."""
    return {
        "input": str(outcome.source),
        "output": None if outcome.target is None else str(outcome.target),
        "status": outcome.status.value,
        "reason": outcome.reason,
        "code": outcome.code,
        "seconds": outcome.seconds,
        "record": outcome.outcome and outcome.outcome.as_json(),
    }


def now() -> str:
    """The time, to the second, as a person in another zone can read it."""
    return datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
