"""Many pictures with one model: what is missing, who makes it, and what becomes of it."""

from dit4sr_cli.jobs.batch.recipe import run
from dit4sr_cli.jobs.batch.request import (
    About,
    Event,
    Explain,
    Observer,
    Planned,
    Request,
    Summary,
    megapixels,
)
from dit4sr_cli.jobs.batch.todo import DONE_BEFORE, missing

__all__ = [
    "DONE_BEFORE",
    "About",
    "Event",
    "Explain",
    "Observer",
    "Planned",
    "Request",
    "Summary",
    "megapixels",
    "missing",
    "run",
]
