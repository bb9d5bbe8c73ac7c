"""A tally for people and programs: Markdown that also reads as text, and plain values for JSON."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from dit4sr_cli.report.study.tally import LEVEL, METHOD, Interval, Rate, Tally

_TITLES = {"realism": "more like a real photograph", "fidelity": "more of the input's content"}


def to_markdown(found: Tally) -> str:
    """Rates, who voted, and the votes on each picture."""
    first, second = found.methods
    shown = ["question", f"{first} wins", f"{second} wins", "cannot tell", f"win rate of {first}"]
    intervals = ["Wilson 95 %"]
    if any(rate.bootstrap for rate in found.rates.values()):
        intervals.append("bootstrap 95 %")
    rows = (
        [
            f"{question}: {_TITLES[question]}",
            *map(str, (rate.first, rate.second, rate.undecided)),
            _percent(rate.rate),
            *[_interval(rate.wilson), _interval(rate.bootstrap)][: len(intervals)],
        ]
        for question, rate in found.rates.items()
    )
    votes = f"{len(found.raters)} rater{'' if len(found.raters) == 1 else 's'}"
    return "\n\n".join(
        (
            f"{first} against {second}: {len(found.pictures)} pictures, {votes}",
            _table([*shown, *intervals], rows),
            "\n".join(_words(found)),
            _table(_heads(found), _rows(found)),
        )
    )


def to_dict(found: Tally) -> dict[str, Any]:
    """The same figures by name."""
    return {
        "methods": list(found.methods),
        "level": LEVEL,
        "method": METHOD,
        "raters": [
            {"name": name, "answered": number, "of": len(found.pictures)}
            for name, number in found.raters.items()
        ],
        "questions": {question: _rate(found, rate) for question, rate in found.rates.items()},
        "pictures": {
            picture: {question: _named(found, counts) for question, counts in questions.items()}
            for picture, questions in found.by_picture.items()
        },
        "left_share": found.left,
    }


def _rate(found: Tally, rate: Rate) -> dict[str, Any]:
    winner = {True: found.methods[0], False: found.methods[1], None: None}[rate.prefers_first]
    return {
        **_named(found, (rate.first, rate.second, rate.undecided)),
        "win_rate": rate.rate,
        "wilson": rate.wilson,
        "bootstrap": rate.bootstrap,
        "preferred": winner,
    }


def _named(found: Tally, counts: Sequence[int]) -> dict[str, Any]:
    first, second, undecided = counts
    wins = dict(zip(found.methods, (first, second), strict=True))
    return {"wins": wins, "undecided": undecided}


def _words(found: Tally) -> Iterable[str]:
    """What the figures mean, a line each."""
    for question, rate in found.rates.items():
        yield f"- {question}: {_verdict(found.methods, rate)}"
    for name, number in found.raters.items():
        if number < len(found.pictures):
            yield f"- {name} answered {number} of {len(found.pictures)} pictures wholly"
    if found.left is not None:
        yield f"- the left side won {_percent(found.left)} of the votes that decide"
    if any(rate.bootstrap for rate in found.rates.values()):
        yield (
            "- Wilson's interval takes votes as independent, which those of one person are not; "
            "the bootstrap draws raters and pictures anew"
        )


def _verdict(methods: tuple[str, str], rate: Rate) -> str:
    if not rate.total:
        return "no votes"
    ties = f"{_percent(rate.undecided / rate.total)} of {rate.total} votes cannot tell"
    if rate.prefers_first is None:
        return f"no preference shown; {ties}"
    return f"{methods[0 if rate.prefers_first else 1]} is preferred; {ties}"


def _heads(found: Tally) -> list[str]:
    names = [*found.methods, "cannot tell"]
    return ["picture", *(f"{question}: {name}" for question in found.rates for name in names)]


def _rows(found: Tally) -> Iterable[list[str]]:
    for picture, questions in found.by_picture.items():
        yield [picture, *(str(count) for counts in questions.values() for count in counts)]


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Cells are padded, figures to the right; names may hold anything."""
    lines = [[_cell(text) for text in line] for line in (head, *rows)]
    widths = [max(3, *(len(line[column]) for line in lines)) for column in range(len(head))]
    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    lines.insert(1, rule)
    return "\n".join(
        "| "
        + " | ".join(
            text.rjust(width) if column else text.ljust(width)
            for column, (text, width) in enumerate(zip(line, widths, strict=True))
        )
        + " |"
        for line in lines
    )


def _cell(text: str) -> str:
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("\n", " ")


def _percent(share: float | None) -> str:
    return "" if share is None else f"{100 * share:.1f} %"


def _interval(interval: Interval | None) -> str:
    return "" if interval is None else f"{100 * interval[0]:.1f} to {100 * interval[1]:.1f} %"
