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
    sentences = _SENTENCE_END.split(text)
    return " ".join(s for s in sentences if not any(word in s.lower() for word in FOCUS_WORDS))
