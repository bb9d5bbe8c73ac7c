"""Figures that stay: JSON lines in a folder, found again by what they were computed from."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dit4sr_cli.core.errors import OutputError
from dit4sr_cli.core.lines import GrowingFile, opened

FILE_NAME = "scores.jsonl"
_ANOTHER = "choose another folder with --save"


class Scores:
    """What was measured, and what was made, in a folder; see `scores` for how to open one."""

    def __init__(self, path: Path | None) -> None:
        self._values: dict[tuple[str, ...], float] = {}
        self._made: dict[tuple[str, ...], tuple[str, float]] = {}
        self._file: GrowingFile | None = None
        if path is not None:
            self._file, lines = opened(path)
            for line in lines:
                self._take(_parsed(line))

    @property
    def is_kept(self) -> bool:
        """Whether anything stays."""
        return self._file is not None

    def value(self, result: str, reference: str, metric: str, version: str) -> float | None:
        """A figure of these contents by this version, if it is known."""
        return self._values.get((result, reference, metric, version))

    def add_value(
        self, result: str, reference: str, metric: str, version: str, value: float
    ) -> None:
        """Keep a figure."""
        text = None if math.isnan(value) else repr(value)
        self._add({"of": [result, reference, metric, version], "value": text})

    def made(self, method: str, picture: str) -> tuple[str, float] | None:
        """Digest of what a method made of a picture, and its seconds, if that is known."""
        return self._made.get((method, picture))

    def add_made(self, method: str, picture: str, result: str, seconds: float) -> None:
        """Keep what a method made."""
        self._add({"made": [method, picture], "result": result, "seconds": round(seconds, 4)})

    def _add(self, line: dict[str, Any]) -> None:
        self._take(line)
        if self._file is None:
            return
        try:
            self._file.add(json.dumps(line, separators=(",", ":")).encode())
        except OSError as error:
            raise OutputError(
                f"{self._file.path}: cannot be written: {error.strerror}",
                hint="free some space; the same command goes on where this one ended",
            ) from error

    def _take(self, line: Any) -> None:
        if not isinstance(line, dict):
            return
        if "of" in line:
            value = line.get("value")
            self._values[tuple(line["of"])] = math.nan if value is None else float(value)
        elif "made" in line:
            self._made[tuple(line["made"])] = (line["result"], line["seconds"])


@contextmanager
def scores(folder: Path | None) -> Iterator[Scores]:
    """The figures of a folder, for one run at a time; None: they are kept in memory alone.

    Raises:
        OutputError: another run is at work there, or nothing can be written.
    """
    if folder is None:
        yield Scores(None)
        return
    from filelock import FileLock, Timeout

    lock = FileLock(folder / ".lock", timeout=0)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout:
        raise OutputError(
            f"{folder}: another run is writing there", hint=f"wait for it, or {_ANOTHER}"
        ) from None
    except OSError as error:
        raise OutputError(
            f"{folder}: cannot be written: {error.strerror}", hint=_ANOTHER
        ) from error
    try:
        yield Scores(folder / FILE_NAME)
    finally:
        lock.release()


def digest_of_set(digests: dict[str, str]) -> str:
    """One name for the contents of many files, whatever folder they are in: by name and SHA-256."""
    lines = "".join(f"{digest}  {name}\n" for name, digest in sorted(digests.items()))
    return hashlib.sha256(lines.encode()).hexdigest()


def _parsed(line: bytes) -> Any:
    try:
        return json.loads(line) if line else None
    except ValueError:
        return None
