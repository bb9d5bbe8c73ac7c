"""What results kept, changed, lost and gained of what their source says of itself."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from dit4sr_cli.imaging.description import Words


class State(str, Enum):
    """What became of one value."""

    KEPT = "kept"
    CHANGED = "changed"
    LOST = "lost"
    ADDED = "added"


@dataclass(frozen=True, slots=True)
class Line:
    """One value in the source and in each result; empty: it is not there."""

    name: str
    source: str
    results: tuple[str, ...]

    @property
    def states(self) -> tuple[State | None, ...]:
        """Of each result; None: neither has it."""
        return tuple(_state(self.source, value) for value in self.results)

    @property
    def is_kept(self) -> bool:
        """By every result."""
        return set(self.states) == {State.KEPT}


@dataclass(frozen=True, slots=True)
class Group:
    """The lines of one kind of metadata, in the order of the source."""

    name: str
    lines: tuple[Line, ...]

    def counts(self, result: int) -> Mapping[State, int]:
        """How many lines are in which state, for one result."""
        states = Counter(line.states[result] for line in self.lines)
        return {state: states[state] for state in State if states[state]}


def differences(
    source: Mapping[str, Words], results: Sequence[Mapping[str, Words]]
) -> tuple[Group, ...]:
    """Hold descriptions against that of the source; groups that nobody has are left out.

    Args:
        source: values by group and name, as `imaging.description` has them.
        results: likewise.
    """
    groups = []
    for group, words in source.items():
        others = [result[group] for result in results]
        names = dict.fromkeys(name for one in (words, *others) for name in one)
        lines = (
            Line(name, words.get(name, ""), tuple(other.get(name, "") for other in others))
            for name in names
        )
        groups.append(Group(group, tuple(lines)))
    return tuple(group for group in groups if group.lines)


def _state(source: str, result: str) -> State | None:
    if source == result:
        return State.KEPT if source else None
    if not result:
        return State.LOST
    return State.CHANGED if source else State.ADDED
