"""What is asked of a batch, what is heard while it runs, and what comes of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from dit4sr_cli.core import events
from dit4sr_cli.core.errors import Dit4srError, ExitCode
from dit4sr_cli.core.settings import (
    CaptionSettings,
    ModelSettings,
    OutputSettings,
    UpscaleSettings,
)
from dit4sr_cli.jobs import plan
from dit4sr_cli.jobs.record import FileOutcome, Status

if TYPE_CHECKING:
    from dit4sr_cli.captions.source import Caption


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """Pictures to enlarge, all in the same way.

    Args:
        targets: where the result of each picture goes.
        folder: of the results, with the journal.
        refused: what was found and is no picture, with the reason.
        output: how they are written; its `target` does not count.
        skip_existing: leave a picture alone whose result is there, whoever made it.
        threads: pictures that are read ahead, and written behind, while one is made; 0: none.
        limit: how many are made at most.
        fail_fast: end with the first that fails.
        ray: address of a cluster that shares the work, or `auto`; None: this process does it.
    """

    targets: Mapping[Path, Path]
    folder: Path
    refused: Sequence[tuple[Path, str]] = ()
    upscale: UpscaleSettings = field(default_factory=UpscaleSettings)
    caption: CaptionSettings = field(default_factory=CaptionSettings)
    model: ModelSettings = field(default_factory=ModelSettings)
    output: OutputSettings = field(default_factory=OutputSettings)
    skip_existing: bool = False
    threads: int = 1
    limit: int | None = None
    fail_fast: bool = False
    ray: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One picture of a batch.

    Args:
        request: what is asked for.
        source: the picture.
        target: the result.
        settings: digest of all that decides about the result, but for the source.
        caption: if somebody has written it down.
    """

    request: plan.Request
    source: Path
    target: Path
    settings: str
    caption: Caption | None


@dataclass(frozen=True, slots=True)
class Planned:
    """The pictures that will be made, how many bytes their files have, and how many at a time."""

    sizes: Mapping[Path, int]
    workers: int = 1


@dataclass(frozen=True, slots=True)
class About:
    """Something happens to one of the pictures."""

    source: Path
    event: events.Event


Event: TypeAlias = Planned | About | FileOutcome | events.Event
Observer: TypeAlias = Callable[[Event], None]
Explain: TypeAlias = Callable[[Exception], Dit4srError]


@dataclass(frozen=True, slots=True)
class Summary:
    """What became of the files, in the order in which it was settled.

    Args:
        outcomes: one for each file that was reached.
        left: how many were not: --limit, --fail-fast.
        seconds: of the whole run.
    """

    outcomes: tuple[FileOutcome, ...]
    left: int
    seconds: float

    def of(self, status: Status) -> list[FileOutcome]:
        """Those with one status."""
        return [outcome for outcome in self.outcomes if outcome.status is status]

    @property
    def megapixels(self) -> float:
        """Made in this run."""
        return sum(map(megapixels, self.outcomes))

    @property
    def exit_code(self) -> int:
        """0: none failed; 8: some did; if all did, what the first one alone would have ended with.

        See docs/exit-codes.md.
        """
        failed = self.of(Status.FAILED)
        if not failed:
            return ExitCode.OK
        return failed[0].code if len(failed) == len(self.outcomes) else ExitCode.PARTIAL


def megapixels(outcome: FileOutcome) -> float:
    """Of the result, if it was made in this run."""
    if outcome.outcome is None:
        return 0.0
    width, height = outcome.outcome.output_size
    return width * height * outcome.outcome.pages / 1e6


def as_expected(error: Exception) -> Dit4srError:
    """A failure in one line, whatever it is."""
    if isinstance(error, Dit4srError):
        return error
    return Dit4srError(f"unexpected {type(error).__name__}: {error}")
