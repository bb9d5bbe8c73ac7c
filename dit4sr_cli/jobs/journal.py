"""What a batch has done: JSON lines beside the results that survive any cut, one run at a time.

A line is only ever added, in one write, and synced before work goes on. It ends with a checksum of
itself: of a journal that was cut off anywhere, whole lines count and the rest is passed over.
"""

from __future__ import annotations

import hashlib
import json
import os
import threading
import time
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from dit4sr_cli.core.digest import sha256_of
from dit4sr_cli.core.errors import OutputError
from dit4sr_cli.core.lines import opened
from dit4sr_cli.jobs.record import Outcome

FOLDER = ".dit4sr"
"""In the folder of the results."""
FILE_NAME = "journal.jsonl"
VERSION = 1
_CRC = ',"crc":"'
_ANOTHER_FOLDER = "choose another folder with -o"


@dataclass(frozen=True, slots=True)
class Stamp:
    """A file as it was, to tell whether it still is."""

    size: int
    mtime_ns: int
    sha256: str

    @classmethod
    def of(cls, path: Path, sha256: str = "") -> Stamp:
        """The file as it is; one that changes meanwhile will not match later."""
        stat = path.stat()
        return cls(stat.st_size, stat.st_mtime_ns, sha256 or sha256_of(path))

    def matches(self, path: Path) -> bool:
        """Whether the file is there with this content; read only if its time is another."""
        try:
            stat = path.stat()
            if stat.st_size != self.size:
                return False
            return stat.st_mtime_ns == self.mtime_ns or sha256_of(path) == self.sha256
        except OSError:
            return False


class Happened(str, Enum):
    """What a line tells of a file."""

    STARTED = "started"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One line.

    Args:
        event: what happened.
        target: the result, relative to the journal's folder.
        source: the picture's path, as it was given.
        settings: digest of all that decides about the pixels and the file, but for the source.
        picture: the source's content.
        result: the target's content, once it is there.
        was_free: of a start: nothing was there in the target's place.
        reason: of a failure.
        outcome: how it was made.
        time: seconds since the epoch.
    """

    event: Happened
    target: str
    source: str
    settings: str
    picture: Stamp | None = None
    result: Stamp | None = None
    was_free: bool = False
    reason: str = ""
    outcome: Outcome | None = None
    time: float = 0.0


class Journal:
    """The journal of a folder of results; see `journal` for how to open one."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / FOLDER / FILE_NAME
        self._lock = threading.Lock()
        self._done: dict[str, Entry] = {}
        self._begun: dict[str, Entry] = {}
        self._file, lines = opened(self.path)
        for entry in parse(lines):
            self._take(entry)

    def is_done(self, source: Path, target: Path, settings: str) -> bool:
        """Whether this result was made from this content with these settings, and is still whole.

        Content is compared by size and time of change, and by SHA-256 where the time is another.
        """
        entry = self._done.get(self.name_of(target))
        if entry is None or entry.settings != settings or not (entry.picture and entry.result):
            return False
        return entry.picture.matches(source) and entry.result.matches(target)

    def unfinished(self) -> list[Entry]:
        """Files that were begun, and that nothing was heard of since."""
        return list(self._begun.values())

    def unrecorded(self, source: Path, target: Path, settings: str) -> Entry | None:
        """The start of what a run put in place and was killed before it could say so.

        It is whole: nothing stood there when the run began with it, and files appear at once.
        """
        entry = self._begun.get(self.name_of(target))
        if entry is None or not entry.was_free or entry.settings != settings:
            return None
        if entry.picture is None or not entry.picture.matches(source):
            return None
        try:
            stat = target.stat()
        except OSError:
            return None
        # A second of grace: file systems round times, and network ones have their own clock.
        return entry if stat.st_size and stat.st_mtime >= entry.time - 1 else None

    def add(self, entry: Entry) -> None:
        """Write a line, and return when it is on the disk.

        Raises:
            OutputError: it cannot be written; the batch must not go on.
        """
        line = _line(entry)
        with self._lock:
            try:
                self._file.add(line)
            except OSError as error:
                raise OutputError(
                    f"{self.path}: cannot be written: {error.strerror}",
                    hint="free some space; the same command goes on where this one ended",
                ) from error
            self._take(entry)

    def name_of(self, target: Path) -> str:
        """The target's name in the journal, which may move with its folder."""
        return Path(os.path.relpath(target, self.folder)).as_posix()

    def _take(self, entry: Entry) -> None:
        self._begun.pop(entry.target, None)
        if entry.event is Happened.STARTED:
            self._begun[entry.target] = entry
        elif entry.event is Happened.DONE:
            self._done[entry.target] = entry


@contextmanager
def journal(folder: Path) -> Iterator[Journal]:
    """The journal of a folder, for one run at a time; the lock of a dead process is none.

    Raises:
        OutputError: another run is at work there, or nothing can be written.
    """
    from filelock import FileLock, Timeout

    try:
        (folder / FOLDER).mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / FOLDER / "lock", timeout=0)
        lock.acquire()
    except Timeout:
        raise OutputError(
            f"{folder}: another run is writing there", hint=f"wait for it, or {_ANOTHER_FOLDER}"
        ) from None
    except OSError as error:
        raise OutputError(f"{folder}: {error.strerror}", hint=_ANOTHER_FOLDER) from error
    try:
        yield Journal(folder)
    finally:
        lock.release()


def parse(lines: Iterable[bytes]) -> Iterator[Entry]:
    """The whole lines of a journal, in order."""
    for line in lines:
        entry = _parse(line)
        if entry is not None:
            yield entry


def digest(values: object) -> str:
    """A short name for plain values: the same for the same ones, in any run."""
    text = json.dumps(values, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _line(entry: Entry) -> bytes:
    values: dict[str, Any] = {"v": VERSION, "event": entry.event.value}
    values |= {"time": round(entry.time or time.time(), 3)}
    for name in ("target", "source", "settings", "was_free", "reason"):
        if value := getattr(entry, name):
            values[name] = value
    for name in ("picture", "result"):
        stamp: Stamp | None = getattr(entry, name)
        if stamp is not None:
            values[name] = [stamp.size, stamp.mtime_ns, stamp.sha256]
    if entry.outcome is not None:
        values["outcome"] = entry.outcome.as_json()
    text = json.dumps(values, separators=(",", ":"))[:-1]
    return f'{text}{_CRC}{zlib.crc32(text.encode()):08x}"}}'.encode()


def _parse(line: bytes) -> Entry | None:
    """A line's entry, without its outcome, which is for people; None: not whole, or not ours."""
    text, mark, crc = line.rpartition(_CRC.encode())
    if not mark or crc != b'%08x"}' % zlib.crc32(text):
        return None
    values = json.loads(text + b"}")
    if values["v"] != VERSION:
        return None
    return Entry(
        event=Happened(values["event"]),
        target=values["target"],
        source=values.get("source", ""),
        settings=values.get("settings", ""),
        was_free=values.get("was_free", False),
        reason=values.get("reason", ""),
        time=values["time"],
        picture=_stamp(values.get("picture")),
        result=_stamp(values.get("result")),
    )


def _stamp(values: list[Any] | None) -> Stamp | None:
    return None if values is None else Stamp(*values)
