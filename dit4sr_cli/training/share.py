"""Which part of a step's batch is this process's: results do not depend on how many share it.

A run's samples are counted through: step s of a batch of B has the samples sB .. sB + B - 1, and
every random choice about a sample is a function of the seed and its number.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from torch import Generator


@dataclass(frozen=True, slots=True)
class Share:
    """One of the equal pieces that a batch is cut into: by processes, and by parts of each."""

    batch: int
    pieces: int
    piece: int

    @property
    def size(self) -> int:
        """Samples of the piece."""
        return self.batch // self.pieces

    @property
    def offset(self) -> int:
        """Of the piece's first sample in the batch."""
        return self.piece * self.size

    def samples(self, step: int) -> range:
        """The numbers of its samples at a step."""
        first = step * self.batch + self.offset
        return range(first, first + self.size)

    def count_below(self, position: int) -> int:
        """How many of its samples come before a position in the batch."""
        return min(max(position - self.offset, 0), self.size)

    def weight(self, count: int, total: int) -> float:
        """What a mean over `count` of its samples is multiplied by.

        The pieces' weighted means then average to the mean over the `total` in the whole batch.
        """
        return count * self.pieces / total if total else 0.0


def shares(batch: int, processes: int, process: int, parts: int) -> Iterator[Share]:
    """The pieces of one process, in order."""
    pieces = processes * parts
    for part in range(parts):
        yield Share(batch, pieces, process * parts + part)


def generator(seed: int, sample: int) -> Generator:
    """For the random choices about one sample, on the CPU whatever the device."""
    return Generator().manual_seed(seed * 7_368_787 + sample)
