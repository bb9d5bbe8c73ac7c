"""A look at parts of a picture before the long run: several settings at once, on one sheet."""

from dit4sr_cli.jobs.preview.records import Cell, Outcome, Request
from dit4sr_cli.jobs.preview.run import preview, run

__all__ = ["Cell", "Outcome", "Request", "preview", "run"]
