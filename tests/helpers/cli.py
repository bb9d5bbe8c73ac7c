"""Runs the real command line in a subprocess, with faults if asked for."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_TESTS = Path(__file__).parents[1]
_REPO = _TESTS.parent


@dataclass(frozen=True)
class Finished:
    """A finished command."""

    code: int
    stdout: bytes
    stderr: str

    @property
    def lines(self) -> list[str]:
        return self.stderr.splitlines()


def command(*args: str | Path, faults: Sequence[str] = ()) -> list[str]:
    """The argv: `python -m dit4sr_cli ARGS`, or the launcher that installs faults first."""
    start = ["-m", "helpers.launch", ",".join(faults)] if faults else ["-m", "dit4sr_cli"]
    return [sys.executable, *start, *map(str, args)]


def environment(extra: Mapping[str, str | None] | None = None) -> dict[str, str]:
    """The caller's environment less what would change the output; None removes a variable."""
    env = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": f"{_REPO}{os.pathsep}{_TESTS}"}
    for name in ("NO_COLOR", "FORCE_COLOR", "DIT4SR_DEBUG", "DIT4SR_HOME", "COLUMNS"):
        env.pop(name, None)
    for name, value in (extra or {}).items():
        env.pop(name, None)
        if value is not None:
            env[name] = value
    return env


def run_cli(
    *args: str | Path,
    input: bytes | None = None,
    faults: Sequence[str] = (),
    env: Mapping[str, str | None] | None = None,
    cwd: Path | None = None,
    timeout: float = 240,
) -> Finished:
    """Run `dit4sr ARGS` to its end; standard input is empty unless given."""
    done = subprocess.run(
        command(*args, faults=faults),
        input=input or b"",
        capture_output=True,
        env=environment(env),
        cwd=cwd,
        timeout=timeout,
        check=False,
    )
    return Finished(done.returncode, done.stdout, done.stderr.decode("utf-8", "replace"))
