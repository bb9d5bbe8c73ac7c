"""`dit4sr check`: a picture and what was made of it, to a verdict."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dit4sr_cli.cli import options
from dit4sr_cli.cli.console import console, one_line
from dit4sr_cli.core.errors import ExitCode
from dit4sr_cli.core.settings import DEFAULT_MAX_MEGAPIXELS, MAX_SCALE

if TYPE_CHECKING:
    from dit4sr_cli.fidelity.check import Check
    from dit4sr_cli.imaging.picture import Picture

Source = Annotated[Path, typer.Argument(metavar="SOURCE", help="The picture as it was.")]
Result = Annotated[Path, typer.Argument(metavar="RESULT", help="What was made of it.")]


def check(
    source: Source,
    result: Result,
    strict: options.Strict = False,
    max_megapixels: options.MaxMegapixels = DEFAULT_MAX_MEGAPIXELS,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
    json: options.Json = False,
) -> int:
    """Say how faithful a result is to its source."""
    from dit4sr_cli.fidelity.check import Verdict
    from dit4sr_cli.fidelity.pair import compare

    console.open(quiet=quiet, verbose=verbose, as_json=json)
    names = {"source": str(source), "result": str(result)}
    holds = True
    for number, (before, after) in enumerate(_pages(source, result, max_megapixels), start=1):
        found = compare(before, after)
        holds = holds and found.verdict.holds
        if found.verdict is Verdict.DIFFERENT:
            console.warn(f"{before.name} and {after.name} are not the same picture")
        text = _table(before, after, found)
        record = {"command": "check", **names, "page": number, **found.as_json(tiles=True)}
        console.result(text, record)
    return ExitCode.CHANGED if strict and not holds else ExitCode.OK


def _pages(source: Path, result: Path, max_megapixels: float) -> Iterator[tuple[Picture, Picture]]:
    from dit4sr_cli.imaging import reader

    before = reader.read(source, max_megapixels=max_megapixels)
    after = reader.read(result, max_megapixels=max_megapixels * MAX_SCALE**2)
    if len(before) != len(after):
        counts = f"{len(before)} and {len(after)} pages"
        console.warn(f"{source} and {result} have {counts}: the others are not compared")
    return zip(before, after, strict=False)


def _table(before: Picture, after: Picture, found: Check) -> str:
    from dit4sr_cli.fidelity.check import LIMITS

    limits = LIMITS.values()
    rows: list[tuple[Any, ...]] = [
        ("", "found", *(f"{verdict.value} to" for verdict in LIMITS)),
        ("CIEDE2000, mean", f"{found.mean:.2f}", *(f"{limit.mean:g}" for limit in limits)),
        ("CIEDE2000, 95 %", f"{found.p95:.2f}", *(f"{limit.p95:g}" for limit in limits)),
        ("drift of colours", f"{found.drift:.2f}", *(f"{limit.drift:g}" for limit in limits)),
        ("worst place", f"{found.worst[0].value:.2f}", *(f"{limit.place:g}" for limit in limits)),
        ("PSNR, linear light", "none" if math.isinf(found.psnr) else f"{found.psnr:.1f} dB"),
        ("SSIM", f"{found.ssim:.4f}"),
    ]
    sizes = f"{before.width}x{before.height} -> {one_line(after.name)} {after.width}x{after.height}"
    lines = [f"{one_line(before.name)} {sizes}: {found.verdict.value}"]
    lines += [f"  {reason}" for reason in found.reasons]
    lines += ["", *(f"{row[0]:<20}" + "".join(f"{cell:>13}" for cell in row[1:]) for row in rows)]
    lines += ["", f"{'worst places':<20}{'x':>13}{'y':>13}{'size':>13}{'CIEDE2000':>13}"]
    for place in found.worst:
        size = f"{place.width}x{place.height}"
        lines.append(f"{'':<20}{place.x:>13}{place.y:>13}{size:>13}{place.value:>13.2f}")
    return "\n".join(lines)
