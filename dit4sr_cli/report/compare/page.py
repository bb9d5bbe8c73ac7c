"""Compares results with their source, and with one another, on one page that needs nothing else."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

from dit4sr_cli import __version__
from dit4sr_cli.core import events
from dit4sr_cli.core.errors import UsageError
from dit4sr_cli.core.settings import DEFAULT_MAX_MEGAPIXELS, MAX_SCALE
from dit4sr_cli.core.types import Size
from dit4sr_cli.fidelity.check import Check, Verdict
from dit4sr_cli.fidelity.pair import compare, require_pair
from dit4sr_cli.imaging import placing, writer
from dit4sr_cli.imaging.description import describe
from dit4sr_cli.report.compare import metadata, places, tables
from dit4sr_cli.report.compare.pictures import (
    Opened,
    open_result,
    open_source,
    part,
    refuse_inputs,
    whole,
    within,
)
from dit4sr_cli.report.compare.places import Place
from dit4sr_cli.report.compare.strip import make_strip, middle
from dit4sr_cli.report.embedded import as_uri, is_lossless, lossless
from dit4sr_cli.report.policy import content_policy
from dit4sr_cli.report.record import now
from dit4sr_cli.report.template import filled, joined

MAX_RESULTS = 8
MEGAPIXELS = 16.0
"""Of what is shown of a picture: a browser needs four bytes for each pixel, and as much again."""


@dataclass(frozen=True, slots=True)
class Shown:
    """A picture as the page has it: `uri` of `size` pixels, and the surroundings of each place."""

    opened: Opened
    uri: str
    size: Size
    is_lossless: bool
    crops: tuple[str, ...]

    @property
    def is_reduced(self) -> bool:
        """Whether the page has fewer pixels than the file."""
        return self.size != self.opened.size


@dataclass(frozen=True, slots=True)
class Made:
    """What was written.

    Args:
        page: the page.
        strip: the picture, if it was asked for.
        num_bytes: of the page.
        checks: what was found, by label of the result.
        reduced: labels of pictures that the page shows with fewer pixels than they have.
    """

    page: Path
    strip: Path | None
    num_bytes: int
    checks: Mapping[str, Check]
    reduced: tuple[str, ...]


def make(
    source: Path,
    results: Mapping[str, Path],
    output: Path,
    *,
    strip: Path | None = None,
    megapixels: float = MEGAPIXELS,
    overwrite: bool = False,
    max_megapixels: float = DEFAULT_MAX_MEGAPIXELS,
    observe: events.Observer = events.ignore,
) -> Made:
    """Write the page of a comparison, and if asked for the worst places as a picture.

    Args:
        source: what the results were made of.
        results: by what they are called.
        output: the page.
        strip: a PNG.
        megapixels: larger pictures are reduced to so many; places are shown pixel by pixel anyway.
        overwrite: replace files that are there.
        max_megapixels: refuse larger sources.
        observe: told which picture it is at, and what a reader of the page should know.

    Raises:
        UsageError: there are no results, or too many.
        InputError: a picture cannot be read, or is not made of this source.
        OutputError: a file cannot be written, or is there.
    """
    if not 1 <= len(results) <= MAX_RESULTS:
        raise UsageError(f"a page compares 1 to {MAX_RESULTS} results, not {len(results)}")
    written = [path for path in (output, strip) if path is not None]
    refuse_inputs([source, *results.values()], written)
    for path in written:
        writer.check_target(path, overwrite=overwrite)
    folder = output.resolve().parent
    observe(events.PhaseStarted(f"reading {source.name}"))
    before = open_source(source, folder, max_megapixels)
    after = []
    for label, path in results.items():
        observe(events.PhaseStarted(f"reading {label}"))
        opened = open_result(path, label, folder, max_megapixels * MAX_SCALE**2)
        require_pair(before.picture, opened.picture)
        after.append(opened)
    frame = max((opened.size for opened in after), key=lambda size: size.pixels)
    checks = list(_checked(before, after, observe))
    sizes = [opened.size for opened in after]
    found = places.worst(checks, sizes, before.size, frame)
    shown = list(_shown([before, *after], found, frame, megapixels, observe))
    page = as_html(shown, checks, found, frame).encode("utf-8", "backslashreplace")
    if strip is not None:
        image = io.BytesIO()
        rows = found or [middle(frame, places.SIDE)]
        make_strip(before, after, rows, frame).save(image, "PNG", optimize=True)
        _write(strip, image.getvalue(), overwrite=overwrite)
    _write(output, page, overwrite=overwrite)
    reduced = tuple(picture.opened.label for picture in shown if picture.is_reduced)
    by_label = dict(zip(results, checks, strict=True))
    return Made(output, strip, len(page), by_label, reduced)


def _write(path: Path, data: bytes, *, overwrite: bool) -> None:
    with placing.explained(path), placing.whole_file(path, overwrite=overwrite) as stream:
        stream.write(data)


def _checked(before: Opened, after: Sequence[Opened], observe: events.Observer) -> Iterator[Check]:
    for opened in after:
        observe(events.PhaseStarted(f"checking {opened.label}"))
        if opened.pages != before.pages:
            counts = f"{before.pages} and {opened.pages} pages"
            observe(events.Warned(f"{before.path} and {opened.path} have {counts}"))
        found = compare(before.picture, opened.picture)
        if found.verdict is Verdict.DIFFERENT:
            message = f"{before.path} and {opened.path} are not the same picture"
            observe(events.Warned(message))
        yield found
    if max(opened.pages for opened in (before, *after)) > 1:
        observe(events.Warned("of several pages only the first is compared"))


def _shown(
    opened: Sequence[Opened],
    found: Sequence[Place],
    frame: Size,
    megapixels: float,
    observe: events.Observer,
) -> Iterator[Shown]:
    for one in opened:
        observe(events.PhaseStarted(f"drawing {one.label}"))
        size = within(one.size, megapixels * 1e6)
        pixels = whole(one.picture, size)
        crops = tuple(lossless(part(one, place.around, frame)) for place in found)
        yield Shown(one, as_uri(pixels), size, is_lossless(pixels), crops)


# ------------------------------------------------------------------------- the page


def as_html(
    shown: Sequence[Shown], checks: Sequence[Check], found: Sequence[Place], frame: Size
) -> str:
    """The page; file names and metadata in it are text, whatever they hold.

    Args:
        shown: the source, then the results.
        checks: of the results.
        found: the places that crops were made of.
        frame: the size that all are shown in.
    """
    style = joined("base.css", "compare/compare.css")
    script = joined("view.js", "compare/compare.js")
    source, *results = (picture.opened for picture in shown)
    groups = metadata.differences(describe(source.picture), [describe(r.picture) for r in results])
    title = escape(source.path.name)
    parts = {
        "policy": content_policy(style, script),
        "style": style,
        "script": script,
        "title": title,
        "facts": "".join(f"<span>{escape(fact)}</span>" for fact in _facts(source, results)),
        "choices": "".join(
            f'<option value="{number}">{escape(picture.opened.label)}</option>'
            for number, picture in enumerate(shown)
        ),
        "panes": "".join(_pane(number, picture) for number, picture in enumerate(shown)),
        "notes": "".join(f"<p>{escape(note)}</p>" for note in _notes(shown)),
        "places": "".join(_card(n, place, shown) for n, place in enumerate(found)),
        "no_places": " hidden" if found else "",
        "figures": tables.figures(results, checks),
        "settings": tables.settings(results),
        "metadata": tables.metadata(groups, results),
        "data": json.dumps(_data(shown, found, frame)).replace("<", "\\u003c"),
    }
    return filled(joined("compare/compare.html"), parts)


def _facts(source: Opened, results: Sequence[Opened]) -> Iterator[str]:
    yield f"{source.size} to {', '.join(dict.fromkeys(str(r.size) for r in results))}"
    sizes = [f"{source.num_bytes / 1e6:.2f}", *(f"{r.num_bytes / 1e6:.2f}" for r in results)]
    yield f"{sizes[0]} to {', '.join(sizes[1:])} MB"
    yield now().replace("T", " ").replace("Z", " UTC")
    yield f"dit4sr {__version__}"


def _pane(number: int, picture: Shown) -> str:
    size, label = picture.opened.size, escape(picture.opened.label)
    return (
        f'<figure class="pane" data-picture="{number}"><div class="view"><div class="layer">'
        f'<img class="whole" alt="{label}, {size} pixels" draggable="false" src="{picture.uri}">'
        f"</div></div><figcaption><bdi>{label}</bdi></figcaption></figure>"
    )


def _card(number: int, place: Place, shown: Sequence[Shown]) -> str:
    crops = "".join(
        f'<span class="crop" data-picture="{index}">'
        f'<img alt="" decoding="async" src="{picture.crops[number]}">'
        f"<bdi>{escape(picture.opened.label)}</bdi></span>"
        for index, picture in enumerate(shown)
    )
    labels = [picture.opened.label for picture in shown[1:]]
    values = "".join(
        f"<span>{f'{escape(labels[index])} ' if len(labels) > 1 else ''}<b>{value:.1f}</b></span>"
        for index, value in sorted(place.values.items())
    )
    at = f'<span class="dim">x {place.box.x}, y {place.box.y}</span>'
    return (
        f'<li><button type="button" class="place" data-place="{number}" '
        f'aria-label="Show place {number + 1}">'
        f'<span class="crops">{crops}</span><span class="caption">'
        f'<b class="number">{number + 1}</b>{at}<span class="values">{values}</span></span>'
        "</button></li>"
    )


def _notes(shown: Sequence[Shown]) -> Iterator[str]:
    for picture in shown:
        opened = picture.opened
        if picture.is_reduced:
            share = 100 * picture.size.width / opened.size.width
            yield (
                f"{opened.label} is shown reduced to {picture.size} of {opened.size} pixels "
                f"({share:.0f} %). The places below are shown pixel by pixel, there and in the "
                "picture."
            )
        elif not picture.is_lossless:
            yield f"{opened.label} is shown as a JPEG of high quality; crops are exact."
    for picture in shown:
        if picture.opened.pages > 1:
            yield f"{picture.opened.label} has {picture.opened.pages} pages: this is the first."
        for warning in picture.opened.picture.warnings:
            yield f"{picture.opened.label}: {warning}."


def _data(shown: Sequence[Shown], found: Sequence[Place], frame: Size) -> dict[str, Any]:
    return {
        "size": [frame.width, frame.height],
        "pictures": [
            {
                "label": picture.opened.label,
                "reduced": picture.is_reduced,
                "size": str(picture.opened.size),
            }
            for picture in shown
        ],
        "places": [
            {
                "box": [place.box.x, place.box.y, place.box.width, place.box.height],
                "around": [
                    *(place.around.x, place.around.y, place.around.width, place.around.height)
                ],
                "results": [number + 1 for number in place.values],
            }
            for place in found
        ],
    }
