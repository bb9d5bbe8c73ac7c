"""`dit4sr batch`: outcomes, exit codes, what is said where, and what a second run does."""

from __future__ import annotations

import json

import pytest
from helpers import images
from helpers.cli import run_cli

FAKE = ["fake_model"]


@pytest.fixture
def scans(tmp_path):
    """Two pictures, one of them deeper, and a file that is none."""
    folder = tmp_path / "scans"
    (folder / "1953").mkdir(parents=True)
    images.save(folder / "a.jpg")
    images.save(folder / "1953" / "b.png")
    (folder / "bad.jpg").write_bytes(b"\xff\xd8\xff nothing")
    return folder


def test_a_bad_file_among_good_ones(tmp_path, scans):
    out, page = tmp_path / "out", tmp_path / "report.html"
    words = ["batch", scans, "-o", out, "--json", "--report", page]
    done = run_cli(*words, faults=FAKE)
    assert done.code == 8
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert {event["schema"] for event in events} == {1}
    assert {event["command"] for event in events} == {"batch"}
    assert events[0] == {"schema": 1, "command": "batch", "event": "planned"} | {
        "files": 3,
        "workers": 1,
        "bytes": sum(path.stat().st_size for path in scans.rglob("*.*")),
    }
    files = {e["source"]: e for e in events if e["event"] == "file"}
    assert {name: e["status"] for name, e in files.items()} == {
        str(scans / "1953" / "b.png"): "done",
        str(scans / "a.jpg"): "done",
        str(scans / "bad.jpg"): "failed",
    }
    assert files[str(scans / "bad.jpg")]["code"] == 3
    assert files[str(scans / "a.jpg")]["outcome"]["output_size"] == [96, 64]
    last = events[-1]
    assert (last["event"], last["done"], last["failed"], last["code"]) == ("summary", 2, 1, 8)
    assert images.size_of(out / "1953" / "b_x4.png") == (96, 64)
    assert "bad.jpg" in page.read_text()

    # The same words again: what is done is left, what failed is tried again, and fails alone.
    again = run_cli(*words[:4], faults=FAKE)
    assert again.code == 8
    assert again.stdout == b""
    assert [line.split(":")[0] for line in again.lines] == ["error", "0 done, 2 skipped, 1 failed"]
    assert run_cli("batch", scans / "bad.jpg", "-o", out, "-q", faults=FAKE).code == 3


def test_what_stands_in_the_way(tmp_path, scans):
    out = tmp_path / "out"
    out.mkdir()
    (out / "a_x4.png").write_text("precious")
    words = ["batch", scans, "-o", out, "--exclude", "bad.jpg"]
    dry = run_cli(*words, "--dry-run")
    assert dry.code == 0
    assert "exists already" in dry.stderr
    assert [path.name for path in out.rglob("*")] == ["a_x4.png"]

    kept = run_cli(*words, "--skip-existing", "--limit", "1", faults=FAKE)
    assert kept.code == 0
    assert (out / "a_x4.png").read_text() == "precious"
    refused = run_cli(*words, faults=FAKE)
    assert refused.code == 8  # the other one was done before
    assert (out / "a_x4.png").read_text() == "precious"


def test_fail_fast_and_wrong_words(tmp_path, scans):
    first = images.save(scans / "z.png")
    words = [scans / "bad.jpg", first, "-o", tmp_path / "out"]
    done = run_cli("batch", *words, "--fail-fast", "--jobs", "0", faults=FAKE)
    assert done.code == 3
    assert done.lines[-1] == "0 done, 0 skipped, 1 failed, 1 left for another run"
    assert run_cli("batch", tmp_path / "nothing*", "-o", tmp_path / "out").code == 3
    assert run_cli("batch", *words, "--report", "a.pdf").code == 2
