"""Files of votes, as a page saves them: read, checked, and each person counted once."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dit4sr_cli.core.errors import Dit4srError, InputError
from dit4sr_cli.report.study.key import Key, unpacked

KIND = "dit4sr study votes"
SCHEMA = 1
QUESTIONS = ("realism", "fidelity")
_SIDES = ("left", "right", "undecided", None)
_MAX_BYTES = 64 << 20
_DATA = re.compile(r'<script type="application/json" id="study">(.*?)</script>', re.DOTALL)


@dataclass(frozen=True, slots=True)
class Ballot:
    """What one file says.

    Args:
        path: of the file.
        key: of the page that it came from.
        session: of the browser, random.
        rater: as typed; may be empty.
        saved_at: in ISO 8601, UTC, so that later ones sort behind.
        sides: for each item of the page the answer to each question.
    """

    path: Path
    key: Key
    session: str
    rater: str
    saved_at: str
    sides: tuple[Mapping[str, str | None], ...]


@dataclass(frozen=True, slots=True)
class Vote:
    """One answer: who, of which picture, to which question.

    Args:
        choice: the method; None: cannot tell.
    """

    rater: str
    picture: str
    question: str
    choice: str | None


@dataclass(frozen=True, slots=True)
class Counted:
    """What is counted.

    Args:
        key: of the page, or of the first ballot.
        ballots: one a person.
        raters: what each person is called in tables, in the order of the ballots.
        notes: ballots that are not counted because a later one is.
        problems: files that are left out, and why.
    """

    key: Key
    ballots: tuple[Ballot, ...]
    raters: tuple[str, ...]
    notes: tuple[str, ...]
    problems: tuple[Dit4srError, ...]

    @property
    def votes(self) -> list[Vote]:
        """Every answer that was given."""
        return [
            vote
            for ballot, rater in zip(self.ballots, self.raters, strict=True)
            for vote in _votes(ballot, rater)
        ]


def count(paths: Sequence[Path], page: Path | None = None) -> Counted:
    """Read files of votes; damaged ones and those of another study are left out, with the reason.

    Args:
        paths: of the files.
        page: whose votes count; None: all have to be of one study.

    Raises:
        InputError: the page cannot be read, no file is left, or files are of several studies.
    """
    wanted = None if page is None else read_page(page)
    ballots: list[Ballot] = []
    problems: list[Dit4srError] = []
    for path in dict.fromkeys(paths):
        try:
            ballot = read(path)
            if wanted is not None and ballot.key.study != wanted.study:
                raise InputError(f"{path}: votes of another study than {page}")
            ballots.append(ballot)
        except Dit4srError as error:
            problems.append(error)
    if not ballots:
        if len(problems) == 1:
            raise problems[0]
        raise InputError(
            f"none of {len(problems)} files can be counted; the first: {problems[0].message}"
        )
    _require_one_study(ballots)
    ballots.sort(key=lambda ballot: ballot.saved_at)
    kept, notes = _latest(ballots, lambda ballot: ballot.session)
    kept, more = _latest(kept, lambda ballot: ballot.rater.casefold() or ballot.session)
    key = wanted or ballots[0].key
    return Counted(key, tuple(kept), _called(kept), (*notes, *more), tuple(problems))


def read(path: Path) -> Ballot:
    """One file of votes.

    Raises:
        InputError: it is not one, or damaged.
    """
    values = _parsed(path, _text(path))
    if not isinstance(values, dict) or values.get("kind") != KIND:
        raise InputError(f"{path}: not a file of votes", hint="the page saves them at its end")
    if values.get("schema") != SCHEMA:
        raise InputError(f"{path}: votes of another version", hint="update dit4sr")
    try:
        key = unpacked(str(values["key"]))
        texts = {name: values[name] for name in ("session", "rater", "saved_at")}
        if not all(isinstance(text, str) for text in texts.values()):
            raise ValueError("a text is missing")
        return Ballot(path=path, key=key, sides=_sides(values["votes"], key), **texts)
    except (KeyError, TypeError, ValueError) as error:
        what = f"{error} is missing" if isinstance(error, KeyError) else str(error)
        raise InputError(f"{path}: damaged: {what}") from error


def read_page(path: Path) -> Key:
    """What a page hides.

    Raises:
        InputError: it is not the page of a study.
    """
    found = _DATA.search(_text(path, limit=None))
    if found is None:
        raise InputError(f"{path}: not the page of a study", hint="--page takes what `study` wrote")
    try:
        return unpacked(str(_parsed(path, found[1])["key"]))
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path}: damaged") from error


def _text(path: Path, limit: int | None = _MAX_BYTES) -> str:
    try:
        if limit is not None and path.is_file() and path.stat().st_size > limit:
            raise InputError(f"{path}: not a file of votes")
        return path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file") from error
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not a text file") from error


def _parsed(path: Path, text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: not JSON, or cut off") from error


def _sides(votes: Any, key: Key) -> tuple[Mapping[str, str | None], ...]:
    if not isinstance(votes, list) or len(votes) != len(key.items):
        raise ValueError(f"it has no votes for {len(key.items)} pictures")
    sides = tuple({question: vote[question] for question in QUESTIONS} for vote in votes)
    if any(side not in _SIDES for vote in sides for side in vote.values()):
        raise ValueError("an answer is none of left, right and undecided")
    return sides


def _require_one_study(ballots: Iterable[Ballot]) -> None:
    firsts: dict[str, Path] = {}
    for ballot in ballots:
        firsts.setdefault(ballot.key.study, ballot.path)
    if len(firsts) > 1:
        names = " and ".join(str(path) for path in list(firsts.values())[:2])
        raise InputError(
            f"votes of {len(firsts)} studies: {names} are of different ones",
            hint="name the page with --page",
        )


def _latest(
    ballots: Sequence[Ballot], who: Callable[[Ballot], str]
) -> tuple[list[Ballot], list[str]]:
    """The last ballot of each person, and what to say of the others."""
    kept = {who(ballot): ballot for ballot in ballots}
    notes = [
        f"{ballot.path}: {ballot.rater or 'the same browser'} voted again in "
        f"{kept[who(ballot)].path}, which counts"
        for ballot in ballots
        if kept[who(ballot)] is not ballot
    ]
    return list(kept.values()), notes


def _called(ballots: Sequence[Ballot]) -> tuple[str, ...]:
    """Names; those who gave none are numbered."""
    names, taken = [], {ballot.rater for ballot in ballots}
    for ballot in ballots:
        number = 1
        while not ballot.rater and f"rater {number}" in taken:
            number += 1
        names.append(ballot.rater or f"rater {number}")
        taken.add(names[-1])
    return tuple(names)


def _votes(ballot: Ballot, rater: str) -> Iterable[Vote]:
    for item, answers in zip(ballot.key.items, ballot.sides, strict=True):
        methods = {"left": item.left, "right": item.right, "undecided": None}
        for question, side in answers.items():
            if side is not None:
                yield Vote(rater, item.name, question, methods[side])
