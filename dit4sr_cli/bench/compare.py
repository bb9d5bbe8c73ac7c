"""Two variants, run in turn, and what that says of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from dit4sr_cli.bench.distance import Distance, distance
from dit4sr_cli.bench.lap import Lap
from dit4sr_cli.bench.statistics import LEVEL, METHOD, Ratio, median, ratio_of
from dit4sr_cli.bench.task import Task
from dit4sr_cli.bench.variant import Variant
from dit4sr_cli.bench.worker import Worker, working
from dit4sr_cli.core.events import Observer, PhaseStarted, Warned, ignore
from dit4sr_cli.jobs.stopwatch import Phase

_ROOM = 1.25
"""Times the first process's peak that has to be free for the second one to stay beside it."""


@dataclass(frozen=True, slots=True)
class Side:
    """One variant's runs: the first, which also loads the model, and those that count."""

    variant: Variant
    first: Lap
    laps: tuple[Lap, ...]

    @property
    def times(self) -> list[float]:
        """Seconds of the runs that count."""
        return [lap.seconds for lap in self.laps]

    @property
    def seconds(self) -> float:
        """Their median."""
        return median(self.times)

    @property
    def seconds_per_megapixel(self) -> float:
        """Of the result."""
        return self.seconds / self.first.megapixels

    @property
    def tokens_per_second(self) -> float:
        """While sampling."""
        return median([lap.tokens / _sampling(lap) for lap in self.laps])

    @property
    def first_tile(self) -> float:
        """Seconds until it was there."""
        return median([lap.first_tile for lap in self.laps])

    @property
    def peak_bytes(self) -> int:
        """The most memory at any time, with loading."""
        return max(lap.peak_bytes for lap in (self.first, *self.laps))

    @property
    def phases(self) -> tuple[Phase, ...]:
        """Medians, in the order of the runs."""
        names = dict.fromkeys(phase.name for lap in self.laps for phase in lap.phases)
        return tuple(Phase(name, median(_spent(self.laps, name))) for name in names)

    def as_json(self) -> dict[str, Any]:
        """Plain data, in seconds and bytes."""
        return {
            "name": self.variant.name,
            "plain": self.variant.plain,
            "model": self.first.model,
            "device": self.first.device,
            "dtype": self.first.dtype,
            "seconds": self.seconds,
            "runs": self.times,
            "seconds_per_megapixel": self.seconds_per_megapixel,
            "tokens": self.laps[0].tokens,
            "tokens_per_second": self.tokens_per_second,
            "first_tile": self.first_tile,
            "peak_bytes": self.peak_bytes,
            "base_bytes": self.first.base_bytes,
            "phases": {phase.name: phase.seconds for phase in self.phases},
            "first_run": {
                "seconds": self.first.seconds,
                "first_tile": self.first.first_tile,
                "phases": {phase.name: phase.seconds for phase in self.first.phases},
            },
        }


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two sides; `ratio` is how many times as fast the first is as the second."""

    first: Side
    second: Side
    ratio: Ratio
    distance: Distance

    def as_json(self) -> dict[str, Any]:
        """Plain data; a PSNR of equal results is None."""
        is_equal = self.distance.max_difference == 0
        return {
            "variants": [self.first.as_json(), self.second.as_json()],
            "ratio": ratio_as_json(self.ratio),
            "psnr": None if is_equal else self.distance.psnr,
            "max_difference": self.distance.max_difference,
        }


def ratio_as_json(ratio: Ratio) -> dict[str, Any]:
    """With what it means."""
    return {**asdict(ratio), "level": LEVEL, "method": METHOD}


def compare(first: Task, second: Task, *, runs: int, observe: Observer = ignore) -> Comparison:
    """Run two tasks in turn, after one run of each that does not count.

    Raises:
        Dit4srError: as `dit4sr upscale` would, or a process died.
    """
    one, two = _sides(first, second, runs, observe)
    for side in (one, two):
        for text in dict.fromkeys(side.first.warnings):
            observe(Warned(f"{side.variant.name}: {text}"))
    ratio = ratio_of(one.times, two.times)
    return Comparison(one, two, ratio, distance(first.result, second.result))


def _sides(first: Task, second: Task, runs: int, observe: Observer) -> tuple[Side, Side]:
    """Both processes stay, each idle while the other works, if memory holds both."""
    # The second first: where there is a plain path it takes more.
    with working(second) as two:
        warm_two = run_once(two, "warming up", observe)
        if _has_room(warm_two):
            with working(first) as one:
                warm_one = run_once(one, "warming up", observe)
                laps = [
                    (run_once(one, run, observe), run_once(two, run, observe))
                    for run in run_names(runs)
                ]
                one.keep()
                two.keep()
                return _side(first, warm_one, laps, 0), _side(second, warm_two, laps, 1)
    observe(Warned("memory does not hold both at once: every run has a process of its own"))
    pairs = [(_alone(first, run, observe), _alone(second, run, observe)) for run in run_names(runs)]
    laps = [(one[1], two[1]) for one, two in pairs]
    return _side(first, pairs[0][0][0], laps, 0), _side(second, warm_two, laps, 1)


def _alone(task: Task, run: str, observe: Observer) -> tuple[Lap, Lap]:
    """A run in a process of its own, and the one that warmed it up."""
    with working(task) as worker:
        laps = run_once(worker, "warming up", observe), run_once(worker, run, observe)
        worker.keep()
    return laps


def _side(task: Task, warm: Lap, laps: Sequence[tuple[Lap, Lap]], place: int) -> Side:
    return Side(task.variant, warm, tuple(pair[place] for pair in laps))


def run_once(worker: Worker, run: str, observe: Observer) -> Lap:
    """A run that observers hear of."""
    observe(PhaseStarted(f"{run}: {worker.task.variant.name}"))
    return worker.run()


def run_names(runs: int) -> list[str]:
    """What the runs that count are called."""
    return [f"run {run} of {runs}" for run in range(1, runs + 1)]


def _has_room(lap: Lap) -> bool:
    return lap.free_bytes is None or lap.free_bytes > _ROOM * lap.peak_bytes


def _sampling(lap: Lap) -> float:
    return sum(_spent([lap], "sampling"))


def _spent(laps: Sequence[Lap], name: str) -> list[float]:
    """Seconds of a phase in each run."""
    return [sum(phase.seconds for phase in lap.phases if phase.name == name) for lap in laps]
