"""What came of a run, as plain data: one record for --json, the summary line and the Python API."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from dit4sr_cli.core.types import Size


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """How a picture was made; sizes are (width, height).

    Args:
        revision: of the weights, if they were pulled.
        prompt: as the model read it: caption and suffix.
        caption: what is said to be in the picture.
        prompt_origin: where the caption is from: `option`, `file:PATH`, `folder:PATH`,
            `sidecar:PATH`, `captioner:NAME@REVISION` or `none`.
        quantize: in how many bits the transformer's matrices were held.
        fidelity: how near the result is to its source, where that was measured.
        grid: how the tiles lie.
        shift: of the noise schedule.
        solver: and what follows: see `core.shortcuts`.
    """

    model: str
    revision: str
    steps: int
    guidance: float
    seed: int
    start: str
    color_fix: str
    tile: int
    overlap: int
    tiles: int
    device: str
    dtype: str
    seconds: float
    input_size: tuple[int, int]
    output_size: tuple[int, int]
    prompt: str
    negative_prompt: str
    caption: str
    prompt_origin: str
    fidelity: dict[str, Any] | None = None
    grid: str = "even"
    shift: float = 3.0
    solver: str = "euler"
    guidance_from: float = 0.0
    guidance_to: float = 1.0
    reuse: float = 0.0
    coarse: float = 0.0
    quantize: str = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome(Record):
    """One enlarged picture: how, where from and where to; `-` is a standard stream.

    `seconds` are those of the whole job, of several pages the record is the first one's.
    """

    input: str
    output: str
    format: str
    pages: int
    warnings: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """One flat object, with sizes as [width, height]."""
        values = asdict(self)
        return {k: list(v) if isinstance(v, tuple) else v for k, v in values.items()}

    def summary(self) -> str:
        """`photo.jpg 640x427 -> out.png 2560x1708, nano, 1 step, 12.3 s`."""
        pages = f", {self.pages} pages" if self.pages > 1 else ""
        steps = f"{self.steps} step{'' if self.steps == 1 else 's'}"
        return (
            f"{self.input} {Size(*self.input_size)} -> {self.output} {Size(*self.output_size)}"
            f"{pages}, {self.model}, {steps}, {self.seconds:.1f} s"
        )


class Status(str, Enum):
    """What became of a file of many."""

    DONE = "done"
    SKIPPED = "skipped"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class FileOutcome:
    """One file of many: what became of it, and why.

    Args:
        source: the picture.
        target: the result; None if it was not even named.
        status: done, skipped or failed.
        reason: why it was skipped or failed, in one line; empty if it is done.
        code: the exit code that this failure alone would have; 0 if it is none.
        seconds: that it took, of reading, computing and writing.
        outcome: how it was made, if it was made in this run.
    """

    source: Path
    target: Path | None
    status: Status
    reason: str = ""
    code: int = 0
    seconds: float = 0.0
    outcome: Outcome | None = None
