"""What a run is foretold to take: for each picture, and in all."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class FileEstimate:
    """One picture: `seconds`, `memory` and `disk` (bytes) are 0 if it will not be made.

    Args:
        pages: of the input; sizes are the first one's, (width, height), upright.
        tiles: of all pages.
        cells: that go through the transformer, in all its steps.
        is_skipped: its result exists, and --skip-existing says to leave it.
        problems: what will go wrong, a line each.
    """

    source: Path
    target: Path
    pages: int = 0
    input_size: tuple[int, int] | None = None
    output_size: tuple[int, int] | None = None
    tiles: int = 0
    cells: int = 0
    seconds: float = 0.0
    memory: int = 0
    disk: int = 0
    is_skipped: bool = False
    problems: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """For a program."""
        return {
            "input": str(self.source),
            "output": str(self.target),
            "pages": self.pages,
            "input_size": self.input_size and list(self.input_size),
            "output_size": self.output_size and list(self.output_size),
            "tiles": self.tiles,
            "seconds": round(self.seconds, 1),
            "memory_bytes": self.memory,
            "disk_bytes": self.disk,
            "skipped": self.is_skipped,
            "problems": list(self.problems),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What any picture of a size takes; `memory` in bytes, `is_measured`: the seconds are."""

    output_size: tuple[int, int]
    tiles: int
    seconds: float
    memory: int
    is_measured: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """All pictures, and what is wrong with the run as a whole; `is_measured`: its seconds are."""

    files: tuple[FileEstimate, ...]
    model: str
    is_measured: bool
    free: int | None
    problems: tuple[str, ...] = ()

    @property
    def seconds(self) -> float:
        """Of all, one after the other."""
        return sum(file.seconds for file in self.files)

    @property
    def disk(self) -> int:
        """Bytes of all results."""
        return sum(file.disk for file in self.files)

    @property
    def memory(self) -> int:
        """The highest peak: pictures are sampled one after the other."""
        return max((file.memory for file in self.files), default=0)

    @property
    def tiles(self) -> int:
        """Of all."""
        return sum(file.tiles for file in self.files)

    @property
    def num_bad(self) -> int:
        """Pictures that will fail."""
        return sum(bool(file.problems) for file in self.files)

    def as_json(self) -> dict[str, Any]:
        """For a program."""
        return {
            "model": self.model,
            "files": [file.as_json() for file in self.files],
            "total": {
                "files": len(self.files),
                "skipped": sum(file.is_skipped for file in self.files),
                "with_problems": self.num_bad,
                "tiles": self.tiles,
                "seconds": round(self.seconds, 1),
                "memory_bytes": self.memory,
                "disk_bytes": self.disk,
            },
            "seconds_are": "measured" if self.is_measured else "a guess",
            "free_bytes": self.free,
            "problems": list(self.problems),
        }
