"""A batch that is killed at any point goes on where it was, and every file is whole.

Run as a script, this file is what is killed: it imports all that is slow once, and forks for each
run of the real command.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import resource
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from helpers import images
from helpers.cli import environment

POINTS = ("open", "write", "fsync", "link", "replace", "unlink", "mkdir")
NAMES = ("a", "b", "c")


def sweep(mode: str, folder: Path, *more: str, env=()) -> dict:
    home = str(folder / "home")
    env = environment({"SOURCE_DATE_EPOCH": "1000000000", "DIT4SR_HOME": home, **dict(env)})
    argv = [sys.executable, __file__, mode, str(folder), *more]
    done = subprocess.run(argv, capture_output=True, env=env, check=False, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture
def pictures(tmp_path):
    (tmp_path / "in").mkdir()
    for number, name in enumerate(NAMES):
        images.save(tmp_path / "in" / f"{name}.png", 24 + number, 16)
    return tmp_path


@pytest.mark.parametrize(
    "every", [pytest.param(1, marks=[pytest.mark.exhaustive, pytest.mark.timeout(1200)]), 9]
)
@pytest.mark.parametrize("jobs", [0, 1])
def test_killed_at_every_step_that_leaves_a_trace(pictures, jobs, every):
    found = sweep("points", pictures, f"--jobs={jobs}", env={"EVERY": str(every)})
    assert found["kills"] > 40 / every
    assert found["damaged"] == []


@pytest.mark.exhaustive
@pytest.mark.timeout(1200)
def test_nano_killed_at_random_moments(pictures):
    found = sweep("moments", pictures)
    assert found["kills"] >= 10
    assert found["damaged"] == []


def test_stopped_lost_and_in_the_way(pictures):
    """One process for all, because what it imports takes longer than all of it."""
    assert sweep("mishaps", pictures) == {
        "interrupted once": {
            "codes": [130, 0],
            "said": ["note: 1/3 files; the same command goes on with the rest"],
            "left": [],
        },
        "interrupted twice": {"codes": [130, 0], "is_prompt": True, "left": []},
        "two at once": {"codes": [4, 0], "said": ["another run is writing there"]},
        "disk full": {"codes": [8, 0], "failed": ["b.png"], "left": []},
        "journal on a full disk": {"codes": [4, 0], "left": []},
        "no journal": {"codes": [4]},
        "no journal, --skip-existing": {"codes": [0]},
        "no journal, --overwrite": {"codes": [0]},
        "a result is gone": {"codes": [0], "made": 1},
        "a result was changed": {"codes": [8], "is_kept": True},
        "a result was changed, --overwrite": {"codes": [0], "made": 1},
        "out of memory": {"codes": [8, 0], "failed": ["b.png"]},
        "unreadable folder": {"codes": [8], "done": 3},
    }


# ---------------------------------------------------------------- the script


def fork(argv: list[str], prepare=lambda: None) -> int:
    """Start `dit4sr ARGV` in a copy of this process, silent."""
    child = os.fork()
    if child:
        return child
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(null, descriptor)
    sys.argv = ["dit4sr", *argv]
    prepare()
    try:
        from dit4sr_cli.__main__ import main

        main()
    except SystemExit as end:
        os._exit(end.code or 0)
    finally:
        os._exit(99)


def wait(child: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def kill_at(point: int):
    """Before the n-th call that changes the disk, end as by a power cut."""

    def prepare() -> None:
        lock, count = threading.Lock(), 0

        def watched(real):
            def call(*args, **kwargs):
                nonlocal count
                with lock:
                    count += 1
                    if count == point:
                        os.kill(os.getpid(), signal.SIGKILL)
                return real(*args, **kwargs)

            return call

        for name in POINTS:
            setattr(os, name, watched(getattr(os, name)))

    return prepare


def state_of(out: Path) -> dict[str, str]:
    paths = (path for path in out.rglob("*") if path.is_file() and ".dit4sr" not in path.parts)
    return {str(p.relative_to(out)): hashlib.sha256(p.read_bytes()).hexdigest() for p in paths}


def made_in(out: Path) -> int:
    """How often a picture was put in place, by what the journal says."""
    journal = log.read_text() if (log := out / ".dit4sr" / "journal.jsonl").exists() else ""
    return journal.count('"event":"done"')


def points(root: Path, argv: list[str], whole: dict[str, str]) -> dict:
    damaged, kills = [], 0
    for point in range(1, 1000, int(os.environ["EVERY"])):
        out = root / f"out{point}"
        code = wait(fork([*argv, "-o", str(out)], kill_at(point)))
        if code == 0:  # the end comes before this point
            break
        kills += 1
        # Whatever is there already must be whole; the second kill finds the traces of the first.
        partly = {k: v for k, v in state_of(out).items() if not k.endswith(".part")}
        wait(fork([*argv, "-o", str(out)], kill_at(point // 2 + 5)))
        last = wait(fork([*argv, "-o", str(out)]))
        if code != -9 or last != 0 or state_of(out) != whole or not partly.items() <= whole.items():
            damaged.append([point, code, last, sorted(state_of(out))])
        if made_in(out) != len(NAMES):
            damaged.append([point, "made", made_in(out)])
    return {"kills": kills, "damaged": damaged}


def moments(root: Path, argv: list[str], whole: dict[str, str]) -> dict:
    damaged, kills, chance = [], 0, random.Random(5)
    started = time.monotonic()
    wait(fork([*argv, "-o", str(root / "timed")]))
    longest = time.monotonic() - started
    for attempt in range(8):
        out = root / f"out{attempt}"
        for _ in range(20):
            child = fork([*argv, "-o", str(out)])
            time.sleep(chance.uniform(0, longest))
            os.kill(child, signal.SIGKILL)
            kills += (code := wait(child)) == -9
            if code == 0:
                break
        last = wait(fork([*argv, "-o", str(out)]))
        if last != 0 or state_of(out) != whole or made_in(out) != len(NAMES):
            damaged.append([attempt, last, sorted(state_of(out))])
    return {"kills": kills, "damaged": damaged}


# What each of these does to OUT between two runs is undone by the last run, or by nothing at all:
# `mishaps` checks after each that every result is whole.


def mishaps(root: Path, argv: list[str], whole: dict[str, str]) -> dict:
    found = {}
    for act in (interrupted_once, interrupted_twice, two_at_once, disk_full, journal_full, memory):
        out = root / act.__name__
        found |= act([*argv, "-o", str(out)], out)
        assert state_of(out) == whole, act
    out = root / "again"
    again = [*argv, "-o", str(out)]
    assert wait(fork(again)) == 0
    journal = out / ".dit4sr" / "journal.jsonl"
    for more in ([], ["--skip-existing"], ["--overwrite"]):
        journal.unlink(missing_ok=True)
        found[", ".join(["no journal", *more])] = {"codes": [wait(fork([*again, *more]))]}
        assert state_of(out) == whole, more
    found |= results(again, out)
    assert state_of(out) == whole
    found["unreadable folder"] = unreadable(argv, root)
    return found


def interrupted_once(argv: list[str], out: Path) -> dict:
    child, log = begun(argv, out, on_second_picture)
    os.kill(child, signal.SIGINT)
    codes = [wait(child)]
    left = [name for name in state_of(out) if name.endswith(".part")]
    said = [line for line in log.read_text().splitlines() if "goes on" in line]
    codes.append(wait(fork(argv)))
    return {"interrupted once": {"codes": codes, "said": said, "left": left}}


def interrupted_twice(argv: list[str], out: Path) -> dict:
    child, _ = begun(argv, out, on_the_disk)
    os.kill(child, signal.SIGINT)
    time.sleep(1)
    assert os.waitpid(child, os.WNOHANG) == (0, 0), "the picture that is being written was left"
    started = time.monotonic()
    os.kill(child, signal.SIGINT)
    codes = [wait(child)]
    is_prompt = time.monotonic() - started < 10
    left = [name for name in state_of(out) if name.endswith(".part")]
    codes.append(wait(fork(argv)))
    return {"interrupted twice": {"codes": codes, "is_prompt": is_prompt, "left": left}}


def two_at_once(argv: list[str], out: Path) -> dict:
    first, _ = begun(argv, out, on_second_picture)
    log = out.with_suffix(".second")
    codes = [wait(fork(argv, lambda: heard(log)))]
    os.kill(first, signal.SIGKILL)
    wait(first)
    codes.append(wait(fork(argv)))
    said = [w for w in ["another run is writing there"] if w in log.read_text()]
    return {"two at once": {"codes": codes, "said": said}}


def disk_full(argv: list[str], out: Path) -> dict:
    """One picture's file is larger than what is left."""

    def prepare() -> None:
        real = os.fsync

        def fsync(descriptor):
            if Path(f"/proc/self/fd/{descriptor}").readlink().suffix == ".part":
                Image.open(f"/proc/self/fd/{descriptor}").size[0] == 100 and full()
            real(descriptor)

        def full():
            raise OSError(28, "No space left on device")

        os.fsync = fsync

    from PIL import Image

    codes = [wait(fork(argv, prepare))]
    left = [name for name in state_of(out) if name.endswith(".part")]
    failed = failures_in(out)
    codes.append(wait(fork(argv)))
    return {"disk full": {"codes": codes, "failed": failed, "left": left}}


def journal_full(argv: list[str], out: Path) -> dict:
    """No file may grow beyond 1000 bytes, and so not the journal, in the middle of a line."""

    def prepare() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))

    codes = [wait(fork(argv, prepare))]
    left = [name for name in state_of(out) if name.endswith(".part")]
    codes.append(wait(fork(argv)))
    return {"journal on a full disk": {"codes": codes, "left": left}}


def memory(argv: list[str], out: Path) -> dict:
    """The second picture does not fit."""

    def prepare() -> None:
        from helpers.faults import Upscaler

        real, count = Upscaler.upscale, iter("abc")

        def upscale(self, *args, **kwargs):
            if next(count) == "b":
                raise MemoryError
            return real(self, *args, **kwargs)

        Upscaler.upscale = upscale

    codes = [wait(fork(argv, prepare))]
    failed = failures_in(out)
    codes.append(wait(fork(argv)))
    return {"out of memory": {"codes": codes, "failed": failed}}


def results(argv: list[str], out: Path) -> dict:
    """Gone: made again. Changed by somebody: kept, unless it is to be replaced."""
    path, found = out / "b_x4.png", {}

    def again(name: str, *more: str) -> None:
        before = made_in(out)
        found[name] = {"codes": [wait(fork([*argv, *more]))], "made": made_in(out) - before}

    path.unlink()
    again("a result is gone")
    path.write_bytes(b"retouched")
    again("a result was changed")
    del found["a result was changed"]["made"]
    found["a result was changed"]["is_kept"] = path.read_bytes() == b"retouched"
    again("a result was changed, --overwrite", "--overwrite")
    return found


def unreadable(argv: list[str], root: Path) -> dict:
    out = root / "unreadable"
    (root / "in" / "shut").mkdir()

    def prepare() -> None:  # who runs as root can read everything
        real = os.scandir

        def scandir(path="."):
            if str(path).endswith("shut"):
                raise PermissionError(13, "Permission denied", path)
            return real(path)

        os.scandir = scandir

    return {"codes": [wait(fork([*argv, "-o", str(out)], prepare))], "done": len(state_of(out))}


def failures_in(out: Path) -> list[str]:
    lines = map(json.loads, (out / ".dit4sr" / "journal.jsonl").read_text().splitlines())
    return [Path(line["source"]).name for line in lines if line["event"] == "failed"]


def heard(log: Path) -> None:
    os.dup2(os.open(log, os.O_CREAT | os.O_WRONLY | os.O_APPEND), 2)


def begun(argv: list[str], out: Path, fault) -> tuple[int, Path]:
    """Start, and wait until the fault says that it is there."""
    log = out.with_suffix(".log")
    loud = [word for word in argv if word != "-q"]
    child = fork(loud, lambda: (heard(log), fault()))
    while not log.exists() or "BEGUN" not in log.read_text():
        assert os.waitpid(child, os.WNOHANG) == (0, 0), log.read_text()
        time.sleep(0.02)
    return child, log


def on_second_picture() -> None:
    """A model that never ends with the second picture, when the first is written."""
    from helpers.faults import Upscaler

    real, count = Upscaler.upscale, iter("ab")

    def upscale(self, *args, **kwargs):
        if next(count) == "b":
            time.sleep(1)
            os.write(2, b"BEGUN\n")
            time.sleep(120)
        return real(self, *args, **kwargs)

    Upscaler.upscale = upscale


def on_the_disk() -> None:
    """A disk that never ends with the first picture."""
    real = os.fsync

    def fsync(descriptor):
        if Path(f"/proc/self/fd/{descriptor}").readlink().suffix == ".part":
            os.write(2, b"BEGUN\n")
            time.sleep(120)
        real(descriptor)

    os.fsync = fsync


def script(mode: str, folder: str, *more: str) -> None:
    root = Path(folder)
    argv = ["batch", str(root / "in"), "-q", "--model=nano", *more]
    import torch  # noqa: F401

    import dit4sr_cli.cli.live
    import dit4sr_cli.imaging.reader
    import dit4sr_cli.jobs.naming
    import dit4sr_cli.jobs.steps
    import dit4sr_cli.jobs.upscaler
    import dit4sr_cli.pipeline.assemble
    import dit4sr_cli.pipeline.restore
    import dit4sr_cli.weights.identity  # noqa: F401

    if mode != "moments":
        from helpers import faults

        faults.fake_model()
    assert wait(fork([*argv[:4], "-o", str(root / "whole")])) == 0
    whole = state_of(root / "whole")
    assert len(whole) == len(NAMES)
    sys.stdout.write(json.dumps(globals()[mode](root, argv, whole)))


if __name__ == "__main__":
    script(*sys.argv[1:])
