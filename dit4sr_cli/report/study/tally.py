"""What votes say: win rates with intervals, per question and per picture."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from dit4sr_cli.report.study.votes import QUESTIONS, Counted, Vote

LEVEL = 0.95
DRAWS = 4000
METHOD = (
    "win rate: share of the first method among votes that decide; wilson: score interval as if all "
    "votes were independent; bootstrap: raters and pictures both drawn anew, percentiles"
)

Interval = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Rate:
    """Votes on one question.

    Args:
        first, second: for each method.
        undecided: who could not tell.
        rate: of the first method among those who could; None: nobody could.
        wilson: interval as if all votes were independent.
        bootstrap: over raters and pictures; None: there is only one rater, or nobody decided.
    """

    first: int
    second: int
    undecided: int
    rate: float | None
    wilson: Interval | None
    bootstrap: Interval | None

    @property
    def total(self) -> int:
        """All votes on the question."""
        return self.first + self.second + self.undecided

    @property
    def prefers_first(self) -> bool | None:
        """Whom the votes prefer, if even the wider interval leaves out a half; None: nobody."""
        intervals = [interval for interval in (self.wilson, self.bootstrap) if interval]
        if intervals and all(low > 0.5 for low, _ in intervals):
            return True
        if intervals and all(high < 0.5 for _, high in intervals):
            return False
        return None


@dataclass(frozen=True, slots=True)
class Tally:
    """All figures of a study.

    Args:
        methods: the two; rates are those of the first.
        pictures: names, sorted.
        raters: what each is called, and how many pictures they answered wholly.
        rates: by question.
        by_picture: by picture and question the votes for first, second and neither.
        left: share of the left side among votes that decide; far from a half, the sides mattered.
    """

    methods: tuple[str, str]
    pictures: tuple[str, ...]
    raters: Mapping[str, int]
    rates: Mapping[str, Rate]
    by_picture: Mapping[str, Mapping[str, tuple[int, int, int]]]
    left: float | None


def tally(counted: Counted, *, seed: int = 0) -> Tally:
    """Count votes.

    Args:
        counted: ballots, one a person.
        seed: of the bootstrap.
    """
    votes, methods = counted.votes, counted.key.methods
    pictures = tuple(sorted(item.name for item in counted.key.items))
    return Tally(
        methods=methods,
        pictures=pictures,
        raters={
            rater: sum(all(answers.values()) for answers in ballot.sides)
            for rater, ballot in zip(counted.raters, counted.ballots, strict=True)
        },
        rates={
            question: rate([vote for vote in votes if vote.question == question], methods, seed)
            for question in QUESTIONS
        },
        by_picture={picture: _by_question(votes, picture, methods) for picture in pictures},
        left=_left(counted),
    )


def rate(votes: Sequence[Vote], methods: tuple[str, str], seed: int = 0) -> Rate:
    """Counts, rate and intervals of votes on one question."""
    first, second, undecided = _counts(votes, methods)
    decided = first + second
    return Rate(
        first=first,
        second=second,
        undecided=undecided,
        rate=first / decided if decided else None,
        wilson=wilson(first, decided) if decided else None,
        bootstrap=bootstrap(votes, methods, seed),
    )


def wilson(wins: int, total: int, level: float = LEVEL) -> Interval:
    """Wilson's score interval of a proportion (1927); it stays within 0 and 1, unlike Wald's."""
    z = NormalDist().inv_cdf((1 + level) / 2)
    share, weight = wins / total, z * z / total
    middle = (share + weight / 2) / (1 + weight)
    half = z / (1 + weight) * math.sqrt(share * (1 - share) / total + weight / (4 * total))
    return max(0.0, middle - half), min(1.0, middle + half)


def bootstrap(
    votes: Sequence[Vote], methods: tuple[str, str], seed: int, level: float = LEVEL
) -> Interval | None:
    """Percentiles of the win rate when raters and pictures are both drawn with replacement.

    Votes of one person, and votes on one picture, are alike: drawing single votes would make the
    interval too narrow. Drawing both ways (Owen's pigeonhole bootstrap, 2007) errs to the wide
    side.
    """
    raters = sorted({vote.rater for vote in votes})
    pictures = sorted({vote.picture for vote in votes})
    if len(raters) < 2:
        return None
    wins, decided = np.zeros((2, len(raters), len(pictures)))
    for vote in votes:
        place = raters.index(vote.rater), pictures.index(vote.picture)
        wins[place] += vote.choice == methods[0]
        decided[place] += vote.choice is not None
    generator = np.random.default_rng(seed)
    by_rater, by_picture = (
        generator.multinomial(size, np.full(size, 1 / size), DRAWS).astype(np.float64)
        for size in (len(raters), len(pictures))
    )
    won, of = (((by_rater @ table) * by_picture).sum(axis=1) for table in (wins, decided))
    rates = won[of > 0] / of[of > 0]
    if not len(rates):
        return None
    low, high = np.quantile(rates, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def _by_question(
    votes: Sequence[Vote], picture: str, methods: tuple[str, str]
) -> dict[str, tuple[int, int, int]]:
    of_picture = [vote for vote in votes if vote.picture == picture]
    return {
        question: _counts((vote for vote in of_picture if vote.question == question), methods)
        for question in QUESTIONS
    }


def _counts(votes: Iterable[Vote], methods: tuple[str, str]) -> tuple[int, int, int]:
    chosen = Counter(vote.choice for vote in votes)
    return chosen[methods[0]], chosen[methods[1]], chosen[None]


def _left(counted: Counted) -> float | None:
    sides = Counter(
        side for ballot in counted.ballots for answers in ballot.sides for side in answers.values()
    )
    decided = sides["left"] + sides["right"]
    return sides["left"] / decided if decided else None
