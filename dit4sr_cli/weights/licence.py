"""The terms under which weights are given, and the record that the user has accepted them."""

from __future__ import annotations

import datetime
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dit4sr_cli import __version__
from dit4sr_cli.core.errors import ModelError, OutputError
from dit4sr_cli.core.paths import config_dir
from dit4sr_cli.weights.files import read_json, write_json

FILE_NAME = "licences.json"
_SCHEMA = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Licence:
    """Terms in short. The summary is ours and binds nobody: the text behind the URL does.

    Args:
        version: of the text that the summary is about; a new one has to be accepted anew.
        needs_consent: False for terms that ask nothing of those who only use the weights.
    """

    key: str
    title: str
    version: str
    url: str
    summary: tuple[str, ...]
    needs_consent: bool = True


LICENCES = {
    licence.key: licence
    for licence in (
        Licence(
            key="dit4sr",
            title="DiT4SR weights: non-commercial",
            version="2025",
            url="https://huggingface.co/acceptee/DiT4SR",
            summary=(
                "For research and personal use; commercial use needs the authors' permission.",
                "Made from Stable Diffusion 3.5 Medium, whose licence holds for them as well.",
                "They come without any warranty.",
            ),
        ),
        Licence(
            key="stability-community",
            title="Stability AI Community License",
            version="2024-07-05",
            url="https://stability.ai/community-license-agreement",
            summary=(
                "Free below 1 million US dollars of yearly revenue; above, an enterprise licence.",
                "Commercial use has to be registered with Stability AI; their acceptable use "
                "policy holds.",
                "What you make is yours; who passes on weights or a product has to name the "
                'licence and write "Powered by Stability AI".',
            ),
        ),
        Licence(
            key="llama2",
            title="LLaVA 1.5 weights: Llama 2 Community License",
            version="2023-07-18",
            url="https://ai.meta.com/llama/license/",
            summary=(
                "Free for research and commerce below 700 million monthly users; Meta's "
                "acceptable use policy holds.",
                "Its output may not be used to improve other language models.",
                "LLaVA's own training data came partly from GPT-4: its authors meant it for "
                "research.",
            ),
        ),
        Licence(
            key="apache-2.0",
            title="Apache License 2.0",
            version="2.0",
            url="https://www.apache.org/licenses/LICENSE-2.0",
            summary=("Free for every use; who passes it on keeps its notices.",),
            needs_consent=False,
        ),
        Licence(
            key="CC-BY-SA-4.0",
            title="Creative Commons Attribution-ShareAlike 4.0",
            version="4.0",
            url="https://creativecommons.org/licenses/by-sa/4.0/",
            summary=("Free for every use; changed weights are passed on under the same terms.",),
            needs_consent=False,
        ),
    )
}


def accepted_at(key: str) -> str:
    """When the user accepted a licence, as ISO 8601 in UTC; empty: not yet, or an older text."""
    entry = _read().get(key, {})
    return str(entry.get("when", "")) if entry.get("version") == LICENCES[key].version else ""


def is_accepted(key: str) -> bool:
    """Whether weights under this licence may be fetched."""
    return not LICENCES[key].needs_consent or bool(accepted_at(key))


def missing(keys: Iterable[str]) -> list[Licence]:
    """The licences among these that the user still has to accept, each once."""
    return [LICENCES[key] for key in dict.fromkeys(keys) if not is_accepted(key)]


def accept(keys: Iterable[str]) -> None:
    """Write down that the user accepts these licences.

    Raises:
        OutputError: the settings cannot be written.
    """
    now = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")
    entries = _read()
    for key in keys:
        version = LICENCES[key].version
        entries[key] = {"version": version, "when": now, "dit4sr": __version__}
    try:
        write_json(_path(), {"schema": _SCHEMA, "accepted": entries})
    except OSError as error:
        raise OutputError(f"{_path()}: {error.strerror}", hint="see DIT4SR_HOME") from error


def _read() -> dict[str, dict[str, Any]]:
    if not _path().exists():
        return {}
    entries = read_json(_path()).get("accepted")
    if not isinstance(entries, dict) or not all(isinstance(e, dict) for e in entries.values()):
        raise ModelError(f"{_path()}: damaged", hint="delete it and accept the licences again")
    return entries


def _path() -> Path:
    return config_dir() / FILE_NAME
