"""Cleans captions: sentences about focus, blur or place mislead the model."""

from __future__ import annotations

import re

FOCUS_WORDS = (
    "focus",
    "focal",
    "prominent",
    "close-up",
    "black and white",
    "blur",
    "depth",
    "dense",
    "locate",
    "position",
)
_SENTENCE_END = re.compile(r"(?<=[.?!])\s+")


def drop_focus_sentences(text: str) -> str:
    """Leave out every sentence that contains one of the focus words, whatever its case."""
    return " ".join(s for s in _SENTENCE_END.split(text) if not _is_about_focus(s))


def focus_sentences(text: str) -> tuple[str, ...]:
    """The sentences that `drop_focus_sentences` leaves out."""
    return tuple(s for s in _SENTENCE_END.split(text) if _is_about_focus(s))


def _is_about_focus(sentence: str) -> bool:
    return any(word in sentence.lower() for word in FOCUS_WORDS)
