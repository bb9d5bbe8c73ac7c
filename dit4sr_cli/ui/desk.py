"""What lies on the desk: photographs, what is wanted of each, and what has become of it."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dit4sr_cli.core.types import Size

if TYPE_CHECKING:
    from dit4sr_cli.captions.source import Caption
    from dit4sr_cli.jobs.record import Outcome


class State(str, Enum):
    """Of a photograph."""

    READY = "ready"
    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a run is: the phase, and how much of it is done; `total` 0: nobody knows."""

    phase: str = ""
    done: int = 0
    total: int = 0

    @property
    def share(self) -> float | None:
        """0 to 1, or None."""
        return self.done / self.total if self.total else None


@dataclass(frozen=True, slots=True)
class Trial:
    """A part of a photograph tried with some settings: both pictures, and how it was made.

    Args:
        before: a file for the browser, the part as it is.
        after: a file for the browser, the same part of the result.
        size: of both, in pixels of the result.
        words: the settings, for a person.
    """

    before: Path
    after: Path
    size: Size
    words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Photo:
    """One photograph.

    Args:
        key: nobody can guess it; it is in the addresses of its pictures.
        name: as it was called where it came from.
        source: the file, in a folder of its own.
        caption: what is said to be in it, as the person sees it.
        said: by a captioner, if one was asked.
        spot: the middle of the part to try, in shares of width and height.
        state: of the photograph itself.
        progress: of what is done with it now.
        trial: the last one.
        trying: what a trial waits for, or what went wrong with it.
        problem: why it failed, in one line.
        outcome: of the last run that went well; its `output` is the file to download.
        run: which run that was; a new one has a new address.
    """

    key: str
    name: str
    source: Path
    size: Size
    pages: int = 1
    caption: str = ""
    said: Caption | None = None
    spot: tuple[float, float] = (0.5, 0.5)
    state: State = State.READY
    progress: Progress = field(default_factory=Progress)
    trial: Trial | None = None
    trying: str = ""
    problem: str = ""
    outcome: Outcome | None = None
    run: int = 0

    @property
    def folder(self) -> Path:
        """All that belongs to it."""
        return self.source.parent.parent

    @property
    def result(self) -> Path | None:
        """The file to download."""
        return None if self.outcome is None else Path(self.outcome.output)

    def plainly(self, text: str) -> str:
        """A message without the places that only this program knows."""
        for folder in (self.source.parent, self.folder):
            text = text.replace(f"{folder}/", "").replace(f"{folder}\\", "")
        return text


class Desk:
    """Photographs in the order in which they came; every change makes a new `Photo`."""

    def __init__(self) -> None:
        self._photos: dict[str, Photo] = {}
        self._lock = threading.Lock()

    def __iter__(self) -> Iterator[Photo]:
        with self._lock:
            return iter(list(self._photos.values()))

    def get(self, key: str) -> Photo | None:
        """None: it was taken away."""
        with self._lock:
            return self._photos.get(key)

    def put(self, photo: Photo) -> None:
        """A new one."""
        with self._lock:
            self._photos[photo.key] = photo

    def change(self, key: str, **values: Any) -> Photo | None:
        """The photograph as it is from now on; None: it was taken away in the meantime."""
        with self._lock:
            if key not in self._photos:
                return None
            self._photos[key] = replace(self._photos[key], **values)
            return self._photos[key]

    def remove(self, key: str) -> None:
        """Take it away, with all that was made of it."""
        with self._lock:
            photo = self._photos.pop(key, None)
        if photo is not None:
            shutil.rmtree(photo.folder, ignore_errors=True)
