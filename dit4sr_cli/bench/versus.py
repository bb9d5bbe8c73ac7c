"""Another program against `dit4sr upscale`, as whole processes on the same picture, in turn."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dit4sr_cli.bench.compare import Side, ratio_as_json, run_names, run_once
from dit4sr_cli.bench.statistics import Ratio, median, ratio_of
from dit4sr_cli.bench.task import Task
from dit4sr_cli.bench.variant import Variant
from dit4sr_cli.bench.worker import working
from dit4sr_cli.core.errors import CommandError, UsageError
from dit4sr_cli.core.events import Observer, PhaseStarted, ignore
from dit4sr_cli.core.types import DeviceChoice, Precision, Quantize
from dit4sr_cli.core.words import as_reason


@dataclass(frozen=True, slots=True)
class Program:
    """A command line by words, and what it is called."""

    name: str
    argv: tuple[str, ...]
    output: Path | None = None
    """What it has to make; None: nobody looks."""


@dataclass(frozen=True, slots=True)
class Versus:
    """Seconds of whole processes of both, and of dit4sr with the model at hand."""

    command: str
    ours: tuple[float, ...]
    theirs: tuple[float, ...]
    warm: Side
    ratio: Ratio
    warm_ratio: Ratio

    def as_json(self) -> dict[str, Any]:
        """Plain data, in seconds."""
        return {
            "versus": self.command,
            "ours": {"seconds": median(self.ours), "runs": list(self.ours)},
            "theirs": {"seconds": median(self.theirs), "runs": list(self.theirs)},
            "ratio": ratio_as_json(self.ratio),
            "warm": self.warm.as_json(),
            "warm_ratio": ratio_as_json(self.warm_ratio),
        }


def versus(command: str, task: Task, *, runs: int, observe: Observer = ignore) -> Versus:
    """Run both in turn, after one run of each that does not count.

    Raises:
        UsageError: the command cannot be split into words.
        CommandError: it fails, or makes no `{output}`.
    """
    with tempfile.TemporaryDirectory(prefix="dit4sr-bench-") as folder, working(task) as worker:
        output = Path(folder) / "theirs.png"
        theirs = _program_of(command, task.source, output)
        ours = _our_program(task, Path(folder) / "ours.png")
        first = run_once(worker, "warming up", observe)
        for program in (theirs, ours):
            _timed(program, "warming up", observe)
        rounds = [
            (
                _timed(ours, run, observe),
                _timed(theirs, run, observe),
                run_once(worker, run, observe),
            )
            for run in run_names(runs)
        ]
    mine, other, warm = zip(*rounds, strict=True)
    side = Side(task.variant, first, warm)
    return Versus(command, mine, other, side, ratio_of(mine, other), ratio_of(side.times, other))


def _program_of(command: str, source: Path, output: Path) -> Program:
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise UsageError(f"--versus {command}: {error}") from error
    if not words:
        raise UsageError("--versus: the command is empty")
    filled = [
        word.replace("{input}", str(source)).replace("{output}", str(output)) for word in words
    ]
    return Program(words[0], tuple(filled), output if "{output}" in command else None)


def _our_program(task: Task, output: Path) -> Program:
    start = [sys.executable, "-m", "dit4sr_cli", "upscale", str(task.source)]
    options = ["-o", str(output), "--overwrite", "--quiet", "--caption", "none"]
    argv = (*start, *options, *_options_of(task.variant))
    return Program("dit4sr upscale", argv, output)


def _options_of(variant: Variant) -> list[str]:
    """The settings that are not the defaults, as options of `dit4sr upscale`."""
    model, upscale = variant.model, variant.upscale
    words = ["--model", model.model]
    if model.device is not DeviceChoice.AUTO:
        words += ["--device", model.device.value]
    if model.precision is not Precision.AUTO:
        words += ["--dtype", model.precision.value]
    if model.quantize is not Quantize.NONE:
        words += ["--quantize", model.quantize.value]
    for name in ("steps", "guidance", "tile", "overlap"):
        value = getattr(upscale, name)
        if value is not None:
            words += [f"--{name}", str(value)]
    return words


def _timed(program: Program, run: str, observe: Observer) -> float:
    """Seconds from its start to its end.

    Raises:
        CommandError: it fails.
    """
    observe(PhaseStarted(f"{run}: {program.name}"))
    if program.output is not None:
        program.output.unlink(missing_ok=True)
    env = {**os.environ, "OMP_WAIT_POLICY": "PASSIVE"}
    started = time.perf_counter()
    done = _finished(program, env)
    seconds = time.perf_counter() - started
    if done.returncode != 0:
        raise CommandError(_failure(program, done))
    if program.output is not None and not program.output.exists():
        raise CommandError(f"{program.name}: ended well and made no {{output}}")
    return seconds


def _finished(program: Program, env: Mapping[str, str]) -> subprocess.CompletedProcess[bytes]:
    try:
        return subprocess.run(
            program.argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env=env,
            check=False,
        )
    except OSError as error:
        raise CommandError(f"{program.name}: cannot be started: {error.strerror}") from error


def _failure(program: Program, done: subprocess.CompletedProcess[bytes]) -> str:
    code = done.returncode
    how = f"failed with code {code}" if code > 0 else f"was ended by signal {-code}"
    lines = done.stderr.decode("utf-8", "replace").split("\n")
    said = [line.strip() for line in lines if line.strip()]
    return f"{program.name}: {how}" + (f": {as_reason(said[-1])}" if said else "")
