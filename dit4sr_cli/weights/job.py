"""What a transfer is made of: the files of a repository, and one of them on its way."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from dit4sr_cli.weights.catalog import Part
from dit4sr_cli.weights.manifest import PulledFile
from dit4sr_cli.weights.shelf import PARTIAL_DIR


@dataclass(frozen=True, slots=True)
class Listing:
    """The files of a repository at one commit; of a copy, the commit may not be known."""

    commit: str
    files: tuple[PulledFile, ...]
    is_gated: bool = False

    def choose(self, paths: Iterable[str]) -> list[PulledFile]:
        """The files of these paths."""
        by_path = {file.path: file for file in self.files}
        return [by_path[path] for path in paths]


@dataclass(frozen=True, slots=True)
class Job:
    """A file to fetch or copy into a part's folder."""

    part: Part
    root: Path
    commit: str
    file: PulledFile

    @property
    def name(self) -> str:
        """For people and events: `PART/PATH`."""
        return f"{self.part.name}/{self.file.path}"

    @property
    def target(self) -> Path:
        """Where the file will be once it is known to be good."""
        return self.root / self.file.path

    @property
    def partial(self) -> Path:
        """Where it arrives; the name changes with the content that is expected."""
        key = sha256(f"{self.file.path}\n{self.file.digest}".encode()).hexdigest()
        return self.root / PARTIAL_DIR / key[:32]

    @property
    def num_arrived(self) -> int:
        """Bytes that an earlier attempt left."""
        try:
            return min(self.partial.stat().st_size, self.file.size)
        except OSError:
            return 0
