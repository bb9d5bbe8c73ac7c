"""What the pages tell people to type: blocks of commands and of Python; commands in the text."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

REPO = Path(__file__).parents[2]
PAGES = [REPO / "README.md", *sorted((REPO / "docs").glob("*.md"))]
_FENCE = re.compile(r"^```(sh|python)\n(.*?)^```", re.MULTILINE | re.DOTALL)
_ANY_FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
_IN_TEXT = re.compile(r"`(dit4sr [^`]+)`")


@dataclass(frozen=True)
class Block:
    """A fenced block: `sh` or `python`, on a page (README or a stem of docs/), at a line of it."""

    page: str
    line: int
    kind: str
    text: str

    def __str__(self) -> str:
        return f"{self.page}-{self.line}"

    @property
    def commands(self) -> list[str]:
        """A shell's lines, those that go on joined, without comments."""
        lines = re.sub(r"\\\n\s*", "", self.text).splitlines()
        said = (re.sub(r"(^|\s+)# .*", "", line).strip() for line in lines)
        return [line for line in said if line]


def blocks() -> list[Block]:
    """All of them, page by page."""
    found = []
    for path in PAGES:
        text = path.read_text(encoding="utf-8")
        name = "README" if path.parent == REPO else path.stem
        for fence in _FENCE.finditer(text):
            line = text.count("\n", 0, fence.start()) + 1
            found.append(Block(name, line, fence[1], fence[2]))
    return found


def commands_in_text() -> Iterator[tuple[str, list[str]]]:
    """`dit4sr ...` between backquotes outside of blocks: the page, and the words after dit4sr."""
    for path in PAGES:
        text = _ANY_FENCE.sub("", path.read_text(encoding="utf-8"))
        for found in _IN_TEXT.finditer(text):
            words = re.sub(r"\s+", " ", found[1])
            yield path.name, shlex.split(words.replace("'", "").replace('"', ""))[1:]


def words_of(command: str) -> list[list[str]]:
    """The simple commands of a line as a shell splits them, without comments and redirections."""
    lexer = shlex.shlex(command, posix=True, punctuation_chars="|&;<>")
    lexer.whitespace_split, lexer.commenters = True, "#"
    simple: list[list[str]] = [[]]
    skips = False
    for word in lexer:
        if set(word) <= set("|&;"):
            simple.append([])
        elif set(word) <= set("<>"):
            skips = True
        elif skips:
            skips = False
        else:
            simple[-1].append(word)
    return [words for words in simple if words]
