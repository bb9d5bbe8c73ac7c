"""Keeps what captioners said on disk, so that the same question is not asked twice."""

from __future__ import annotations

import contextlib
import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dit4sr_cli.captions.source import write_text
from dit4sr_cli.core.errors import OutputError

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """All that an answer depends on.

    Args:
        picture: from `fingerprint`.
        captioner: its name.
        version: tells its weights from others of the same name.
        question: that was put.
        how: words were drawn, and in which precision.
        seed: of the sampling.
    """

    picture: str
    captioner: str
    version: str
    question: str
    how: str
    seed: int


class CaptionCache:
    """A folder of small JSON files; where it cannot be read or written it holds nothing."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder

    def get(self, asked: Asked) -> str | None:
        """The answer to this question, if it is here."""
        if self._folder is None:
            return None
        try:
            answer = json.loads(self._path(self._folder, asked).read_text(encoding="utf-8"))["said"]
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return answer if isinstance(answer, str) else None

    def put(self, asked: Asked, said: str) -> None:
        """Keep an answer, beside the question for whoever looks into the file."""
        if self._folder is None:
            return
        with contextlib.suppress(OSError, OutputError):
            self._folder.mkdir(parents=True, exist_ok=True)
            write_text(self._path(self._folder, asked), json.dumps({**asdict(asked), "said": said}))

    @staticmethod
    def _path(folder: Path, asked: Asked) -> Path:
        key = json.dumps(asdict(asked), sort_keys=True)
        return folder / f"{hashlib.sha256(key.encode()).hexdigest()}.json"


def fingerprint(pixels: NDArray[Any]) -> str:
    """What tells one picture from another: its pixels, their type and their arrangement."""
    digest = hashlib.sha256(f"{pixels.dtype} {pixels.shape}\n".encode())
    for row in pixels:  # a large scan is not copied as a whole
        digest.update(row.tobytes())
    return digest.hexdigest()
