"""Outcomes as one HTML file that needs nothing else: no network, no framework, light and dark."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from enum import Enum
from html import escape
from typing import Any

from dit4sr_cli import __version__
from dit4sr_cli.core.types import Size
from dit4sr_cli.jobs.record import FileOutcome, Outcome, Status
from dit4sr_cli.report import thumbnails
from dit4sr_cli.report.policy import content_policy
from dit4sr_cli.report.record import now, summary
from dit4sr_cli.report.template import joined

MAX_THUMBNAILS = 1000
"""Files that are shown with pictures, some 40 kB each: a page must still open."""
_STATUSES = {"": "All", **{status.value: status.value.capitalize() for status in Status}}
_HEADINGS = {"File": "", "Status": "", "Size": "n", "Seconds": "n"}
_SHOWN_ELSEWHERE = {"input", "output", "input_size", "output_size", "seconds", "warnings"}
_VIEW = """<dialog aria-labelledby="what"><div><h2 id="what"></h2>
<button type="button" id="close">Close</button></div>
<div class="stage wipe"><i></i><span>Before</span><span>After</span>
<input type="range" min="0" max="100" step="any" value="50" autofocus
aria-label="How much is shown as it was before, in percent"></div>
<p class="dim">The middle of the picture: <span id="crop"></span> pixels of the result,
and the same part of the source drawn as large. Drag the line, or use the arrow keys.</p>
<div><button type="button" id="previous">Previous</button><output id="at"></output>
<button type="button" id="next">Next</button></div></dialog>"""


def as_html(outcomes: Sequence[FileOutcome], *, settings: Mapping[str, Any] | None = None) -> str:
    """The page; file names and reasons in it are text, whatever they hold."""
    return "\n".join(_lines(outcomes, settings or {}))


def _lines(outcomes: Sequence[FileOutcome], settings: Mapping[str, Any]) -> Iterator[str]:
    style, script = joined("base.css", "page.css"), joined("page.js")
    figures = summary(outcomes)
    counts = ", ".join(f"{figures[status.value]} {status.value}" for status in Status)
    yield '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
    yield f'<meta http-equiv="Content-Security-Policy" content="{content_policy(style, script)}">'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">'
    yield f"<title>dit4sr report: {counts}</title><style>{style}</style></head><body>"
    yield f'<header><h1>dit4sr report</h1><p class="dim">{_headline(figures)}</p>'
    if settings:
        yield f"<details><summary>Settings of the run</summary>{_pairs(settings)}</details>"
    yield "</header><main>"
    if outcomes:
        yield from _table(outcomes, figures)
        yield f"</main>{_VIEW}<script>{script}</script></body></html>"
    else:
        yield '<p class="empty">There were no files to enlarge.</p></main></body></html>'


def _headline(figures: Mapping[str, Any]) -> str:
    made_at = now().replace("T", " ").replace("Z", " UTC")
    work = f"{figures['megapixels']:g} megapixels made in {figures['seconds']:g} seconds of work"
    return "".join(f"<span>{text}</span>" for text in (work, made_at, f"dit4sr {__version__}"))


def _table(outcomes: Sequence[FileOutcome], figures: Mapping[str, Any]) -> Iterator[str]:
    yield '<form hidden><fieldset><legend class="aside">Status</legend>'
    for status, word in _STATUSES.items():
        checked = "" if status else " checked"
        count = figures[status or "files"]
        yield f'<label><input type="radio" name="status" value="{status}"{checked}>'
        yield f"<span>{word} <small>{count}</small></span></label>"
    yield '</fieldset><input id="find" name="find" type="search" aria-label="Find"'
    yield ' placeholder="Find a name, a reason, a setting" autocomplete="off">'
    yield '<output id="shown"></output></form><table><thead><tr><th>Before and after</th>'
    for name, kind in _HEADINGS.items():
        yield f'<th class="{kind}"><button type="button">{name}</button></th>'
    yield "</tr></thead><tbody>"
    for number, outcome in enumerate(outcomes):
        yield _row(outcome, has_pictures=number < MAX_THUMBNAILS)
    yield '</tbody></table><p id="none" class="empty" hidden>No file matches.</p>'


def _row(outcome: FileOutcome, *, has_pictures: bool) -> str:
    made, status = outcome.outcome, outcome.status.value
    seconds = f"{outcome.seconds:.1f}" if outcome.seconds else ""
    cells = [
        f"<td>{_pictures(outcome) if has_pictures else ''}</td>",
        f'<td data-sort="{escape(str(outcome.source))}">{_file(outcome)}</td>',
        f'<td data-sort="{status}"><span class="status">{status}</span></td>',
        '<td class="n" data-sort="0"></td>' if made is None else _size_cell(made),
        f'<td class="n" data-sort="{outcome.seconds:.3f}">{seconds}</td>',
    ]
    return f'<tr class="{status}">{"".join(cells)}</tr>'


def _pictures(outcome: FileOutcome) -> str:
    """Both, and if both are there a button that shows the middle of them."""
    has_result = outcome.status is not Status.FAILED  # of an earlier run, too
    before, after = outcome.source, outcome.target if has_result else None
    uris = filter(None, (thumbnails.data_uri(before), thumbnails.data_uri(after)))
    images = "".join(f'<img alt="" decoding="async" src="{uri}">' for uri in uris)
    middle = thumbnails.middle(before, after) if after else None
    if not images or middle is None:
        return images and f'<div class="pair">{images}</div>'
    data = (
        f'data-before="{middle.before}" data-after="{middle.after}" '
        f'data-width="{middle.size.width}" data-height="{middle.size.height}"'
    )
    label = f"Compare {escape(before.name)}"
    return f'<button type="button" class="pair" aria-label="{label}" {data}>{images}</button>'


def _file(outcome: FileOutcome) -> str:
    name = outcome.source.name
    folder = escape(str(outcome.source).removesuffix(name))
    text = f'<bdi class="name"><span class="dim">{folder}</span>{escape(name)}</bdi>'
    if outcome.target is not None and outcome.status is not Status.FAILED:
        text += f'<p class="target dim"><bdi>{escape(str(outcome.target))}</bdi></p>'
    reason = outcome.reason.removeprefix(f"{outcome.source}: ")
    made = outcome.outcome
    for words in (reason, *(made.warnings if made else ())):
        text += f'<p class="reason">{escape(words)}</p>' if words else ""
    return text if made is None else text + _how(made)


def _how(made: Outcome) -> str:
    """What the JSON report says of how it was made, but for what is in the row already."""
    steps = f"{made.steps} step{'' if made.steps == 1 else 's'}"
    verdict = f", {made.fidelity['verdict']}" if made.fidelity else ""
    pairs = {k: v for k, v in made.as_json().items() if k not in _SHOWN_ELSEWHERE}
    summary = escape(f"{made.model}, {steps}{verdict}")
    return f"<details><summary>{summary}</summary>{_pairs(pairs)}</details>"


def _pairs(values: Mapping[str, Any]) -> str:
    """Names and values; what was left to the model, or is not there, is left out."""
    return f"<dl>{''.join(_pair(name, value) for name, value in values.items())}</dl>"


def _pair(name: str, value: Any) -> str:
    if isinstance(value, dict):
        return "".join(_pair(f"{name} {part}", inner) for part, inner in value.items())
    text = _text(value)
    return text and f"<dt>{escape(name.replace('_', ' '))}</dt><dd>{escape(text)}</dd>"


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict):
        return ", ".join(f"{name} {_text(inner)}" for name, inner in value.items())
    if isinstance(value, list):
        return "\n".join(map(_text, value))
    return str(value.value if isinstance(value, Enum) else value)


def _size_cell(made: Outcome) -> str:
    before, after = Size(*made.input_size), Size(*made.output_size)
    pages = f"<br>{made.pages} pages" if made.pages > 1 else ""
    shown = f'{after}<br><span class="dim">from {before}{pages}</span>'
    return f'<td class="n" data-sort="{after.pixels * made.pages}">{shown}</td>'
