"""`dit4sr bench`: what settings, paths and other programs cost, side by side."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dit4sr_cli.cli import options
from dit4sr_cli.cli.console import console, one_line
from dit4sr_cli.cli.progress import Progress
from dit4sr_cli.cli.settings import model_settings, upscale_settings
from dit4sr_cli.core.errors import UsageError
from dit4sr_cli.core.types import DeviceChoice, Precision, Size
from dit4sr_cli.core.words import as_size

if TYPE_CHECKING:
    from dit4sr_cli.bench.compare import Comparison, Side
    from dit4sr_cli.bench.statistics import Ratio
    from dit4sr_cli.bench.task import Task
    from dit4sr_cli.bench.variant import Variant
    from dit4sr_cli.bench.versus import Versus
    from dit4sr_cli.jobs.stopwatch import Phase

DEFAULT_RUNS = 3
_LEFT, _COLUMN, _LONGEST_NAME = 28, 20, 40
_METHOD = "ratios: geometric means over the pairs, intervals by Student's t over their logarithms"

Photo = Annotated[
    Path | None,
    typer.Argument(metavar="PHOTO", help="What to enlarge. [default: a made scene]"),
]
SceneSize = Annotated[
    str | None, typer.Option("--size", metavar="WxH", help="Of the made scene. [default: 128x128]")
]
Runs = Annotated[
    int,
    typer.Option(min=1, max=1000, metavar="N", help="Runs of each, after one that does not count."),
]
Compare = Annotated[
    tuple[str, str] | None,
    typer.Option(
        metavar="A B",
        help='Two settings in place of the default and the plain path: "steps=4,tile=32".',
    ),
]
Against = Annotated[
    str | None,
    typer.Option(
        "--versus",
        metavar="COMMAND",
        help="Another program, run in turn with dit4sr upscale; {input} and {output} stand for "
        "the files.",
    ),
]
RandomWeights = Annotated[
    str | None,
    typer.Option(
        metavar="full|small|CONFIG",
        help="A transformer of this shape with random weights, without pictures; CONFIG is a "
        "config.json or a model's folder.",
    ),
]


def bench(
    photo: Photo = None,
    size: SceneSize = None,
    model: options.Model = "auto",
    device: options.Device = DeviceChoice.AUTO,
    dtype: options.Dtype = Precision.AUTO,
    steps: options.Steps = None,
    guidance: options.Guidance = None,
    tile: options.Tile = None,
    overlap: options.Overlap = None,
    preset: options.PresetName = None,
    runs: Runs = DEFAULT_RUNS,
    compare: Compare = None,
    versus: Against = None,
    random_weights: RandomWeights = None,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
    json: options.Json = False,
) -> None:
    """Measure speed and memory of settings, side by side."""
    given = {**locals()}
    from dit4sr_cli.bench.variant import Variant

    console.open(quiet=quiet, verbose=verbose, as_json=json)
    _refuse_contradictions(photo, size, compare, versus, random_weights)
    settings = upscale_settings(given)
    chosen = model_settings(given, settings)
    base = Variant(name="default", upscale=settings, model=chosen)
    with tempfile.TemporaryDirectory(prefix="dit4sr-bench-") as folder:
        make = _tasks(photo, size, random_weights, Path(folder))
        if versus is not None:
            _versus(versus, make(base), runs)
        else:
            first, second = _variants(base, compare)
            _compare(make(first), make(second), runs)


def _refuse_contradictions(
    photo: Path | None,
    size: str | None,
    compare: tuple[str, str] | None,
    versus: str | None,
    random_weights: str | None,
) -> None:
    from dit4sr_cli.jobs.plan import check_source

    both = {
        "PHOTO and --size": photo is not None and size is not None,
        "--compare and --versus": compare is not None and versus is not None,
        "PHOTO and --random-weights": photo is not None and random_weights is not None,
        "--versus and --random-weights": versus is not None and random_weights is not None,
    }
    for what, are_given in both.items():
        if are_given:
            raise UsageError(f"{what} exclude each other", hint="give one of them")
    if photo is not None:
        check_source(photo)


def _tasks(
    photo: Path | None, size: str | None, random_weights: str | None, folder: Path
) -> Callable[[Variant], Task]:
    """What makes tasks of variants: on the picture, or on random weights."""
    from dit4sr_cli.bench.architecture import architecture_of
    from dit4sr_cli.bench.task import DEFAULT_SIZE, Task

    sides = DEFAULT_SIZE if size is None else _size(size)
    shape = None if random_weights is None else architecture_of(random_weights)
    source, count = photo, 0
    if source is None and shape is None:
        from dit4sr_cli.bench.scene import save_scene

        source = save_scene(folder / "scene.png", sides)

    def make(variant: Variant) -> Task:
        nonlocal count
        count += 1
        result = folder / f"{count}{'.png' if shape is None else '.npy'}"
        picture = source or folder
        return Task(variant=variant, source=picture, result=result, random=shape, size=sides)

    return make


def _size(text: str) -> Size:
    found = re.fullmatch(r"([1-9]\d{0,5})[xX]([1-9]\d{0,5})", text)
    if not found:
        raise UsageError(f"--size {text}: not a size", hint="write WIDTHxHEIGHT, as in 128x128")
    return Size(int(found[1]), int(found[2]))


def _variants(base: Variant, compare: tuple[str, str] | None) -> tuple[Variant, Variant]:
    from dataclasses import replace

    from dit4sr_cli.bench.variant import changed

    if compare is None:
        return base, replace(base, name="plain", plain=True)
    return changed(base, compare[0]), changed(base, compare[1])


def _compare(first: Task, second: Task, runs: int) -> None:
    from dit4sr_cli.bench import compare as measuring

    with Progress("bench") as progress:
        found = measuring.compare(first, second, runs=runs, observe=progress)
    record = {"command": "bench", **_what(first), "runs": runs, **found.as_json()}
    console.result(_comparison(first, found), record)


def _versus(command: str, task: Task, runs: int) -> None:
    from dit4sr_cli.bench import versus as measuring

    with Progress("bench") as progress:
        found = measuring.versus(command, task, runs=runs, observe=progress)
    record = {"command": "bench", **_what(task), "runs": runs, **found.as_json()}
    console.result(_contest(found), record)


def _what(task: Task) -> dict[str, object]:
    if task.random is not None:
        return {"random_weights": task.random.name, "size": [task.size.width, task.size.height]}
    return {"input": str(task.source)}


# ------------------------------------------------------------------------------ tables


def _comparison(task: Task, found: Comparison) -> str:
    sides = (found.first, found.second)
    names = [_short(side.variant.name) for side in sides]
    lines = [_title(task, found.first), "", _row("", names)]
    lines += [_row(label, [show(side) for side in sides]) for label, show in _ROWS.items()]
    lines += ["", "where the time goes, in seconds (in brackets the first run, which loads)"]
    lines += _phases(sides)
    lines += ["", _times_as_fast(names[0], found.ratio, names[1]), _apart(found), _METHOD]
    return "\n".join(lines)


def _title(task: Task, side: Side) -> str:
    what = f"random weights: {task.random.name}" if task.random else task.source.name
    first = side.first
    runs = f"{len(side.laps)} run{'' if len(side.laps) == 1 else 's'} of each, in turn"
    with_what = f"{first.model}, {first.device}, {first.dtype}"
    return one_line(f"{what} -> {first.megapixels:.2f} megapixels, {with_what}, {runs}")


_ROWS: dict[str, Callable[[Side], str]] = {
    "seconds (median)": lambda side: f"{side.seconds:.3f}",
    "  per megapixel of output": lambda side: f"{side.seconds_per_megapixel:.3f}",
    "  to the first tile": lambda side: f"{side.first_tile:.3f}",
    "tokens": lambda side: f"{side.laps[0].tokens:,}",
    "  per second of sampling": lambda side: f"{side.tokens_per_second:,.0f}",
    "peak memory": lambda side: as_size(side.peak_bytes),
    "  before the model": lambda side: as_size(side.first.base_bytes),
}


def _phases(sides: Sequence[Side]) -> list[str]:
    names = dict.fromkeys(
        phase.name for side in sides for phase in (*side.first.phases, *side.phases)
    )
    rows = [_row("  all", [f"{side.seconds:.3f} ({side.first.seconds:.3f})" for side in sides])]
    for name in names:
        cells = [
            f"{_seconds(side.phases, name):.3f} ({_seconds(side.first.phases, name):.3f})"
            for side in sides
        ]
        rows.append(_row(f"  {name}", cells))
    return rows


def _seconds(phases: Sequence[Phase], name: str) -> float:
    return sum(phase.seconds for phase in phases if phase.name == name)


def _apart(found: Comparison) -> str:
    if found.distance.max_difference == 0:
        return "both results are the same"
    return (
        f"between the results: PSNR {found.distance.psnr:.1f} dB, "
        f"largest difference {found.distance.max_difference:.2g} of the range"
    )


def _contest(found: Versus) -> str:
    from dit4sr_cli.bench.statistics import median

    name = _short(found.command)
    lines = [
        f"{len(found.ours)} runs of each, in turn; seconds (median)",
        f"{'dit4sr upscale':<{_LONGEST_NAME + 2}}{median(found.ours):>10.3f}",
        f"{name:<{_LONGEST_NAME + 2}}{median(found.theirs):>10.3f}",
        f"{'dit4sr, its model loaded':<{_LONGEST_NAME + 2}}{found.warm.seconds:>10.3f}",
        "",
        _times_as_fast("dit4sr upscale", found.ratio, name),
        _times_as_fast("dit4sr, its model loaded,", found.warm_ratio, name),
        _METHOD,
    ]
    return "\n".join(lines)


def _times_as_fast(first: str, ratio: Ratio, second: str) -> str:
    interval = "one pair: no interval"
    if ratio.low is not None and ratio.high is not None:
        interval = f"95 %: {ratio.low:.3g} to {ratio.high:.3g}, {ratio.pairs} pairs"
    return f"{first} is {ratio.value:.3g} times as fast as {second} ({interval})"


def _row(label: str, cells: Sequence[str]) -> str:
    return f"{label:<{_LEFT}}" + "".join(f"{cell:>{max(_COLUMN, len(cell) + 2)}}" for cell in cells)


def _short(name: str) -> str:
    name = one_line(name)
    return name if len(name) <= _LONGEST_NAME else name[: _LONGEST_NAME - 3] + "..."
