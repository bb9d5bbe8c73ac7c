"""Votes to figures: intervals against known values, people counted once, bad files named."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from helpers.cli import run_cli

from dit4sr_cli.core.errors import InputError
from dit4sr_cli.report.study.figures import to_markdown
from dit4sr_cli.report.study.key import Item, Key, packed
from dit4sr_cli.report.study.tally import bootstrap, rate, tally, wilson
from dit4sr_cli.report.study.votes import Vote, count

PICTURES = tuple(f"p{number:02}" for number in range(12))


def _key(study="5ad5ad5ad5ad", seed=0, first="q", second="b") -> Key:
    items = (
        Item(name, *((first, second) if (number + seed) % 2 else (second, first)))
        for number, name in enumerate(PICTURES)
    )
    return Key(study, (first, second), tuple(items), seed)


def _ballot(path: Path, choose, *, key=None, rater="", session="s", saved="2026-01-01T00:00:00Z"):
    """A file as the page saves it; `choose(picture, question)` names a method, None, or "open"."""
    key = key or _key()

    def side(item, question):
        chosen = choose(item.name, question)
        return {item.left: "left", item.right: "right", None: "undecided", "open": None}[chosen]

    votes = [{q: side(item, q) for q in ("realism", "fidelity")} for item in key.items]
    values = {
        "schema": 1,
        "kind": "dit4sr study votes",
        "page": key.page,
        "seed": key.seed,
        "session": session,
        "rater": rater,
        "started_at": saved,
        "saved_at": saved,
        "key": packed(key),
        "votes": votes,
    }
    path.write_text(json.dumps(values))
    return path


def _q(picture, question):
    return "q" if question == "realism" else "b"


def test_wilson_is_the_known_interval():
    # Newcombe 1998, table I.
    for wins, total, low, high in (
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ):
        assert wilson(wins, total) == pytest.approx((low, high), abs=5e-5)
    assert wilson(20, 20)[1] == 1.0


def test_sides_are_undone(tmp_path):
    found = tally(count([_ballot(tmp_path / "v.json", _q)]))
    realism, fidelity = found.rates["realism"], found.rates["fidelity"]
    assert (realism.first, realism.second, realism.undecided) == (12, 0, 0)
    assert (fidelity.first, fidelity.second, fidelity.undecided) == (0, 12, 0)
    assert realism.prefers_first is True and fidelity.prefers_first is False
    assert realism.wilson == pytest.approx((0.7575, 1.0), abs=1e-4)
    assert realism.bootstrap is None
    assert found.left == 0.5
    assert found.by_picture["p03"] == {"realism": (1, 0, 0), "fidelity": (0, 1, 0)}


def test_those_who_cannot_tell_and_open_ones(tmp_path):
    def choose(picture, question):
        number = int(picture[1:])
        return "open" if number < 2 else None if number < 5 else "q" if number < 8 else "b"

    counted = count([_ballot(tmp_path / "v.json", choose, rater="Ann")])
    found = tally(counted)
    realism = found.rates["realism"]
    assert (realism.first, realism.second, realism.undecided, realism.total) == (3, 4, 3, 10)
    assert realism.rate == pytest.approx(3 / 7)
    assert realism.prefers_first is None
    assert found.raters == {"Ann": 10}
    text = to_markdown(found)
    assert "no preference shown; 30.0 % of 10 votes cannot tell" in text
    assert "Ann answered 10 of 12 pictures wholly" in text


def test_nobody_could_tell(tmp_path):
    found = tally(count([_ballot(tmp_path / "v.json", lambda *_: None)]))
    assert found.rates["realism"].rate is None and found.rates["realism"].wilson is None
    assert found.left is None
    assert "100.0 % of 12 votes cannot tell" in to_markdown(found)


def test_the_bootstrap_knows_that_one_person_is_of_one_mind():
    """Six people who each always say the same: 120 votes, but only six opinions."""
    votes = [
        Vote(f"r{r}", p, "realism", "q" if r < 4 else "b") for r in range(6) for p in PICTURES[:10]
    ]
    low, high = bootstrap(votes, ("q", "b"), 0)
    draws = np.random.default_rng(1).binomial(6, 4 / 6, 100_000) / 6
    assert (low, high) == pytest.approx(tuple(np.quantile(draws, [0.025, 0.975])), abs=0.02)
    assert high - low > 2 * np.subtract(*wilson(40, 60)[::-1])
    assert bootstrap(votes, ("q", "b"), 0) == (low, high)
    assert rate(votes, ("q", "b")).prefers_first is None


def test_independent_votes_have_intervals_that_hold():
    """Of many studies with a true rate of 0.6 nearly all intervals have it inside."""
    generator = np.random.default_rng(0)
    hits = []
    for study in range(60):
        votes = [
            Vote(f"r{r}", p, "realism", "q" if generator.random() < 0.6 else "b")
            for r in range(8)
            for p in PICTURES
        ]
        low, high = bootstrap(votes, ("q", "b"), study)
        hits.append(low <= 0.6 <= high)
    assert np.mean(hits) > 0.9


def test_the_later_votes_of_a_person_count(tmp_path):
    early = _ballot(tmp_path / "z.json", lambda *_: "b", rater="Ann", session="1")
    late = _ballot(
        tmp_path / "a.json", lambda *_: "q", rater="ann", session="2", saved="2026-01-02T00:00:00Z"
    )
    other = _ballot(tmp_path / "o.json", lambda *_: "b", session="3")
    same = _ballot(tmp_path / "p.json", _q, session="3", saved="2026-02-01T00:00:00Z")
    counted = count([late, early, other, same])
    assert [ballot.path for ballot in counted.ballots] == [late, same]
    assert counted.raters == ("ann", "rater 1")
    assert f"{early}: Ann voted again in {late}, which counts" in counted.notes
    assert f"{other}: the same browser voted again in {same}, which counts" in counted.notes
    assert count([early, early]).notes == ()


def test_pages_with_other_seeds_are_one_study(tmp_path):
    files = [
        _ballot(tmp_path / f"{seed}.json", _q, key=_key(seed=seed), session=str(seed))
        for seed in (0, 1)
    ]
    turned = _key(first="b", second="q")
    files.append(_ballot(tmp_path / "t.json", _q, key=turned, session="t"))
    realism = tally(count(files)).rates["realism"]
    assert (realism.first, realism.second) == (36, 0)


def test_two_studies_do_not_mix(tmp_path):
    files = [
        _ballot(tmp_path / "1.json", _q),
        _ballot(tmp_path / "2.json", _q, key=_key(study="other"), session="2"),
    ]
    with pytest.raises(InputError, match="2 studies"):
        count(files)


def _write(path: Path, text: str | bytes) -> Path:
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_bad_files_are_named_and_the_rest_counts(tmp_path):
    good = _ballot(tmp_path / "good.json", _q)
    values = json.loads(good.read_text())
    bad = {
        "cut.json": good.read_text()[:300],
        "list.json": "[]",
        "other.json": '{"kind": "shopping"}',
        "newer.json": json.dumps({**values, "schema": 2}),
        "key.json": json.dumps({**values, "key": values["key"][:40]}),
        "short.json": json.dumps({**values, "votes": values["votes"][:3]}),
        "answer.json": json.dumps({**values, "votes": [{"realism": "up", "fidelity": None}] * 12}),
        "rater.json": json.dumps({**values, "rater": 7}),
        "bytes.json": b"\xff\xfe\x00",
    }
    paths = [_write(tmp_path / name, text) for name, text in bad.items()]
    done = run_cli("study", "tally", *paths, tmp_path / "no.json", tmp_path, good, "--json")
    assert done.code == 8
    record = json.loads(done.stdout)
    assert len(record["left_out"]) == len(bad) + 2
    for name in (*bad, "no.json"):
        assert sum(name in line for line in done.lines) == 1, name
    assert record["questions"]["realism"]["wins"] == {"q": 12, "b": 0}
    assert record["questions"]["realism"]["preferred"] == "q"
    quiet = run_cli("study", "tally", paths[0], good, "-q")
    assert (quiet.code, quiet.stderr) == (8, "")
    assert b"q is preferred" in quiet.stdout


def test_nothing_to_count(tmp_path):
    cut = _write(tmp_path / "cut.json", "{")
    for files, words in (([cut], "cut.json"), ([cut, tmp_path / "no.json"], "none of 2 files")):
        done = run_cli("study", "tally", *files)
        assert done.code == 3
        (line,) = done.lines
        assert line.startswith("error: ") and words in line
    assert run_cli("study", "tally").code == 2
    done = run_cli("study", "tally", cut, "--page", cut)
    assert done.code == 3 and "not the page of a study" in done.stderr
