"""What came of a run, as plain data: one record for --json, the summary line and the Python API."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from dit4sr_cli.core.types import Size

if TYPE_CHECKING:
    from dit4sr_cli.jobs.upscaler import Record


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """One enlarged picture: where from, where to, how, how long. `-` is a standard stream."""

    input: str
    output: str
    format: str
    pages: int
    input_size: Size
    output_size: Size
    model: str
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
    prompt: str
    negative_prompt: str
    seconds: float
    warnings: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """The record with sizes as [width, height]."""
        record = asdict(self)
        for name in ("input_size", "output_size"):
            record[name] = [record[name]["width"], record[name]["height"]]
        return record

    def summary(self) -> str:
        """`photo.jpg 640x427 -> out.png 2560x1708, nano, 1 step, 12.3 s`."""
        pages = f", {self.pages} pages" if self.pages > 1 else ""
        steps = f"{self.steps} step{'' if self.steps == 1 else 's'}"
        return (
            f"{self.input} {self.input_size} -> {self.output} {self.output_size}"
            f"{pages}, {self.model}, {steps}, {self.seconds:.1f} s"
        )


def outcome_of(
    record: Record,
    *,
    input: str,
    output: str,
    format: str,
    pages: int,
    seconds: float,
    warnings: list[str],
) -> Outcome:
    """Join what the model reports about a picture with what the job knows about its files."""
    return Outcome(
        input=input,
        output=output,
        format=format,
        pages=pages,
        input_size=Size(*record.input_size),
        output_size=Size(*record.output_size),
        model=record.model,
        steps=record.steps,
        guidance=record.guidance,
        seed=record.seed,
        start=_word(record.start),
        color_fix=_word(record.color_fix),
        tile=record.tile,
        overlap=record.overlap,
        tiles=record.tiles,
        device=str(record.device),
        dtype=str(record.dtype),
        prompt=record.prompt,
        negative_prompt=record.negative_prompt,
        seconds=round(seconds, 3),
        warnings=tuple(warnings),
    )


def _word(choice: Any) -> str:
    return str(getattr(choice, "value", choice))
