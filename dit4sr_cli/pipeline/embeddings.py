"""Keeps embeddings on disk by (text encoders, text): a prompt seen before loads no encoder."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from dit4sr_cli.pipeline.conditioning import Conditioning

MAX_BYTES = 1 << 30
"""The oldest leave when there are more; one prompt takes 3 to 6 MB."""
_SUFFIX = ".safetensors"


def fingerprint(folders: Sequence[Path], **settings: object) -> str:
    """What tells one set of encoders from another: their files' names, sizes and times."""
    files = [
        (folder.name, path.name, path.stat().st_size, path.stat().st_mtime_ns)
        for folder in folders
        for path in sorted(folder.iterdir())
        if path.is_file()
    ]
    known = json.dumps([files, settings], default=str, sort_keys=True)
    return hashlib.sha256(known.encode()).hexdigest()


class EmbeddingCache:
    """A folder of embeddings; where it cannot be written it holds nothing, and says nothing."""

    def __init__(self, folder: Path | None, fingerprint: str) -> None:
        self._folder = folder
        self._fingerprint = fingerprint

    def get(self, text: str) -> Conditioning | None:
        """The embeddings of a text, if they are here and whole."""
        path = self._path(text)
        if path is None:
            return None
        try:
            tensors = load_file(path)
            os.utime(path)  # the oldest leave first
            return Conditioning(tensors["prompt_embeds"], tensors["pooled_prompt_embeds"])
        except (OSError, SafetensorError, KeyError):
            return None

    def put(self, text: str, conditioning: Conditioning) -> None:
        """Keep the embeddings of a text."""
        path = self._path(text)
        if path is None:
            return
        tensors = {
            "prompt_embeds": conditioning.prompt_embeds.contiguous(),
            "pooled_prompt_embeds": conditioning.pooled_prompt_embeds.contiguous(),
        }
        with contextlib.suppress(OSError, SafetensorError):
            path.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=path.parent, prefix=".new-") as made:
                whole = Path(made) / path.name
                save_file(tensors, whole)
                whole.replace(path)
            self._prune(path.parent)

    def _path(self, text: str) -> Path | None:
        if self._folder is None:
            return None
        key = hashlib.sha256(f"{self._fingerprint}\0{text}".encode()).hexdigest()
        return self._folder / f"{key}{_SUFFIX}"

    @staticmethod
    def _prune(folder: Path) -> None:
        kept = [(path, path.stat()) for path in folder.glob(f"*{_SUFFIX}")]
        total = sum(stat.st_size for _, stat in kept)
        for path, stat in sorted(kept, key=lambda entry: entry[1].st_mtime):
            if total <= MAX_BYTES:
                return
            path.unlink(missing_ok=True)
            total -= stat.st_size
