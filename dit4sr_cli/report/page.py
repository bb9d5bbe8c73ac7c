"""Outcomes as one HTML file that needs nothing else: no network, no framework, light and dark."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from dit4sr_cli import __version__
from dit4sr_cli.core.types import Size
from dit4sr_cli.jobs.record import FileOutcome, Status
from dit4sr_cli.report.record import now, summary
from dit4sr_cli.report.thumbnails import data_uri

MAX_THUMBNAILS = 1000
"""Files that are shown with pictures, some 6 kB each: a page must still open."""
_SHOWN = ("model", "steps", "guidance", "seed", "tile", "tiles", "device", "dtype", "prompt")
_HEADINGS = ("Before", "After", "File", "Status", "Reason", "Size", "Result", "Settings", "Seconds")
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'"

_STYLE = """
:root{color-scheme:light dark;--line:#8884;--dim:#888;
--done:#1a7f37;--skipped:#9a6700;--failed:#cf222e}
@media(prefers-color-scheme:dark){:root{--done:#3fb950;--skipped:#d29922;--failed:#f85149}}
body{font:14px/1.4 system-ui,sans-serif;margin:1.5rem}h1{font-size:1.3rem}
dl{display:flex;flex-wrap:wrap;gap:.5rem 2rem;margin:1rem 0}
dt{color:var(--dim)}dd{margin:0;font-size:1.2rem}
table{border-collapse:collapse;width:100%}
th,td{padding:.3rem .6rem;border-bottom:1px solid var(--line);text-align:left;
vertical-align:top;overflow-wrap:anywhere}
th{position:sticky;top:0;background:Canvas;white-space:nowrap}
th button{all:unset;cursor:pointer;font-weight:600}th button:focus-visible{outline:2px solid}
td.n{text-align:right;white-space:nowrap}img{max-width:112px;max-height:112px;display:block}
.done{color:var(--done)}.skipped{color:var(--skipped)}.failed{color:var(--failed)}
details{color:var(--dim)}form{display:flex;gap:1rem;margin:1rem 0;flex-wrap:wrap}
"""

_SCRIPT = """
const body=document.querySelector('tbody'),rows=[...body.rows],find=document.querySelector('#find'),
status=document.querySelector('#status'),shown=document.querySelector('#shown');
const order=new Intl.Collator(undefined,{numeric:true,sensitivity:'base'}).compare;
function filter(){const text=find.value.toLowerCase();let count=0;
for(const row of rows){const fits=(!status.value||row.dataset.status===status.value)
&&(!text||row.textContent.toLowerCase().includes(text));row.hidden=!fits;count+=fits}
shown.textContent=count+' of '+rows.length}
function key(row,column){const cell=row.cells[column];return cell.dataset.sort??cell.textContent}
document.querySelectorAll('th').forEach((head,column)=>head.firstElementChild.addEventListener('click',()=>{
const down=head.getAttribute('aria-sort')==='ascending';
document.querySelectorAll('th').forEach(other=>other.removeAttribute('aria-sort'));
head.setAttribute('aria-sort',down?'descending':'ascending');
rows.sort((a,b)=>order(key(a,column),key(b,column))*(down?-1:1));body.append(...rows)}));
find.addEventListener('input',filter);status.addEventListener('change',filter);
document.querySelector('form').addEventListener('submit',event=>event.preventDefault());filter();
"""


def as_html(outcomes: Sequence[FileOutcome], *, settings: Mapping[str, Any] | None = None) -> str:
    """The page; file names and reasons in it are text, whatever they hold."""
    return "\n".join(_lines(outcomes, settings or {}))


def _lines(outcomes: Sequence[FileOutcome], settings: Mapping[str, Any]) -> Iterator[str]:
    figures = summary(outcomes)
    yield '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
    yield f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
    yield '<meta name="viewport" content="width=device-width">'
    yield f"<title>dit4sr report</title><style>{_STYLE}</style></head><body>"
    yield f"<h1>dit4sr report</h1><p>dit4sr {escape(__version__)}, {now()}</p><dl>"
    for name in ("files", "done", "skipped", "failed", "megapixels", "seconds"):
        yield f"<div><dt>{name}</dt><dd>{figures[name]:g}</dd></div>"
    yield "</dl>"
    if settings:
        text = json.dumps(dict(settings), indent=1, default=str)
        yield f"<details><summary>Settings</summary><pre>{escape(text)}</pre></details>"
    yield '<form><label>Find <input id="find" type="search"></label>'
    yield '<label>Status <select id="status"><option value="">all</option>'
    yield "".join(f"<option>{word}</option>" for word in ("done", "skipped", "failed"))
    yield '</select></label><output id="shown"></output></form><table><thead><tr>'
    yield "".join(f'<th><button type="button">{name}</button></th>' for name in _HEADINGS)
    yield "</tr></thead><tbody>"
    for number, outcome in enumerate(outcomes):
        yield _row(outcome, has_pictures=number < MAX_THUMBNAILS)
    yield f"</tbody></table><script>{_SCRIPT}</script></body></html>"


def _row(outcome: FileOutcome, *, has_pictures: bool) -> str:
    made = outcome.outcome
    before = _picture(outcome.source) if has_pictures else ""
    has_result = outcome.status is not Status.FAILED  # of an earlier run, too
    after = _picture(outcome.target) if has_pictures and has_result else ""
    status = outcome.status.value
    cells = [
        f"<td>{before}</td><td>{after}</td>",
        f"<td>{escape(str(outcome.source))}</td>",
        f'<td class="{status}">{status}</td>',
        f"<td>{escape(outcome.reason)}</td>",
        _size_cell(None if made is None else made.input_size),
        _size_cell(None if made is None else made.output_size),
        f"<td>{_settings(outcome)}</td>",
        f'<td class="n" data-sort="{outcome.seconds:.3f}">{outcome.seconds:.1f}</td>',
    ]
    return f'<tr data-status="{status}">{"".join(cells)}</tr>'


def _picture(path: Path | None) -> str:
    uri = data_uri(path)
    return f'<img alt="" decoding="async" src="{uri}">' if uri else ""


def _size_cell(size: tuple[int, int] | None) -> str:
    if size is None:
        return '<td class="n" data-sort="0"></td>'
    return f'<td class="n" data-sort="{size[0] * size[1]}">{Size(*size)}</td>'


def _settings(outcome: FileOutcome) -> str:
    made = outcome.outcome
    if made is None:
        return ""
    target = escape(str(outcome.target))
    values = ((name, getattr(made, name)) for name in _SHOWN)
    shown = ", ".join(f"{name} {value}" for name, value in values if value not in ("", None))
    warnings = "".join(f"<br>{escape(text)}" for text in made.warnings)
    details = f"<summary>{escape(made.model)}</summary>{escape(shown)}{warnings}"
    return f"{target}<details>{details}</details>"
