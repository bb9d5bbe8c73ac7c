"""The tables of the page: a column a result; what differs stands out."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from html import escape

from dit4sr_cli.fidelity.check import LIMITS, Check
from dit4sr_cli.jobs.provenance_rows import rows
from dit4sr_cli.report.compare.metadata import Group, Line, State
from dit4sr_cli.report.compare.pictures import Opened


def figures(results: Sequence[Opened], checks: Sequence[Check]) -> str:
    """What the fidelity check measures, beside the limits of its verdicts."""
    limits = LIMITS.values()
    lines = [
        ("CIEDE2000, mean", [c.mean for c in checks], [limit.mean for limit in limits]),
        ("CIEDE2000, 95 %", [c.p95 for c in checks], [limit.p95 for limit in limits]),
        ("Drift of colours", [c.drift for c in checks], [limit.drift for limit in limits]),
        ("Worst place", [c.worst[0].value for c in checks], [limit.place for limit in limits]),
    ]
    body = [_row("Verdict", map(_verdict, checks), ["", ""])]
    for name, found, allowed in lines:
        body.append(_row(name, (f"{value:.2f}" for value in found), (f"{x:g}" for x in allowed)))
    psnr = ("identical" if math.isinf(check.psnr) else f"{check.psnr:.1f} dB" for check in checks)
    body.append(_row("PSNR, linear light", psnr, ["", ""]))
    body.append(_row("SSIM", (f"{check.ssim:.4f}" for check in checks), ["", ""]))
    heads = [*_labels(results), *(f'<i class="dim">{v.value} up to</i>' for v in LIMITS)]
    reasons = "".join(
        f'<p class="dim reason">{escape(label)}: {escape("; ".join(check.reasons))}.</p>'
        for label, check in zip((result.label for result in results), checks, strict=True)
        if check.reasons
    )
    return _table("numbers", heads, body) + reasons


def settings(results: Sequence[Opened]) -> str:
    """What the records say: of several first what differs, then behind a fold what does not."""
    told = [_told(result) for result in results]
    silent = "".join(
        f'<p class="dim reason">{escape(result.label)}: {escape(result.why)}.</p>'
        for result in results
        if result.record is None
    )
    names = list(dict.fromkeys(name for one in told for name in one))
    if not names or len(results) == 1:
        return _list((name, told[0][name]) for name in names) + silent
    same = [name for name in names if len({one.get(name, "") for one in told if one}) == 1]
    body = (
        _row(name, (escape(one.get(name, "")) or _NOTHING for one in told))
        for name in names
        if name not in same
    )
    known = next(one for one in told if one)
    fold = _fold(f"{len(same)} alike", ((name, known[name]) for name in same))
    return _table("words", _labels(results), body) + fold + silent


def _told(result: Opened) -> dict[str, str]:
    """The rows of a record; its figures of fidelity are measured anew, and in another table."""
    if result.record is None:
        return {}
    return {name: value for name, value in rows(result.record) if not name.startswith("fidelity ")}


def metadata(groups: Sequence[Group], results: Sequence[Opened]) -> str:
    """A section a group: what is not as it was, and behind a fold what is."""
    return "".join(_group(group, results) for group in groups)


def _group(group: Group, results: Sequence[Opened]) -> str:
    other = [line for line in group.lines if not line.is_kept]
    kept = [line for line in group.lines if line.is_kept]
    counts = (_counts(group, number) for number in range(len(results)))
    if len(results) > 1:
        counts = (
            f"{escape(result.label)}: {words}"
            for result, words in zip(results, counts, strict=True)
        )
    html = f'<h3>{escape(group.name)} <small class="dim">{" · ".join(counts)}</small></h3>'
    heads = ["Input", *_labels(results)]
    if other:
        html += _table("words", heads, map(_line, other))
    return html + _fold(f"{len(kept)} kept", ((line.name, line.source) for line in kept))


def _counts(group: Group, number: int) -> str:
    return ", ".join(f"{count} {state.value}" for state, count in group.counts(number).items())


def _line(line: Line) -> str:
    cells = [f"<td>{escape(line.source) or _NOTHING}</td>"]
    for value, state in zip(line.results, line.states, strict=True):
        mark = "" if state is None else f'<span class="state {state.value}">{state.value}</span>'
        shown = "" if state in (State.KEPT, State.LOST) else f" {escape(value)}"
        cells.append(f"<td>{(mark + shown) or _NOTHING}</td>")
    return f'<tr><th scope="row">{escape(line.name)}</th>{"".join(cells)}</tr>'


_NOTHING = '<span class="dim">none</span>'


def _fold(title: str, pairs: Iterable[tuple[str, str]]) -> str:
    inner = _list(pairs)
    return inner and f"<details><summary>{title}</summary>{inner}</details>"


def _list(pairs: Iterable[tuple[str, str]]) -> str:
    inner = "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in pairs)
    return inner and f'<dl class="list">{inner}</dl>'


def _verdict(check: Check) -> str:
    kind = {"faithful": "kept", "close": "changed"}.get(check.verdict.value, "lost")
    return f'<span class="state {kind}">{check.verdict.value}</span>'


def _labels(results: Iterable[Opened]) -> list[str]:
    return [escape(result.label) for result in results]


def _row(name: str, cells: Iterable[str], dim: Iterable[str] = ()) -> str:
    html = "".join(f"<td>{cell}</td>" for cell in cells)
    html += "".join(f'<td class="dim">{cell}</td>' for cell in dim)
    return f'<tr><th scope="row">{escape(name)}</th>{html}</tr>'


def _table(kind: str, heads: Iterable[str], body: Iterable[str]) -> str:
    """Wider than a phone, perhaps: it scrolls by itself, and by keyboard."""
    head = "".join(f'<th scope="col">{head}</th>' for head in heads)
    table = f"<table><thead><tr><td></td>{head}</tr></thead><tbody>{''.join(body)}</tbody></table>"
    return f'<div class="table {kind}" tabindex="0">{table}</div>'
