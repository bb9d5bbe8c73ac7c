"""What a preview is asked for, and what comes of it, as plain data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dit4sr_cli.core.settings import (
    DEFAULT_MAX_MEGAPIXELS,
    CaptionSettings,
    ModelSettings,
    UpscaleSettings,
)
from dit4sr_cli.core.types import Box, Size
from dit4sr_cli.core.words import as_time
from dit4sr_cli.imaging.picture import Pixels
from dit4sr_cli.jobs.preview.places import DEFAULT_SIZE
from dit4sr_cli.jobs.preview.variations import Axis
from dit4sr_cli.jobs.record import Record

_OF_RECORD = (
    *("model", "steps", "guidance", "seed", "start", "color_fix", "prompt", "negative_prompt"),
    *("tile", "overlap", "grid", "shift", "solver", "guidance_from", "guidance_to"),
    *("reuse", "coarse", "device", "dtype", "quantize"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """Which picture to look at, where, with which settings, and where the sheet goes.

    Args:
        source: a file, or the bytes of one.
        points: middles of what is looked at, see `places.box_at`; none: where most detail is.
        size: of what is looked at, in pixels of the picture.
        axes: settings that are varied; see `variations`.
        upscale, model, caption: all the others, as the run would get them.
        target: of the sheet; None: beside the picture; `-`: standard output.
        overwrite: whether an existing sheet may be replaced.
        max_megapixels: of the picture.
    """

    source: Path | bytes
    points: tuple[tuple[float, float], ...] = ()
    size: Size = DEFAULT_SIZE
    axes: tuple[Axis, ...] = ()
    upscale: UpscaleSettings = field(default_factory=UpscaleSettings)
    model: ModelSettings = field(default_factory=ModelSettings)
    caption: CaptionSettings = field(default_factory=CaptionSettings)
    target: Path | None = None
    overwrite: bool = False
    max_megapixels: float = DEFAULT_MAX_MEGAPIXELS

    @property
    def name(self) -> str:
        """What messages call the picture."""
        return "stdin" if isinstance(self.source, bytes) else str(self.source)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One place with one combination of settings.

    Args:
        box: of the picture's pixels.
        pixels: the result there; of the picture's type and number of channels.
        values: the settings that were varied, as they were written.
        label: the same in words.
        record: how it was made; its seconds are without those of loading the model.
        tiles, whole_tiles: through the transformer, over all steps; here and for the whole picture.
        whole_seconds: what the whole picture would take, by this one's time.
        place: of the cell's pixels on the sheet.
    """

    box: Box
    pixels: Pixels
    values: Mapping[str, str]
    label: str
    record: Record
    tiles: int
    whole_tiles: int
    whole_seconds: float
    place: Box | None = None

    def summary(self) -> str:
        """`384,512: guidance 4, steps 20: 1.3 s for 9 of 120 tiles, the whole about 17 s`."""
        where = f"{self.box.x},{self.box.y}" + (f": {self.label}" if self.label else "")
        tiles = f"{self.tiles} of {self.whole_tiles} tiles"
        taken, whole = as_time(self.record.seconds), as_time(self.whole_seconds)
        return f"{where}: {taken} for {tiles}, the whole about {whole}"

    def as_json(self) -> dict[str, Any]:
        """For --json: boxes as [x, y, width, height]."""
        return {
            "at": _listed(self.box),
            "on_sheet": self.place and _listed(self.place),
            "varied": dict(self.values),
            **{name: getattr(self.record, name) for name in _OF_RECORD},
            "tiles": self.tiles,
            "whole_tiles": self.whole_tiles,
            "seconds": self.record.seconds,
            "whole_seconds": round(self.whole_seconds, 3),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The sheet, uint8 [H, W, 3], where it went, and its cells.

    Args:
        input: the picture; `-` is standard input.
        output: the sheet; `-` is standard output.
        sheet: its pixels.
        cells: by place, then as the settings vary.
        inputs: on the sheet, where plain enlargement is shown.
        input_size: of the picture.
        seconds: of everything, loading and all.
        warnings: one line each.
    """

    input: str
    output: str
    sheet: Pixels
    cells: tuple[Cell, ...]
    inputs: tuple[Box, ...]
    input_size: Size
    seconds: float
    warnings: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """For --json."""
        return {
            "input": self.input,
            "output": self.output,
            "input_size": [self.input_size.width, self.input_size.height],
            "sheet_size": [self.sheet.shape[1], self.sheet.shape[0]],
            "inputs_on_sheet": [_listed(box) for box in self.inputs],
            "cells": [cell.as_json() for cell in self.cells],
            "seconds": self.seconds,
            "warnings": list(self.warnings),
        }

    def summary(self) -> str:
        """`photo.jpg, 128x128 at 384,512: 6 previews -> photo_preview.png, 12.3 s`."""
        boxes = list(dict.fromkeys(cell.box for cell in self.cells))
        first = boxes[0]
        where = f"{first.width}x{first.height} at " + " and ".join(
            f"{box.x},{box.y}" for box in boxes[:3]
        )
        where += f" and {len(boxes) - 3} more" if len(boxes) > 3 else ""
        count = f"{len(self.cells)} preview{'' if len(self.cells) == 1 else 's'}"
        return f"{self.input}, {where}: {count} -> {self.output}, {self.seconds:.1f} s"


def _listed(box: Box) -> list[int]:
    return [box.x, box.y, box.width, box.height]
