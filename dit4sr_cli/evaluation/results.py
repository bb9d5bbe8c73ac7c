"""What a method makes of each picture: made now, or taken from an earlier run or another's folder.

Pixels of results that are there already are read only if somebody asks.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from PIL import Image as PilImage

from dit4sr_cli.core import events
from dit4sr_cli.core.errors import InputError
from dit4sr_cli.evaluation.files import digest, save
from dit4sr_cli.evaluation.methods import Enlarge, Finished, Method, load_picture
from dit4sr_cli.evaluation.pairs import Case
from dit4sr_cli.evaluation.pixels import Image, size
from dit4sr_cli.evaluation.plan import Plan


@dataclass(frozen=True, slots=True)
class Result:
    """A large picture of a case.

    Args:
        method: whose.
        pixels: reads it, at the first call.
        digest: of its file; empty if there is none.
        seconds: that it took to make, if that is known.
    """

    case: Case
    method: str
    pixels: Callable[[], Image]
    digest: str
    seconds: float | None


def results(entry: Method | Finished, plan: Plan, observe: events.Observer) -> Iterator[Result]:
    """One of each case, in their order.

    Raises:
        InputError: a picture cannot be read, or its reference has other proportions.
        OutputError: a result cannot be kept.
    """
    if isinstance(entry, Finished):
        return _finished(entry, plan, observe)
    return _made(entry, plan, observe)


def _finished(entry: Finished, plan: Plan, observe: events.Observer) -> Iterator[Result]:
    for case in _announced(entry.name, plan, observe):
        path = entry.files[case.name]
        yield Result(case, entry.name, _lazily(path), digest(path), None)


def _made(method: Method, plan: Plan, observe: events.Observer) -> Iterator[Result]:
    enlarge: Enlarge | None = None
    for number, case in enumerate(_announced(method.name, plan, observe)):
        result = _known(method, case, plan)
        if result is None:
            enlarge = enlarge or method.load(plan.cases[number:])
            result = _make(method, enlarge, case, plan)
        yield result
    del enlarge  # before the next model comes
    gc.collect()


def _announced(name: str, plan: Plan, observe: events.Observer) -> Iterator[Case]:
    for number, case in enumerate(plan.cases, 1):
        observe(events.PhaseStarted(f"{name}: {case.name} ({number}/{len(plan.cases)})"))
        yield case


def _known(method: Method, case: Case, plan: Plan) -> Result | None:
    """The result of an earlier run, if the same would come out again and nobody changed it."""
    path, name = plan.place(method.name, case), _recorded(method, case, plan)
    found = plan.store.made(name, plan.digests[str(case.picture)]) if name else None
    if found is None or path is None or not path.is_file() or digest(path) != found[0]:
        return None
    return Result(case, method.name, _lazily(path), *found)


def _make(method: Method, enlarge: Enlarge, case: Case, plan: Plan) -> Result:
    small = load_picture(case.picture)
    scale = _scale_of(case, small, plan.scale)
    started = time.perf_counter()
    made = enlarge(case, small, scale)
    seconds = time.perf_counter() - started
    path, written = plan.place(method.name, case), ""
    if path is not None:
        save(PilImage.fromarray(made), path)
        written = digest(path)
        name = _recorded(method, case, plan)
        if name:
            plan.store.add_made(name, plan.digests[str(case.picture)], written, seconds)
    return Result(case, method.name, lambda: made, written, seconds)


def _recorded(method: Method, case: Case, plan: Plan) -> str:
    """What decides about a result besides its picture; empty if the method does not say."""
    key = method.key(case)
    return f"{method.name} {key} x{plan.scale:g}" if key else ""


def _scale_of(case: Case, small: Image, scale: float) -> float:
    if case.reference is None:
        return scale
    original = load_picture(case.reference)
    factor = original.shape[1] / small.shape[1]
    if round(small.shape[0] * factor) != original.shape[0]:
        raise InputError(
            f"{case.name}: {size(small)} is not {size(original)} made smaller",
            hint="input and reference must have the same proportions",
        )
    return factor


def _lazily(path: Path) -> Callable[[], Image]:
    """Read at the first call, and remember."""
    found: list[Image] = []

    def get() -> Image:
        if not found:
            found.append(load_picture(path))
        return found[0]

    return get
