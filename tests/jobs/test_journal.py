"""The journal: cut anywhere it still tells the truth, and nobody else writes into it."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from helpers.cli import environment

from dit4sr_cli.core.errors import OutputError
from dit4sr_cli.jobs.journal import FILE_NAME, FOLDER, Entry, Happened, Stamp, journal, parse

SETTINGS = "s" * 32


def entry(event, name, **more) -> Entry:
    more = {"source": f"scans/{name}.jpg", "settings": SETTINGS, **more}
    return Entry(event=event, target=f"{name}.png", **more)


def fill(folder) -> bytes:
    """Two files done, one failed, one begun, one with a name that is no UTF-8."""
    for name in ("a", "b"):
        (folder / f"{name}.jpg").write_text(f"picture {name}")
        (folder / f"{name}.png").write_text(f"result {name}")
    with journal(folder) as log:
        for name in ("a", "b"):
            picture, result = (Stamp.of(folder / f"{name}.{end}") for end in ("jpg", "png"))
            log.add(entry(Happened.STARTED, name, picture=picture, was_free=True))
            log.add(entry(Happened.DONE, name, picture=picture, result=result))
        log.add(entry(Happened.FAILED, "c\udcff", reason="no picture"))
        log.add(entry(Happened.STARTED, "d", was_free=True))
    return log.path.read_bytes()


def is_done(log, folder, name) -> bool:
    return log.is_done(folder / f"{name}.jpg", folder / f"{name}.png", SETTINGS)


def test_cut_at_every_byte(tmp_path, monkeypatch):
    data = fill(tmp_path)
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)  # thousands of them
    path = tmp_path / FOLDER / FILE_NAME
    lines = data.splitlines(keepends=True)
    whole = list(parse(data.split(b"\n")))
    assert len(whole) == len(lines) == 6
    ends = [sum(map(len, lines[: n + 1])) for n in range(len(lines))]
    for cut in range(len(data) + 1):
        path.write_bytes(data[:cut])
        with journal(tmp_path) as log:
            survived = sum(end - 1 <= cut for end in ends)  # the line break itself may be missing
            assert is_done(log, tmp_path, "a") == (survived >= 2)
            assert is_done(log, tmp_path, "b") == (survived >= 4)
            begun = {1: ["a.png"], 3: ["b.png"], 6: ["d.png"]}
            assert [e.target for e in log.unfinished()] == begun.get(survived, [])
            log.add(entry(Happened.FAILED, "new", reason="after the cut"))
        read = list(parse(log.path.read_bytes().split(b"\n")))
        assert read[:-1] == whole[:survived]
        assert read[-1].target == "new.png"


def test_garbage_is_passed_over(tmp_path):
    data = fill(tmp_path)
    with journal(tmp_path) as log:
        log.path.write_bytes(b"\0" * 512 + b"\n{}\nnull\n" + data.replace(b'"done"', b'"d0ne"', 2))
    with journal(tmp_path) as log:
        assert not is_done(log, tmp_path, "a")
        assert [e.target for e in log.unfinished()] == ["a.png", "b.png", "d.png"]


def test_done_is_done_while_content_is_the_same(tmp_path):
    fill(tmp_path)
    with journal(tmp_path) as log:
        os.utime(tmp_path / "a.png")
        os.utime(tmp_path / "a.jpg")
        assert is_done(log, tmp_path, "a")
        assert not log.is_done(tmp_path / "a.jpg", tmp_path / "a.png", "other settings")
        (tmp_path / "a.png").write_text("RESULT a")
        assert not is_done(log, tmp_path, "a")
        (tmp_path / "b.jpg").write_text("another")
        assert not is_done(log, tmp_path, "b")


def test_a_full_disk_in_the_middle_of_a_line(tmp_path, monkeypatch):
    real = os.write

    def half(descriptor, data):
        if len(data) < 40:
            raise OSError(28, "No space left on device")
        return real(descriptor, data[: len(data) // 2])

    with journal(tmp_path) as log:
        with monkeypatch.context() as patch, pytest.raises(OutputError, match="No space left"):
            patch.setattr(os, "write", half)
            log.add(entry(Happened.STARTED, "a"))
        log.add(entry(Happened.FAILED, "b", reason="later"))
    assert [e.target for e in parse(log.path.read_bytes().split(b"\n"))] == ["b.png"]


def test_one_run_at_a_time_and_a_dead_one_is_no_obstacle(tmp_path):
    hold = (
        "import sys, time, pathlib; from dit4sr_cli.jobs.journal import journal\n"
        "with journal(pathlib.Path(sys.argv[1])): print('held', flush=True); time.sleep(60)"
    )
    argv = [sys.executable, "-c", hold, str(tmp_path)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, env=environment()) as holder:
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(OutputError, match="another run"), journal(tmp_path):
            pass
        holder.kill()
    with journal(tmp_path):
        pass
