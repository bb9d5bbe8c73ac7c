"""Foretells a run over many pictures from headers alone: no pixel is decoded, no model loaded."""

from dit4sr_cli.imaging.header import Header, read_header
from dit4sr_cli.jobs.estimate.foretell import estimate, expect
from dit4sr_cli.jobs.estimate.records import Estimate, Expected, FileEstimate
from dit4sr_cli.jobs.estimate.speeds import learn

__all__ = [
    "Estimate",
    "Expected",
    "FileEstimate",
    "Header",
    "estimate",
    "expect",
    "learn",
    "read_header",
]
